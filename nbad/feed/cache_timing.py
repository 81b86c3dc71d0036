"""When to ask a cached feed next: just after its cache takes a new copy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,6})(?:$|[\s,])", re.IGNORECASE)
# Shorter lives cannot be told apart by an Age in whole seconds.
_SHORTEST_S, _LONGEST_S = 2.0, 3600.0
# A copy lives for its max-age and a little longer, until the next is fetched: this share of it.
_SLACK = 0.01
# Known to within this share of its life the moment is good enough; else it is narrowed down.
_CLOSE = 0.1
_AFTER_S = 0.01
_DISTRUST_S = 300.0


@dataclass(slots=True)
class _Copy:
    """The copy served last: taken between ``low`` and ``high``, for ``life_s``; seen ``times``."""

    low: float
    high: float
    life_s: float
    asked: float
    times: int = 1


class CacheTiming:
    """Learns from ``Age`` and ``Cache-Control: max-age`` when a cache between us and the feed next
    takes a new copy. All times in seconds on one clock.

    ``Age`` is in whole seconds. The moment is narrowed down by asking in the middle of what is
    left of it; whoever came too early asks once more at its end. A feed that sends no ``Age``, or
    changes within a copy's life (caches that take turns), is asked at fixed intervals.
    """

    def __init__(self) -> None:
        self._copy: _Copy | None = None
        self._distrusted_until = float("-inf")

    def observe(
        self, asked: float, arrived: float, headers: Mapping[str, str], *, changed: bool
    ) -> None:
        """Take note of an answer's ``headers``; ``changed`` is whether its body was another."""
        life_s, age = _freshness(headers)
        if life_s is None or age is None or arrived < self._distrusted_until:
            self._copy = None
            return
        # Since it was still served, it had not outlived itself by much.
        low = max(asked - age - 1.0, asked - life_s * (1 + _SLACK))
        high = arrived - age
        last, self._copy = self._copy, _Copy(low, high, life_s, asked)
        if last is None or last.life_s != life_s:
            return
        lives = round((low + high - last.low - last.high) / 2 / life_s)
        low = max(low, last.low + lives * life_s)
        high = min(high, last.high + lives * life_s * (1 + _SLACK))
        if low > high:
            return  # not as regular as that: learn it anew
        if lives == 0 and changed:
            self._copy = None
            self._distrusted_until = arrived + _DISTRUST_S
            return
        times = last.times + 1 if lives == 0 else 1
        self._copy = _Copy(low, high, life_s, asked, times)

    def next_at(self, interval_s: float) -> float | None:
        """When to ask next, at least about every ``interval_s``; None where nothing is known of
        the cache."""
        copy = self._copy
        if copy is None:
            return None
        lives = max(1, round(interval_s / copy.life_s))
        low = max(copy.low + lives * copy.life_s, copy.asked)
        high = copy.high + lives * copy.life_s * (1 + _SLACK)
        narrow = copy.times == 1 and high - low > _CLOSE * copy.life_s
        due = (low + high) / 2 if narrow else high
        # Never much faster than asked for, whatever the headers say.
        return max(due + _AFTER_S, copy.asked + min(interval_s, _SHORTEST_S) / 4)


def _freshness(headers: Mapping[str, str]) -> tuple[float | None, float | None]:
    """A copy's life and its age, in s; None where not told or of no use."""
    found = _MAX_AGE.search(headers.get("cache-control", ""))
    life_s = float(found[1]) if found else 0.0
    age = headers.get("age", "")
    useful = _SHORTEST_S <= life_s <= _LONGEST_S and age.isdecimal() and len(age) < 7
    return (life_s, float(age)) if useful else (None, None)
