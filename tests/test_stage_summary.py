"""The stages' lines: one for each and every tick, or one a minute."""

from __future__ import annotations

import trio
from stream_kit import make_tick, runtime
from structlog.testing import capture_logs

from nbad.domain import FeedState
from nbad.observe.metrics import Metrics
from nbad.observe.summary import StageSummary
from nbad.observe.timing import Overruns, check_budget, record
from nbad.observe.troubles import Troubles
from nbad.settings.schema import BudgetsMs, Config, Log


async def test_a_summary_takes_the_place_of_the_lines(autojump_clock: trio.abc.Clock) -> None:
    quiet, every = runtime(Config(log=Log(stages="summary"))), runtime(Config())
    summary = StageSummary()
    with capture_logs() as logs:
        for number in range(1, 182):
            tick = make_tick(quiet, number)
            record("emit", tick, 3, float(number))
            summary.served(tick, trio.current_time())
            await trio.sleep(1)
    told = [event for event in logs if event["event"] != "over_budget"]
    assert [event["event"] for event in told] == ["stage_summary"] * 3
    assert [event["ticks"] for event in told] == [61, 60, 60]
    assert told[1]["stages"]["emit"] == {
        "count": 60, "avg": 91.5, "min": 62.0, "max": 121.0,
        **{name: told[1]["stages"]["emit"][name] for name in ("p50", "p95", "p99")},
    }  # fmt: skip
    assert abs(told[1]["stages"]["emit"]["p50"] - 91.5) < 4
    with capture_logs() as logs:
        for number in range(1, 100):
            tick = make_tick(every, number)
            record("emit", tick, 3, 1.0)
            summary.served(tick, trio.current_time())
            await trio.sleep(1)
    assert [event["event"] for event in logs] == ["stage"] * 99


async def test_a_stage_over_its_budget_is_said_at_once_and_then_seldom(
    autojump_clock: trio.abc.Clock,
) -> None:
    small = runtime(Config(budgets_ms=BudgetsMs(emit=1.0)))
    overruns = Overruns(warm=True)
    with capture_logs() as logs:
        for number in range(1, 100):
            tick = make_tick(small, number)
            tick.overruns = overruns
            check_budget("emit", tick, 3.0)
            check_budget("parse", tick, 21.0)
        tick.runtime = runtime(Config(budgets_ms=BudgetsMs(emit=2.0)))
        check_budget("emit", tick, 3.0)
    said = [(event["stage"], event["tick"], event["budget_ms"]) for event in logs]
    assert said == [("emit", 1, 1.0), ("parse", 1, 20.0), ("emit", 99, 2.0)]


async def test_the_first_night_may_take_its_time(autojump_clock: trio.abc.Clock) -> None:
    overruns = Overruns()
    with capture_logs() as logs:
        for number, (whole, feed) in enumerate(
            [(True, FeedState.DOWN), (False, FeedState.OK), (True, FeedState.OK)] + 2 * [
                (False, FeedState.OK)], 1,
        ):  # fmt: skip
            tick = make_tick(runtime(Config()), number)
            tick.overruns, tick.whole, tick.feed = overruns, whole, feed
            for stage in ("parse", "predict", "emit"):
                check_budget(stage, tick, 1000.0)
    assert [(event["stage"], event["tick"]) for event in logs] == [
        ("emit", 3), ("parse", 4), ("predict", 4),
    ]  # fmt: skip


async def test_a_trouble_that_comes_and_goes_is_said_once_a_minute(
    autojump_clock: trio.abc.Clock,
) -> None:
    troubles = Troubles()
    with capture_logs() as logs:
        for _ in range(300):  # it comes and goes each second for ten minutes
            troubles.note("feed_error", "board", kind="timeout")
            await trio.sleep(1)
            troubles.over("board", what="board")
            await trio.sleep(1)
        troubles.over("board", what="board")
        await trio.sleep(100)
        troubles.note("feed_error", "board", kind="timeout")
        for _ in range(59):  # then it stays
            await trio.sleep(2)
            troubles.note("feed_error", "board", kind="timeout")
        troubles.over("board", what="board")
    begun = [event for event in logs if event["event"] == "feed_error"]
    over = [event for event in logs if event["event"] == "trouble_over"]
    assert len(begun) == 10 + 2
    assert sum(event.get("repeated", 1) for event in begun) == 331  # the last 29 had no turn
    assert len(over) == 11
    assert (over[-1]["what"], over[-1]["count"], over[-1]["seconds"]) == ("board", 60, 118.0)


async def test_of_many_troubles_at_once_the_first_are_said(
    autojump_clock: trio.abc.Clock,
) -> None:
    troubles = Troubles()
    with capture_logs() as logs:
        for _ in range(61):
            for game in range(15):
                troubles.note("game_skipped", game)
            await trio.sleep(1)
        troubles.note("feed_error", "board")
    assert [event["event"] for event in logs] == 16 * ["game_skipped"] + ["feed_error"]


def test_the_process_is_measured_and_no_series_comes_twice() -> None:
    text = Metrics().text().decode()
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert f"\n{name} " in text
    assert "_created" not in text
