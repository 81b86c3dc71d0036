"""Statistics of the stages: true to the figures they are made of, in bounded memory."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbad.cli.stats import from_log
from nbad.observe.statistics import StageStatistics, Statistics, Summary

DURATIONS = st.lists(st.floats(0.001, 90_000.0), min_size=1, max_size=300)


@given(DURATIONS, st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_right_to_a_few_per_cent(durations: list[float], share: float) -> None:
    summary = Summary()
    for ms in durations:
        summary.add(ms)
    exact = sorted(durations)[math.ceil(share * len(durations)) - 1]
    assert summary.percentile(share) == pytest.approx(exact, rel=0.05)
    assert summary.as_dict()["count"] == len(durations)
    assert (summary.least, summary.most) == (min(durations), max(durations))


@given(DURATIONS, DURATIONS)
def test_merged_is_as_if_added(one: list[float], two: list[float]) -> None:
    a, b, both = Summary(), Summary(), Summary()
    for ms in one:
        a.add(ms)
        both.add(ms)
    for ms in two:
        b.add(ms)
        both.add(ms)
    a.merge(b)
    assert (a.count, a.least, a.most, a.buckets) == (
        both.count, both.least, both.most, both.buckets,
    )  # fmt: skip


def test_of_late_is_the_last_five_minutes_and_memory_is_bounded() -> None:
    stage = StageStatistics()
    for second in range(3600):
        stage.add(1.0 if second < 3000 else 100.0, float(second))
    assert stage.life.count == 3600
    assert stage.life.percentile(0.5) == pytest.approx(1.0, rel=0.05)
    assert stage.recent(3599.0).as_dict()["p50"] == pytest.approx(100.0, rel=0.05)
    assert stage.recent(3599.0).count == 300
    assert stage.recent(9999.0).count == 0


def test_a_tick_brings_its_stages_and_its_errors() -> None:
    statistics = Statistics()
    statistics.add({"poll": 12.0, "total": 20.0}, {"poll": 2}, 0.0)
    figures = statistics.as_dict(0.0)
    assert figures["poll"]["errors"] == 2
    assert figures["poll"]["life"]["max"] == 12.0
    assert figures["parse"]["life"] == {"count": 0}


def log_line(stage: str, tick: int, ms: float, games: int = 3) -> bytes:
    event = {"event": "stage", "stage": stage, "tick": tick, "elapsed_ms": ms, "games": games}
    return json.dumps(event | {"waited_ms": 0.5}).encode()


def test_a_log_gives_the_same_figures(tmp_path: Path) -> None:
    lines = [b"not ours", b'{"event":"feed_error"}', b'{"event":"game_skipped"}', b"[1]"]
    for tick in (1, 2):
        lines += [log_line(s, tick, tick * 1.0) for s in ("poll", "parse", "pattern", "predict")]
        lines += [log_line("emit", tick, tick * 1.0, games=3)]
    lines += [log_line("poll", 3, 9.0, games=0), log_line("parse", 3, 0.01, games=0)]
    figures = from_log(lines)
    assert figures["poll"]["errors"] == figures["parse"]["errors"] == 1
    assert figures["poll"]["life"]["count"] == 3
    assert figures["parse"]["life"]["count"] == 2  # a tick without work is none of its speed
    assert figures["total"]["life"]["max"] == 12.5
    path = tmp_path / "log"
    path.write_bytes(b"\n".join(lines))
    done = subprocess.run(
        [sys.executable, "-m", "nbad", "stats", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split()[:3] == ["poll", "3", "1"]


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("/nowhere/log", 64, "expected a log to read"),
        ("http://127.0.0.1:9", 69, "expected a daemon's statistics"),
        ("/dev/null", 1, "expected a log of `nbad run`"),
    ],
)
def test_a_source_that_is_none_is_told(source: str, code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nbad", "stats", source],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
