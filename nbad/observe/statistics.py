"""Latency of each stage since the start and in the last five minutes, in constant memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

STAGES = ("poll", "parse", "pattern", "predict", "emit", "total")

# Buckets a twentieth apart, from a microsecond to 100 s: a percentile is right to 2.5 %.
_RATIO = 1.05
_LEAST_MS = 0.001
_BUCKETS = 380
# The last five minutes, forgotten a minute at a time.
_SLICE_S = 60.0
_SLICES = 5


@dataclass(slots=True)
class Summary:
    """Count, sum, extremes and a histogram of durations in ms."""

    count: int = 0
    sum: float = 0.0
    least: float = math.inf
    most: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * _BUCKETS)

    def add(self, ms: float) -> None:
        """Take in one duration."""
        self.count += 1
        self.sum += ms
        self.least = min(self.least, ms)
        self.most = max(self.most, ms)
        self.buckets[bucket(ms)] += 1

    def merge(self, other: Summary) -> None:
        """Take in all that ``other`` holds."""
        self.count += other.count
        self.sum += other.sum
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]

    def percentile(self, share: float) -> float:
        """The duration that ``share`` (0…1) of all do not exceed; 0 where there is none."""
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for index, count in enumerate(self.buckets):
            seen += count
            if seen >= rank:
                return min(max(middle(index), self.least), self.most)
        return 0.0

    def as_dict(self) -> dict[str, float]:
        """``count``, and in ms ``avg``, ``min``, ``max``, ``p50``, ``p95``, ``p99``."""
        if not self.count:
            return {"count": 0}
        figures = {
            "avg": self.sum / self.count,
            "min": self.least,
            "max": self.most,
            **{f"p{share}": self.percentile(share / 100) for share in (50, 95, 99)},
        }
        return {"count": self.count, **{name: round(ms, 3) for name, ms in figures.items()}}


def merged(parts: Iterable[Summary]) -> Summary:
    """All that the ``parts`` hold."""
    whole = Summary()
    for part in parts:
        whole.merge(part)
    return whole


def bucket(ms: float) -> int:
    """The index of the bucket of a duration; the outermost take what lies beyond."""
    if ms <= _LEAST_MS:
        return 0
    return min(int(math.log(ms / _LEAST_MS, _RATIO)) + 1, _BUCKETS - 1)


def middle(index: int) -> float:
    """The duration in ms that a bucket stands for."""
    return float(_LEAST_MS * _RATIO ** max(0.0, index - 0.5))


class StageStatistics:
    """One stage: its whole life, and the last minutes."""

    def __init__(self) -> None:
        self.errors = 0
        self._older = Summary()  # what no slice holds any more
        self._slices: deque[tuple[int, Summary]] = deque()

    def add(self, ms: float, now: float) -> None:
        """Take in a duration in ms; ``now`` in seconds on any clock that does not run back."""
        number = int(now / _SLICE_S)
        if not self._slices or self._slices[-1][0] != number:
            if len(self._slices) == _SLICES:
                self._older.merge(self._slices.popleft()[1])
            self._slices.append((number, Summary()))
        self._slices[-1][1].add(ms)

    @property
    def life(self) -> Summary:
        """All since the start."""
        return merged([self._older, *(part for _, part in self._slices)])

    def recent(self, now: float) -> Summary:
        """The last five minutes."""
        oldest = int(now / _SLICE_S) - _SLICES + 1
        return merged(part for number, part in self._slices if number >= oldest)

    def as_dict(self, now: float) -> dict[str, dict[str, float]]:
        """``life`` and ``recent`` as of :meth:`Summary.as_dict`."""
        return {"life": self.life.as_dict(), "recent": self.recent(now).as_dict()}


class Statistics:
    """All stages, and the total from a tick's first request to its emission."""

    def __init__(self) -> None:
        self.stages = {name: StageStatistics() for name in STAGES}
        self.freshness = StageStatistics()  # from when something happened to its message

    def add(self, timing_ms: Mapping[str, float], errors: Mapping[str, int], now: float) -> None:
        """Take in a tick: the latency (ms) and the errors of its stages."""
        for name, ms in timing_ms.items():
            self.stages[name].add(ms, now)
        for name, count in errors.items():
            self.stages[name].errors += count

    def as_dict(self, now: float) -> dict[str, dict[str, Any]]:
        """By stage: ``errors``, and ``life`` and ``recent`` as of :meth:`Summary.as_dict`."""
        return {
            name: {"errors": stage.errors, **stage.as_dict(now)}
            for name, stage in self.stages.items()
        }
