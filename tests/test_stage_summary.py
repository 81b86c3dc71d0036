"""The stages' lines: one for each and every tick, or one a minute."""

from __future__ import annotations

import trio
from stream_kit import make_tick, runtime
from structlog.testing import capture_logs

from nbad.observe.metrics import Metrics
from nbad.observe.summary import StageSummary
from nbad.observe.timing import record
from nbad.settings.schema import Config, Log


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


def test_the_process_is_measured_and_no_series_comes_twice() -> None:
    text = Metrics().text().decode()
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert f"\n{name} " in text
    assert "_created" not in text
