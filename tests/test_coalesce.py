"""`batch_interval_ms`: fewer, larger batches, and nothing of the night lost."""

from __future__ import annotations

import pytest
import trio
from stream_kit import FakeSettings, make_clock, make_game, make_tick, running
from structlog.testing import capture_logs
from trio.testing import MockClock

from nbad.domain import Game
from nbad.settings.schema import Config
from nbad.stages.envelopes import Forecasts
from nbad.stages.server import coalesce


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


def corrected(game: Game) -> Game:
    return game._replace(update=game.update._replace(corrected=True))


def ids(forecasts: Forecasts) -> dict[str, int]:
    return {game.update.entry.game_id: game.update.entry.home_score for game in forecasts.games}


async def test_the_newest_of_each_game(clock: MockClock) -> None:
    runtime = FakeSettings(Config()).current
    old = Forecasts(make_tick(runtime, 1), (make_game(0, 1), make_game(1, 1)), ("x", "0022500002"))
    new = Forecasts(make_tick(runtime, 2), (make_game(1, 3), make_game(2, 0)), ("0022500000",))
    joined = coalesce(old, new)
    assert joined.tick is new.tick
    assert ids(joined) == {"0022500001": 3, "0022500002": 0}
    assert joined.dropped == ("x", "0022500000")


async def test_a_correction_is_not_lost(clock: MockClock) -> None:
    runtime = FakeSettings(Config()).current
    old = Forecasts(make_tick(runtime, 1), (corrected(make_game(0, 1)), make_game(1, 1)))
    new = Forecasts(make_tick(runtime, 2), (make_game(0, 3), make_game(1, 2)))
    assert [game.update.corrected for game in coalesce(old, new).games] == [True, False]


async def test_ticks_within_the_interval_are_one_batch(clock: MockClock) -> None:
    with capture_logs() as logs:
        async with running(batch_interval_ms=500.0) as stage, stage.client() as client:
            await client.expect("welcome")
            await stage.tick(make_game(0), make_game(1))  # nothing was sent before: at once
            assert (await client.expect("snapshot"))["seq"] == 1
            began = trio.current_time()
            await stage.send(make_game(0, 1))
            await stage.send(make_game(1, 2))
            await stage.send(make_game(0, 4))
            batch = await client.expect("batch")
            assert (batch["seq"], batch["tick"]) == (2, 4)
            scores = {game["game_id"]: game["home"]["score"] for game in batch["messages"]}
            assert scores == {"0022500000": 4, "0022500001": 2}
            assert trio.current_time() - began == pytest.approx(0.5, abs=0.01)
            await trio.sleep(1)
            began = trio.current_time()
            await stage.send(make_game(0, 5))  # long after the last: at once
            assert (await client.expect("batch"))["seq"] == 3
            assert trio.current_time() - began < 0.1
            await stage.send(make_game(0, 6))
            stage.end()  # what is held goes out before the goodbye
            assert (await client.expect("batch"))["messages"][0]["home"]["score"] == 6
    emits = [log["tick"] for log in logs if log["event"] == "stage" and log["stage"] == "emit"]
    assert emits == [1, 2, 3, 4, 5, 6]
    assert not [log for log in logs if log["event"] == "over_budget" and log["stage"] == "total"]
