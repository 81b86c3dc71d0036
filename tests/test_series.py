"""The forecast series after a correction and after a new model: what a restart would say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from nbad.channels import open_bounded
from nbad.domain import BoardEntry, Forecast, Game, Play, Quantiles, Status, Team, Update
from nbad.observe.timing import Tick
from nbad.pattern.features import INDEX
from nbad.pattern.rating import Ratings
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.stages.envelopes import Forecasts, Patterns, Updates
from nbad.stages.patterns import PatternTracker, build_patterns
from nbad.stages.predictor import SeriesTracker, predict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HOME, AWAY = Team(1, "BOS", "Boston"), Team(2, "LAL", "Los Angeles")


class Plain:
    """A model whose forecast shows what it was asked: the margin is the differential it saw."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ratings = Ratings()

    def forecast(self, matrix: NDArray[np.float64]) -> list[Forecast]:
        margins = [float(row[INDEX["differential"]]) for row in matrix]
        none = Quantiles(0.0, 0.0, 0.0)
        return [Forecast(0.5, Quantiles(at, at, at), none, self.name) for at in margins]


def play(number: int, clock_s: float, home: int, away: int) -> Play:
    return Play(number, number, 1, clock_s, home, away, "2pt", "", 1, 1, "", "", "")


def update(plays: Sequence[Play], unchanged: int = 0, *, corrected: bool = False) -> Update:
    last = plays[-1]
    entry = BoardEntry(
        "0022500001", Status.LIVE, 1, last.clock_s, "2026-01-20T00:30:00Z", HOME, AWAY,
        last.home, last.away,
    )  # fmt: skip
    return Update(entry, tuple(plays), unchanged, corrected, "", 0.0)


