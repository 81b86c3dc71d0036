"""A season's results are learnt bit by bit: nobody waits for all of them."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import trio

from nbad.channels import open_bounded
from nbad.domain import Result, Schedule, Update
from nbad.model.forecaster import Forecaster
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.simulator import simulate_night
from nbad.stages.envelopes import Document, Fetched, Patterns, Updates
from nbad.stages.parser import GameTracker
from nbad.stages.patterns import PatternTracker, build_patterns

GAMES = 1300


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(Config(), Forecaster.load())


@pytest.fixture(scope="module")
def night(runtime: Runtime) -> tuple[Update, ...]:
    """Four games of one evening, with their plays."""
    source = simulate_night(4, 1)
    at = source.starts_at
    asked = ((name, source.play_by_play(name, at)) for name in source.game_ids)
    documents = [Document("", source.scoreboard(at).body, at)]
    documents += [Document(name, said.body, at) for name, said in asked if said]
    fetched = Fetched(Tick(1, 0.0, runtime), 0.0, at, tuple(documents))
    return GameTracker().take(fetched)[0].games


@pytest.fixture(scope="module")
def season(night: tuple[Update, ...]) -> Schedule:
    """As many results as a season has, up to the evening."""
    draw = random.Random(1)
    teams = sorted({side.team_id for game in night for side in (game.entry.home, game.entry.away)})
    first = datetime(2025, 10, 21, tzinfo=UTC)
    results = []
    for number in range(GAMES):
        start = (first + timedelta(minutes=90 * number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        home, away = draw.sample(teams, 2)
        scores = draw.randint(90, 140), draw.randint(90, 140)
        results.append(Result(f"00225{number + 1:05}", start, home, away, *scores))
    return Schedule(tuple(results), ())


async def test_others_go_on_while_a_season_is_learnt(
    runtime: Runtime, night: tuple[Update, ...], season: Schedule
) -> None:
    to_build, updates = open_bounded(1, Updates)
    to_predict, patterns = open_bounded(1, Patterns)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(build_patterns, updates, to_predict)
        await to_build.send(Updates(Tick(1, 0.0, runtime), night))
        await patterns.receive()
        nursery.start_soon(count_turns)
        await to_build.send(Updates(Tick(2, 0.0, runtime), (), season))
        made = await patterns.receive()
        nursery.cancel_scope.cancel()
    assert len(made.games) == len(night)  # all are expected otherwise now
    assert turns > GAMES / 10


def test_what_is_learnt_bit_by_bit_is_what_is_learnt_at_once(
    runtime: Runtime, night: tuple[Update, ...], season: Schedule
) -> None:
    matrices = []
    for learns in (False, True):
        tracker = PatternTracker()
        tracker.fold(Updates(Tick(1, 0.0, runtime), night))
        updates = Updates(Tick(2, 0.0, runtime), (), season)
        if learns:
            assert sum(1 for _ in tracker.learn(updates)) > GAMES / 10
        patterns, failed = tracker.fold(updates)
        assert not failed
        matrices.append(patterns.matrix)
        assert tracker.fold(Updates(Tick(3, 0.0, runtime), ()))[0].games == ()
    assert math.prod(matrices[0].shape) > 0
    assert np.array_equal(matrices[0], matrices[1])
