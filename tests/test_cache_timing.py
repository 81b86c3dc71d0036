"""When a cached feed is asked: just after its cache takes a new copy, once for each."""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass, field
from statistics import fmean

import pytest

from nbad.domain import Status
from nbad.feed.cache_timing import CacheTiming
from nbad.feed.poll_plan import TrackedGame
from nbad.feed.turns import Now, Turns
from nbad.settings.schema import Poll

_NIGHT_S = 1000.0
_LEARNT = 12  # copies
_ONE_WAY_S = 0.01
_INTERVAL_S = 1.0


class Cache:
    """A cache before a feed, which takes a copy anew once it is too old, ``late_s`` later at most;
    once in ``jumps`` copies much later."""

    def __init__(self, life_s: int, seed: int, *, late_s: float = 0.0, jumps: int = 0) -> None:
        draw = random.Random(seed)
        self.life_s = life_s
        self.taken = [-draw.uniform(0, life_s)]
        while self.taken[-1] < _NIGHT_S + life_s:
            late = draw.uniform(0, late_s)
            if jumps and draw.random() < 1 / jumps:
                late += 0.4 * life_s
            self.taken.append(self.taken[-1] + life_s + late)

    def copy(self, at: float) -> float:
        """When the copy was taken that is served then."""
        return self.taken[bisect_right(self.taken, at) - 1]


class QuietCache(Cache):
    """One that takes a copy when it is asked for one, and has none that is young enough."""

    def copy(self, at: float) -> float:
        if at >= self.taken[0] + self.life_s:
            self.taken = [at]
        return self.taken[0]


