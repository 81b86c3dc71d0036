"""When to ask a cached feed next: just after its cache takes a new copy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,6})(?:$|[\s,])", re.IGNORECASE)
# Shorter lives cannot be told apart by an Age in whole seconds.
_SHORTEST_S, _LONGEST_S = 2.0, 3600.0
# A copy may be taken late, when the one before has outlived itself: as shares of its life, what is
# allowed for at first, at least and at most.
_LATE, _LEAST_LATE, _MOST_LATE = 0.005, 0.0005, 0.05
# Known to within this the moment is good enough; else it is narrowed down.
_CLOSE_S = 0.06
_AFTER_S = 0.005
# Who came too early asks again after this, and then ever later.
_AGAIN_S = 0.05
# So many copies in a row that were not taken when they should have been are no accident.
_MOST_ODD = 2.5
_DISTRUST_S = 300.0


@dataclass(frozen=True, slots=True)
class _Copy:
    """The copy served last: taken between ``low`` and ``high``, for ``life_s``; asked for lastly
    at ``asked``, after ``early`` requests that came too early for the next."""

    low: float
    high: float
    life_s: float
    asked: float
    early: int = 0


class CacheTiming:
    """Learns from ``Age`` and ``Cache-Control: max-age`` when a cache between us and the feed next
    takes a new copy. All times in seconds on one clock.

    ``Age`` is in whole seconds, so it only bounds the moment. Requests in the middle of the bounds
    narrow them; after a request that came too early there is one more at their end. Once they are
    narrow enough, each copy is requested once, at that end, plus the delay found in earlier copies.
    A feed that sends no ``Age``, changes within a copy's life, or keeps taking copies at other
    times (caches that take turns) is polled at fixed intervals.
    """

    def __init__(self) -> None:
        self._copy: _Copy | None = None
        self._late = _LATE
        self._odd = 0.0
        self._distrusted_until = float("-inf")

    @property
    def life_s(self) -> float | None:
        """How long the cache keeps a copy; None where nothing is known of it."""
        return self._copy.life_s if self._copy else None

    def observe(
        self, asked: float, arrived: float, headers: Mapping[str, str], *, changed: bool
    ) -> None:
        """Take note of an answer's ``headers``; ``changed`` is whether its body was another."""
        last, self._copy = self._copy, None
        life_s, age = _freshness(headers)
        if life_s is None or age is None or arrived < self._distrusted_until:
            return
        copy = _Copy(asked - age - 1, arrived - age, life_s, asked)
        if last is not None and last.life_s == life_s:
            copy = self._narrowed(last, copy, changed=changed)
        if self._odd > _MOST_ODD:
            self._odd, self._distrusted_until = 0.0, arrived + _DISTRUST_S
            return
        self._copy = copy

    def _narrowed(self, last: _Copy, copy: _Copy, *, changed: bool) -> _Copy:
        """``copy`` with what is known from the ``last`` one."""
        life_s = copy.life_s
        lives = round((copy.low + copy.high - last.low - last.high) / 2 / life_s)
        lives = max(lives, 1 if changed else 0)
        early = 0
        low, expected = last.low + lives * life_s, last.high + lives * life_s * (1 + self._late)
        if lives:  # it was not there yet when we asked last
            low = max(low, last.asked + (lives - 1) * life_s)
        else:  # a request too early for the next, where that could be there already
            early = last.early + (copy.asked > last.low + life_s)
        low, high = max(copy.low, low), min(copy.high, expected)
        if copy.high < low:  # taken too soon: another cache's, or one that was emptied
            self._odd += 1
            return copy
        if expected < low:  # taken late
            self._odd += low - expected > _MOST_LATE * life_s
            self._late = min(2 * self._late, _MOST_LATE)
            high = min(copy.high, low + self._late * life_s)
            return replace(copy, low=low, high=high, early=early)
        if lives:
            self._odd *= 0.8
        if lives and not last.early and copy.high < expected:  # a guess, and not too early
            self._late = max(0.7 * self._late, _LEAST_LATE)
        return replace(copy, low=low, high=high, early=early)

    def next_at(self, interval_s: float) -> float | None:
        """When to ask next, at least about every ``interval_s``; None where nothing is known of
        the cache."""
        copy = self._copy
        if copy is None:
            return None
        lives = max(1, round(interval_s / copy.life_s))
        low = copy.low + lives * copy.life_s
        high = copy.high + lives * copy.life_s * (1 + self._late)
        if not copy.early:
            guess = (low + high) / 2 if high - low > _CLOSE_S else high
            return max(guess + _AFTER_S, copy.asked + _AGAIN_S)
        again_s = min(_AGAIN_S * 2.0 ** (copy.early - 1), interval_s)
        return max(high + _AFTER_S, copy.asked + again_s)


def _freshness(headers: Mapping[str, str]) -> tuple[float | None, float | None]:
    """A copy's life and its age, in s; None where not told or of no use."""
    found = _MAX_AGE.search(headers.get("cache-control", ""))
    life_s = float(found[1]) if found else 0.0
    age = headers.get("age", "")
    useful = _SHORTEST_S <= life_s <= _LONGEST_S and age.isdecimal() and len(age) < 7
    return (life_s, float(age)) if useful else (None, None)
