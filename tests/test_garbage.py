"""Garbage is collected between ticks, and what a night left once it is over."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from nbad.observe.garbage import Collector


class Knot:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def collector() -> Iterator[Collector]:
    thresholds = gc.get_threshold()
    yield Collector()
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def knots(number: int) -> list[weakref.ref[Knot]]:
    return [weakref.ref(Knot()) for _ in range(number)]


def test_little_is_left_until_it_is_worth_it(collector: Collector) -> None:
    few = knots(10)
    collector.rest(idle=False)
    assert all(knot() is not None for knot in few)
    many = knots(10_000)
    collector.rest(idle=False)
    assert all(knot() is None for knot in few + many)


def test_what_has_grown_old_goes_when_no_game_is_on(collector: Collector) -> None:
    kept = [Knot() for _ in range(10_000)]
    collector.rest(idle=False)
    old = [weakref.ref(knot) for knot in kept]
    kept.clear()
    knots(10_000)
    collector.rest(idle=False)
    assert all(knot() is not None for knot in old)
    collector.rest(idle=True)
    assert all(knot() is None for knot in old)


def test_an_idle_night_is_walked_once(collector: Collector) -> None:
    whole: list[str] = []

    def watch(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            whole.append(phase)

    kept = [Knot() for _ in range(10_000)]
    collector.rest(idle=True)
    gc.callbacks.append(watch)
    for _ in range(5):
        collector.rest(idle=True)
    gc.callbacks.remove(watch)
    assert len(whole) == 1
    assert len(kept) == 10_000


def longest(phases: list[int]) -> int:
    return max(phases, default=-1)


@pytest.fixture
def generations() -> Iterator[list[int]]:
    """Which generations were collected."""
    seen: list[int] = []

    def watch(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(watch)
    yield seen
    gc.callbacks.remove(watch)


def test_a_night_that_is_read_first_is_walked_only_once_its_tick_was_served(
    collector: Collector, generations: list[int]
) -> None:
    kept = [Knot() for _ in range(20_000)]
    assert not generations
    collector.rest(idle=False)
    assert generations == [1]
    kept += [Knot() for _ in range(20_000)]
    assert len(generations) > 2  # from then on few are enough


def test_the_old_is_not_walked_while_many_watch(
    collector: Collector, generations: list[int]
) -> None:
    kept = [Knot() for _ in range(10_000)]
    collector.rest(idle=False, subscribers=5000)
    for _ in range(100):
        kept.append(Knot())
        collector.rest(idle=True, subscribers=5000)
    assert longest(generations) < 2
    collector.rest(idle=True, subscribers=1)
    assert longest(generations) == 2


def test_no_more_than_a_few_thousand_objects_are_walked_at_once_while_many_watch(
    collector: Collector,
) -> None:
    """1.6 us each: what pauses all subscribers is bounded by their number."""
    walked: list[int] = []

    def watch(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            young = range(info["generation"] + 1)
            walked.append(sum(len(gc.get_objects(generation)) for generation in young))

    kept = []
    gc.callbacks.append(watch)
    for _ in range(30):
        kept += [Knot() for _ in range(1_700)]
        collector.rest(idle=False, subscribers=5000)
    gc.callbacks.remove(watch)
    assert walked
    assert max(walked) < 6_000


def test_a_storm_between_two_ticks_is_not_walked_at_all_and_its_garbage_goes_once_all_left(
    collector: Collector, generations: list[int]
) -> None:
    storm = [Knot() for _ in range(200_000)]
    assert longest(generations) == 0
    collector.rest(idle=False, subscribers=5000)
    assert longest(generations) == 0
    old = weakref.ref(storm[0])
    storm.clear()
    collector.rest(idle=True, subscribers=5000)
    collector.rest(idle=True, subscribers=1)
    assert old() is not None
    collector._kept = True
    collector.rest(idle=True, subscribers=0)
    assert old() is None