async def told(*ticks: tuple[str, Update | None]) -> list[tuple[Game, ...]]:
    """Each tick's games, as the pattern builder and the predictor tell them: a tick is the model
    in force and the game's update, if there is one."""
    to_build, updates = open_bounded(len(ticks), Updates)
    to_predict, patterns = open_bounded(1, Patterns)
    to_serve, forecasts = open_bounded(1, Forecasts)
    games: list[tuple[Game, ...]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(build_patterns, updates, to_predict)
        nursery.start_soon(predict, patterns, to_serve)
        with to_build:
            for number, (model, changed) in enumerate(ticks, 1):
                tick = Tick(number, 0.0, Runtime(Config(), Plain(model)))
                await to_build.send(Updates(tick, () if changed is None else (changed,)))
        with forecasts:
            games += [made.games async for made in forecasts]
    return games


def series(game: Game) -> list[tuple[float, float, str]]:
    """When each point of the series is, and what was forecast then by which model."""
    return [(at, forecast.margin.p50, forecast.model) for at, forecast in game.series]


PLAYS = [play(n, 720.0 - 20 * n, 2 * n, n) for n in range(1, 13)]  # 4:00 of the game, home by 12
# The feed takes back the fourth basket: 2 less for the home side from there on.
CORRECTED = [p if p.number < 4 else p._replace(home=p.home - 2) for p in PLAYS]


async def test_a_correction_replaces_the_points_after_it() -> None:
    before, after = await told(("a", update(PLAYS)), ("a", update(CORRECTED, 3, corrected=True)))
    [at_once] = await told(("a", update(CORRECTED)))
    assert [at for at, _, _ in series(before[0])] == [0, 30, 60, 90, 120, 150, 180, 210]
    assert series(after[0]) == [
        (0, 0, "a"), (30, 1, "a"), (60, 3, "a"), (90, 2, "a"),
        (120, 4, "a"), (150, 5, "a"), (180, 7, "a"), (210, 8, "a"),
    ]  # fmt: skip
    assert series(after[0]) == series(at_once[0])


async def test_plays_taken_back_take_their_points_along() -> None:
    _, after = await told(("a", update(PLAYS)), ("a", update(PLAYS[:4], 4, corrected=True)))
    assert [at for at, _, _ in series(after[0])] == [0, 30, 60]


async def test_a_target_score_that_was_none_leaves_no_gap() -> None:
    aimed = update(PLAYS[:9], 6)._replace(to_target_score=True)
    before, meanwhile, after = await told(
        ("a", update(PLAYS[:6])), ("a", aimed), ("a", update(PLAYS, 9))
    )
    [at_once] = await told(("a", update(PLAYS)))
    assert (meanwhile[0].forecast, meanwhile[0].series) == (None, ())
    assert series(before[0])
    assert series(after[0]) == series(at_once[0])


def by(person: int, number: int) -> Play:
    """A rebound, of a side's player below ten or of the other's."""
    side = HOME if person < 10 else AWAY
    return Play(number, number, 1, 700.0, 0, 0, "rebound", "", side.team_id, 0, "", "", "", person)


def test_what_is_corrected_of_a_starters_last_game_is_told_as_by_one_that_starts_then() -> None:
    """Though it changes nothing of what was expected before it was known who starts."""
    fives = [1, 2, 3, 4, 5, 11, 12, 13, 14, 15]
    in_ = by(6, 11)._replace(kind="substitution", subkind="in")
    played = update([*(by(person, n) for n, person in enumerate(fives, 1)), in_, by(6, 12)])
    last = played.entry._replace(
        game_id="0022500002", status=Status.FINAL, start_utc="2026-01-18T00:30:00Z",
        home_score=90, away_score=80,
    )  # fmt: skip
    before = played._replace(entry=last)
    steal = before.plays[-1]._replace(kind="steal")
    after = before._replace(plays=(*before.plays[:-1], steal), unchanged=11, corrected=True)
    tonight = update([by(person, n) for n, person in enumerate([6, *fives[1:]], 1)])

    def forecast(*ticks: tuple[Update, ...]) -> list[float]:
        runtime, tracker = Runtime(Config(), Plain("a")), PatternTracker()
        made = [tracker.fold(Updates(Tick(1, 0.0, runtime), updates))[0] for updates in ticks]
        [pattern] = [p for p in made[-1].games if p.update.entry.game_id == tonight.entry.game_id]
        return list(made[-1].matrix[pattern.row])

    told_then = forecast((after,), (tonight,))
    assert told_then != forecast((before,), (tonight,))
    assert forecast((before,), (tonight,), (after,)) == told_then


class Faulty(Plain):
    """Fails where the home side is 6 ahead."""

    def forecast(self, matrix: NDArray[np.float64]) -> list[Forecast]:
        if matrix[0][INDEX["differential"]] == 6:
            raise ValueError
        return super().forecast(matrix)


def test_a_fault_of_the_model_leaves_no_gap() -> None:
    patterns, tracker, made = PatternTracker(), SeriesTracker(), []
    for count, known in ((4, 0), (6, 4), (9, 6)):
        tick = Tick(count, 0.0, Runtime(Config(), Faulty("a")))
        folded, _ = patterns.fold(Updates(tick, (update(PLAYS[:count], known),)))
        forecasts, failed = tracker.forecast(folded)
        made.append((len(forecasts.games), len(failed)))
    assert made == [(1, 0), (0, 1), (1, 0)]
    assert [at for at, _, _ in series(forecasts.games[0])] == [0, 30, 60, 90, 120, 150]


async def test_another_model_forecasts_every_point_anew_and_corrects_nothing() -> None:
    """All of a series is by one model: a reload in the fourth quarter mixes no two."""
    _, first, second, third = await told(
        ("a", update(PLAYS[:6])),
        ("a", update(PLAYS[:6], 6)),  # news of the board alone: all plays are those of before
        ("b", None),
        ("b", update(PLAYS, 6)),
    )
    assert {model for _, _, model in series(first[0])} == {"a"}
    [game] = second
    assert series(game) == [(at, margin, "b") for at, margin, _ in series(first[0])]
    assert len(series(third[0])) == 8
    assert {model for _, _, model in series(third[0])} == {"b"}


async def test_what_was_corrected_is_not_said_so_again_with_another_model() -> None:
    _, corrected, anew = await told(
        ("a", update(PLAYS)),
        ("a", update(CORRECTED, 3, corrected=True)),
        ("b", None),
    )
    assert corrected[0].update.corrected
    assert not anew[0].update.corrected
    assert anew[0].update == corrected[0].update._replace(corrected=False)
