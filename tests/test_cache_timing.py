"""The poller's pace on a cached feed: fresher than fixed intervals at as many requests."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from nbad.feed.cache_timing import CacheTiming

_NIGHT_S = 1800.0
_FLIGHT_S = 0.02  # to the cache, and back

Answer = tuple[float, int]


class Cache:
    """A busy cache before a feed: a copy is taken anew once it is too old, a little late."""

    def __init__(self, life_s: int, late_s: float, seed: int) -> None:
        draw = random.Random(seed)
        self.life_s = life_s
        self.taken = [-draw.uniform(0, life_s)]
        while self.taken[-1] < _NIGHT_S + 10:
            self.taken.append(self.taken[-1] + life_s + draw.uniform(0, late_s))
        self.news = sorted(draw.uniform(0, _NIGHT_S) for _ in range(600))

    def ask(self, at: float) -> tuple[float, dict[str, str]]:
        """When the served copy was taken, and the headers."""
        taken = max(moment for moment in self.taken if moment <= at)
        age = str(int(at - taken))
        return taken, {"age": age, "cache-control": f"public, max-age={self.life_s}"}


def staleness_s(cache: Cache, next_at: Callable[[float, float, dict[str, str]], float]) -> Answer:
    """The mean time from a piece of news to its arrival, and how many requests that took."""
    at, requests, waits = 0.0, 0, []
    unseen = list(cache.news)
    while at < _NIGHT_S:
        requests += 1
        taken, headers = cache.ask(at + _FLIGHT_S)
        arrived = at + 2 * _FLIGHT_S
        while unseen and unseen[0] <= taken:
            waits.append(arrived - unseen.pop(0))
        at = next_at(at, arrived, headers)
    return sum(waits) / len(waits), requests


@pytest.mark.parametrize("life_s", [2, 3, 5])
@pytest.mark.parametrize("late_s", [0.0, 0.02])
def test_news_is_a_third_fresher_than_at_fixed_intervals(life_s: int, late_s: float) -> None:
    paced_s = fixed_s = 0.0
    for seed in range(4):
        cache = Cache(life_s, late_s, seed)
        pace = CacheTiming()

        def learn(
            at: float, arrived: float, headers: dict[str, str], pace: CacheTiming = pace
        ) -> float:
            pace.observe(at, arrived, headers, changed=False)
            return pace.next_at(at, 1.0)

        mean_s, requests = staleness_s(cache, learn)
        every_s = _NIGHT_S / requests
        paced_s += mean_s

        def wait(at: float, _arrived: float, _: dict[str, str], every_s: float = every_s) -> float:
            return at + every_s

        fixed_s += staleness_s(cache, wait)[0]
    assert paced_s <= 0.7 * fixed_s


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cache-control": "public, max-age=3"},
        {"age": "1"},
        {"age": "1", "cache-control": "max-age=0"},
        {"age": "1", "cache-control": "max-age=86400"},
        {"age": "-1", "cache-control": "max-age=3"},
        {"age": "soon", "cache-control": "max-age=3"},
        {"age": "9" * 400, "cache-control": "max-age=3"},
        {"age": "1", "cache-control": "s-max-age=3"},
    ],
)
def test_without_what_to_learn_from_the_interval_is_fixed(headers: dict[str, str]) -> None:
    pace = CacheTiming()
    pace.observe(10.0, 10.1, headers, changed=True)
    assert pace.next_at(10.0, 1.0) == 11.0


def test_news_within_a_copys_life_means_that_its_age_is_not_to_be_trusted() -> None:
    pace = CacheTiming()
    for at in (10.0, 10.3):
        pace.observe(at, at + 0.1, {"age": "0", "cache-control": "max-age=4"}, changed=True)
    assert pace.next_at(10.3, 1.0) == 11.3
    pace.observe(50.0, 50.1, {"age": "0", "cache-control": "max-age=4"}, changed=True)
    assert pace.next_at(50.0, 1.0) == 51.0
    pace.observe(400.0, 400.1, {"age": "0", "cache-control": "max-age=4"}, changed=True)
    assert pace.next_at(400.0, 1.0) > 402.0


def test_whatever_the_age_the_feed_is_not_asked_in_a_rush_nor_left_alone() -> None:
    draw = random.Random(1)
    pace, at = CacheTiming(), 0.0
    for _ in range(5000):
        headers = {
            "age": str(draw.choice([0, 1, 2, 3, 4, 7, 100_000])),
            "cache-control": f"max-age={draw.choice([2, 3, 5])}",
        }
        pace.observe(at, at + draw.uniform(0, 2), headers, changed=draw.random() < 0.05)
        due = pace.next_at(at, 1.0)
        assert at + 0.25 <= due <= at + 10.0
        at = due
