"""A patient configuration, a clock that steps, a feed that is replaced: the poller goes on."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
import trio
from feed_kit import EPOCH, ONE, FakeFeed, action, entry

from nbad.channels import open_bounded, open_latest, open_latest_value
from nbad.feed.poll_plan import TrackedGame
from nbad.model.forecaster import Forecaster
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Config, Feed
from nbad.stages.envelopes import Updates, merge_fetched
from nbad.stages.parser import parse
from nbad.stages.poller import poll

FEED = Feed(base_url="http://feed/live", schedule_url="http://feed/schedule.json")
_NO_GAMES: tuple[TrackedGame, ...] = ()


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return Forecaster.load()


class Night:
    """Poller and parser on a scripted feed; ``ticks`` are what came, with when."""

    def __init__(self, forecaster: Forecaster, feed: FakeFeed, **of_feed: Any) -> None:
        config = Config(feed=FEED.model_copy(update=of_feed))
        self.settings = Settings(Runtime(config, forecaster))
        self.feed, self.begun = feed, trio.current_time()
        self.ticks: list[tuple[float, Updates]] = []
        self.step_s = 0.0  # of the host's clock

    @property
    def now(self) -> float:
        return trio.current_time() - self.begun

    async def run(self, seconds: float) -> None:
        to_parse, fetched = open_latest(merge_fetched)
        to_poll, night = open_latest_value(_NO_GAMES)
        to_build, updates = open_bounded(1, Updates)

        async def take() -> None:
            with updates:
                async for update in updates:
                    self.ticks.append((self.now, update))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            nursery.start_soon(parse, fetched, to_build, to_poll)
            clock = lambda: EPOCH + self.now + self.step_s  # noqa: E731
            with trio.move_on_after(seconds):
                await poll(to_parse, night, self.settings, transport=self.feed, now=clock)

    def asked(self, part: str) -> list[float]:
        return [at - self.begun for at, path, _ in self.feed.requests if part in path]


@pytest.mark.parametrize("hangs", ["schedule", "scoreboard", ONE])
async def test_a_long_timeout_does_not_starve_the_watchdog(
    forecaster: Forecaster, autojump_clock: object, hangs: str
) -> None:
    """The pipeline's ticks feed it, and it waits for 30 s."""
    feed = FakeFeed(entry(ONE))
    feed.on[hangs] = lambda _: 1000.0
    night = Night(forecaster, feed, timeout_s=60.0)
    await night.run(200.0)
    times = [0.0, *(at for at, _ in night.ticks), 200.0]
    assert max(later - at for at, later in itertools.pairwise(times)) <= 10.1
    if hangs != "scoreboard":
        assert min(at for at, tick in night.ticks if tick.games) <= 10.1


@pytest.mark.parametrize("step_s", [-86_400.0, -3600.0, 3600.0, 86_400.0])
async def test_a_step_of_the_hosts_clock_moves_no_judgement(
    forecaster: Forecaster, autojump_clock: object, step_s: float
) -> None:
    """A basket taken back is believed after 30 s by a clock that never steps, not sooner, and not
    a day later; and a game in play is asked for as often as before."""
    feed = FakeFeed(entry(ONE, clock="PT12M00.00S"))
    feed.plays[ONE] = [action(1, 2, 0), action(2, 2, 3), action(3, 4, 3)]
    night = Night(forecaster, feed)

    def step(_: httpx.Request) -> None:
        if night.now > 20.0:
            feed.plays[ONE] = feed.plays[ONE][:2]
        if night.now > 30.0:
            night.step_s = step_s

    feed.on[""] = step
    await night.run(70.0)
    told = [(at, game) for at, tick in night.ticks for game in tick.games]
    (_, first), (at, last) = told
    assert (first.entry.home_score, last.entry.home_score, last.corrected) == (4, 2, True)
    assert 50.0 <= at <= 53.0
    asked = [at for at in night.asked("scoreboard") if at > 5.0]
    assert max(later - at for at, later in itertools.pairwise(asked)) < 1.2


async def test_what_is_doubted_is_sent_and_read_once(
    forecaster: Forecaster, autojump_clock: object
) -> None:
    """Not believed is not unread: from then on only what is newer is asked for."""
    feed = FakeFeed(entry(ONE, clock="PT12M00.00S"))
    feed.plays[ONE] = [action(1, 2, 0), action(2, 2, 3), action(3, 4, 3)]
    night = Night(forecaster, feed)
    known: set[str | None] = set()

    def note(request: httpx.Request) -> None:
        if night.now > 10.0:
            feed.plays[ONE] = feed.plays[ONE][:2]
            said = orjson.dumps({"game": {"gameId": ONE, "actions": feed.plays[ONE]}})
            if request.headers.get("if-none-match") != f'"{hash(said)}"':
                known.add(f"{night.now:.0f}")

    feed.on[ONE] = note
    await night.run(35.0)
    assert len(night.asked(ONE)) > 20
    assert len(known) == 1  # asked for once without knowing it


@pytest.mark.parametrize("in_flight", [False, True])
async def test_a_feed_that_is_replaced_is_asked_at_once(
    forecaster: Forecaster, autojump_clock: object, in_flight: bool
) -> None:
    """Also while a request to the old one hangs, or while the poller sleeps for a quarter hour."""
    feed = FakeFeed(entry(ONE, 1, "", start=9 * 3600.0))
    night = Night(forecaster, feed, timeout_s=600.0)
    if in_flight:
        feed.on["/live/"] = lambda _: 500.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(night.run, 101.0))
        await trio.sleep(100.0)
        runtime = night.settings.current
        other = runtime.config.feed.model_copy(update={"base_url": "http://feed/other"})
        changed = runtime.config.model_copy(update={"feed": other})
        night.settings.replace(Runtime(changed, runtime.forecaster))
    assert night.asked("/other/")
    assert night.asked("/other/")[0] < 100.1