@dataclass
class Watch:
    """What came of a night: every request, the copies' ages when they first arrived, and how long
    each of ``news`` took to arrive."""

    asked: list[float] = field(default_factory=list)
    learnt_s: float = 0.0
    first_seen: dict[float, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    unknown: int = 0

    @property
    def lags(self) -> list[float]:
        return [lag for taken, lag in self.first_seen.items() if taken > self.learnt_s]

    @property
    def requests_a_copy(self) -> float:
        return sum(at > self.learnt_s for at in self.asked) / len(self.lags)


def watch(*caches: Cache, fixed: bool = False, seed: int = 1) -> Watch:
    """Ask for a night; of several caches each request comes to any."""
    draw = random.Random(seed)
    news = sorted(draw.uniform(0, _NIGHT_S - 60) for _ in range(600))
    timing, seen = CacheTiming(), Watch(learnt_s=_LEARNT * caches[0].life_s)
    at, last = 0.0, None
    while at < _NIGHT_S:
        seen.asked.append(at)
        there = at + _ONE_WAY_S
        cache = draw.choice(caches)
        taken = cache.copy(there)
        arrived = there + _ONE_WAY_S + draw.expovariate(1 / 0.003)
        seen.first_seen.setdefault(taken, arrived - taken)
        while news and news[0] <= taken:
            seen.waits.append(arrived - news.pop(0))
        headers = {
            "age": str(int(there - taken)), "cache-control": f"public, max-age={cache.life_s}"
        }  # fmt: skip
        timing.observe(at, arrived, headers, changed=taken != last)
        last = taken
        due = timing.next_at(_INTERVAL_S)
        seen.unknown += due is None
        at = at + _INTERVAL_S if due is None or fixed else max(due, arrived)
    return seen


@pytest.mark.parametrize("life_s", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("seed", range(3))
def test_a_copy_is_asked_for_once_and_right_after_it_was_taken(life_s: int, seed: int) -> None:
    seen = watch(Cache(life_s, seed))
    assert fmean(seen.lags) < 0.08
    assert max(seen.lags) < 0.25
    assert seen.requests_a_copy < 1.15
    assert not seen.unknown


@pytest.mark.parametrize("life_s", [2, 3, 10])
@pytest.mark.parametrize("late_s", [0.02, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_copies_that_are_taken_late_are_waited_for(life_s: int, late_s: float, seed: int) -> None:
    seen = watch(Cache(life_s, seed, late_s=late_s))
    assert fmean(seen.lags) < 0.02 + late_s
    assert seen.requests_a_copy < 2.2
    assert not seen.unknown


@pytest.mark.parametrize("life_s", [2, 3, 10])
@pytest.mark.parametrize("seed", range(3))
def test_a_copy_long_overdue_makes_no_rush_and_the_next_is_met_again(
    life_s: int, seed: int
) -> None:
    seen = watch(Cache(life_s, seed, jumps=60))
    # While one does not come we ask ever less often, and not even so often as without a cache.
    assert len(seen.asked) < _NIGHT_S / _INTERVAL_S
    assert sorted(seen.lags)[len(seen.lags) // 2] < 0.08


@pytest.mark.parametrize("life_s", [2, 3, 5])
def test_a_cache_that_nobody_else_asks_is_asked_as_its_copy_ends(life_s: int) -> None:
    seen = watch(QuietCache(life_s, 1))
    assert seen.requests_a_copy < 2.1
    assert max(b - a for a, b in zip(seen.asked, seen.asked[1:], strict=False)) < 1.1 * life_s


@pytest.mark.parametrize("life_s", [2, 3, 5])
@pytest.mark.parametrize("late_s", [0.0, 0.02])
def test_news_is_a_quarter_fresher_than_at_fixed_intervals(life_s: int, late_s: float) -> None:
    caches = [Cache(life_s, seed, late_s=late_s) for seed in range(4)]
    paced = fmean(wait for cache in caches for wait in watch(cache).waits)
    fixed = fmean(wait for cache in caches for wait in watch(cache, fixed=True).waits)
    # It cannot be fresher than half a copy's life; what is left to win is half an interval.
    assert paced - life_s / 2 < 0.1
    assert fixed - life_s / 2 > 0.3


@pytest.mark.parametrize("life_s", [2, 3, 5, 10])
@pytest.mark.parametrize("edges", [2, 3])
def test_of_caches_that_take_turns_nothing_is_learnt_and_nothing_lost(
    life_s: int, edges: int
) -> None:
    unknown, paced, fixed = 0, [], []
    for seed in range(4):
        caches = [Cache(life_s, 10 * seed + number) for number in range(edges)]
        seen, plain = watch(*caches), watch(*caches, fixed=True)
        assert len(seen.asked) < 1.05 * len(plain.asked)
        unknown += seen.unknown
        paced += seen.waits
        fixed += plain.waits
    # Where their copies happen to be taken at nearly the same moments they are as one.
    assert unknown > 0.25 * 4 * _NIGHT_S * (life_s > 2)
    assert fmean(paced) < 1.05 * fmean(fixed)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cache-control": "public, max-age=3"},
        {"age": "1"},
        {"age": "1", "cache-control": "max-age=0"},
        {"age": "1", "cache-control": "max-age=1"},
        {"age": "1", "cache-control": "max-age=86400"},
        {"age": "-1", "cache-control": "max-age=3"},
        {"age": "soon", "cache-control": "max-age=3"},
        {"age": "9" * 400, "cache-control": "max-age=3"},
        {"age": "1", "cache-control": "s-max-age=3"},
    ],
)
def test_without_what_to_learn_from_nothing_is_known(headers: dict[str, str]) -> None:
    timing = CacheTiming()
    timing.observe(10.0, 10.1, headers, changed=True)
    assert timing.next_at(1.0) is None


def test_a_copy_that_is_served_for_ever_is_soon_not_to_be_trusted() -> None:
    timing, at, asked = CacheTiming(), 0.0, 0
    while (due := timing.next_at(1.0)) is not None or not asked:
        at, asked = due or at, asked + 1
        timing.observe(at, at + 0.02, {"age": "9", "cache-control": "max-age=3"}, changed=False)
    assert asked < 20
    timing.observe(at + 200, at + 200.1, {"age": "1", "cache-control": "max-age=3"}, changed=True)
    assert timing.next_at(1.0) is None
    timing.observe(at + 400, at + 400.1, {"age": "1", "cache-control": "max-age=3"}, changed=True)
    assert timing.next_at(1.0) is not None


def test_news_again_and_again_within_a_copys_life_means_that_its_age_is_wrong() -> None:
    timing = CacheTiming()
    for at in range(10, 16):
        timing.observe(at, at + 0.1, {"age": "0", "cache-control": "max-age=4"}, changed=True)
    assert timing.next_at(1.0) is None


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_headers_say_the_feed_is_not_asked_in_a_rush_nor_left_alone(seed: int) -> None:
    draw = random.Random(seed)
    timing, at, times = CacheTiming(), 0.0, []
    for _ in range(2000):
        headers = {
            "age": str(draw.choice([0, 1, 2, 3, 4, 7, 100_000])),
            "cache-control": f"max-age={draw.choice([2, 3, 5])}",
        }
        timing.observe(at, at + draw.uniform(0, 2), headers, changed=draw.random() < 0.05)
        due = timing.next_at(1.0)
        due = at + 1.0 if due is None else due
        assert at + 0.05 <= due <= at + 10.0
        times.append(due - at)
        at = due
    assert fmean(times) > 0.6


def test_while_a_game_is_on_no_copy_is_trusted_for_long() -> None:
    """A cache that says an hour, or says it wrong, must not hide a game that goes on."""
    poll, turns = Poll(), Turns()
    turns.begin(0.0)
    game = TrackedGame("1", Status.LIVE, 0.0, listed=True, plays_over=False, final_at=None)
    turns.follow([game], Now(0.0, 0.0, 0.0), poll)
    hour = {"age": "0", "cache-control": "public, max-age=3600"}
    for document in turns.documents.values():
        document.timing.observe(0.0, 0.02, hour, changed=True)
    for place in turns.documents:
        turns.answered(place, Now(0.02, 0.02, 0.0), poll)
    latest = 0.02 + poll.refresh_interval_s
    assert all(0 < document.at <= latest for document in turns.documents.values())
