"""The poller on a scripted feed: conditional, retried, patient with one game, asleep between."""

from __future__ import annotations

import itertools
from functools import partial

import httpx
import orjson
import pytest
import trio
from feed_kit import EPOCH, ONE, TWO, FakeFeed, entry

from nbad.channels import open_latest
from nbad.domain import FeedState
from nbad.model.forecaster import Forecaster
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Config, Feed, Poll
from nbad.stages.envelopes import Fetched, Payload
from nbad.stages.poller import merge_fetched, poll


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return Forecaster.load()


@pytest.fixture
def settings(forecaster: Forecaster) -> Settings:
    feed = Feed(base_url="http://feed/live", schedule_url="http://feed/schedule.json")
    config = Config(feed=feed, poll=Poll(max_requests_per_s=1000.0))
    return Settings(Runtime(config, forecaster))


async def run(settings: Settings, feed: FakeFeed, seconds: float) -> list[Fetched]:
    begun = trio.current_time()
    sender, receiver = open_latest(merge_fetched)
    taken: list[Fetched] = []

    async def take() -> None:
        with receiver:
            async for fetched in receiver:
                taken.append(fetched)  # noqa: PERF401 - what came before a failure counts

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        with trio.move_on_after(seconds):
            await poll(
                sender, settings, transport=feed, now=lambda: EPOCH + trio.current_time() - begun
            )
    return taken


async def test_a_first_tick_is_whole_and_then_only_news_is_asked_for(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    first, *later = await run(settings, feed, 4.5)
    assert {payload.game_id for payload in first.payloads} == {ONE, TWO}
    assert first.scoreboard is not None
    assert all(not tick.payloads and tick.scoreboard is None for tick in later)
    assert len(later) == 4
    assert feed.count("playbyplay") == 2
    assert "if-none-match" in feed.requests[-1][2]


async def test_a_changed_line_brings_its_plays(settings: Settings, autojump_clock: object) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    feed.on["scoreboard"] = lambda _: feed.games.__setitem__(
        0, entry(ONE, clock=f"PT{9 - int(trio.current_time()) % 9:02}M00.00S")
    )
    await run(settings, feed, 3.5)
    assert feed.count(ONE) > feed.count(TWO) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_trouble_that_passes_is_retried(
    settings: Settings, autojump_clock: object, status: int
) -> None:
    feed = FakeFeed(entry(ONE))
    left = [httpx.Response(status), httpx.Response(status)]
    feed.on[ONE] = lambda _: left.pop() if left else None
    fetched = await run(settings, feed, 6.0)
    assert not left
    assert sum(len(tick.payloads) for tick in fetched) == 1


async def test_retry_after_is_honoured_by_the_whole_process(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    left = [httpx.Response(429, headers={"retry-after": "7"})]
    feed.on[ONE] = lambda _: left.pop() if left else None
    await run(settings, feed, 20.0)
    times = [at for at, _, _ in feed.requests]
    assert max(b - a for a, b in itertools.pairwise(times)) >= 7


@pytest.mark.parametrize("kind", ["text/html", "application/xml"])
async def test_a_page_is_refused_and_others_go_on(
    settings: Settings, autojump_clock: object, kind: str
) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    status = 403 if "xml" in kind else 200
    page = httpx.Response(status, content=b"<p>no", headers={"content-type": kind})
    feed.on[ONE] = lambda _: page
    fetched = await run(settings, feed, 3.0)
    assert {payload.game_id for tick in fetched for payload in tick.payloads} == {TWO}


async def test_a_game_that_hangs_holds_nobody_up(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    hanging: list[float] = []

    def hang(_: httpx.Request) -> float | None:
        if trio.current_time() > feed.requests[0][0] + 2 and not hanging:
            hanging.append(trio.current_time())
            return 4.0
        return None

    feed.on[ONE] = hang
    fetched = await run(settings, feed, 14.0)
    starts = [tick.tick.started for tick in fetched]
    assert hanging
    assert max(b - a for a, b in itertools.pairwise(starts)) <= 2.0


async def test_down_is_told_and_recovered_from(settings: Settings, autojump_clock: object) -> None:
    feed = FakeFeed(entry(ONE))
    begun = trio.current_time()
    feed.on["scoreboard"] = lambda _: (
        httpx.Response(500) if 2 < trio.current_time() - begun < 12 else None
    )
    states = [tick.tick.feed for tick in await run(settings, feed, 30.0)]
    assert states[0] is FeedState.OK
    assert FeedState.DOWN in states
    assert states[-1] is FeedState.OK


async def test_one_bad_answer_among_good_ones_is_no_news(
    settings: Settings, autojump_clock: object
) -> None:
    feed, asked = FakeFeed(entry(ONE)), itertools.count()
    feed.on["scoreboard"] = lambda _: httpx.Response(403) if next(asked) % 3 else None
    states = {tick.tick.feed for tick in await run(settings, feed, 30.0)}
    assert next(asked) > 20
    assert states == {FeedState.OK}


async def test_one_bad_answer_while_no_game_is_on_is_no_news(
    settings: Settings, autojump_clock: object
) -> None:
    feed, asked = FakeFeed(entry(ONE, 1, "", start=1000.0)), itertools.count()
    feed.on["scoreboard"] = lambda _: httpx.Response(403) if next(asked) == 1 else None
    ticks = [tick.tick for tick in await run(settings, feed, 900.0)]
    assert next(asked) > 2
    assert {tick.feed for tick in ticks} == {FeedState.OK}


async def test_a_board_that_cannot_be_read_is_none(
    settings: Settings, autojump_clock: object
) -> None:
    feed, begun = FakeFeed(entry(ONE)), trio.current_time()
    other = httpx.Response(200, content=b'{"other":{}}', headers={"content-type": "x/json"})
    feed.on["scoreboard"] = lambda _: other if trio.current_time() - begun > 2 else None
    last = (await run(settings, feed, 20.0))[-1].tick
    assert last.feed is FeedState.DOWN
    assert last.feed_age_s > 15


async def test_asleep_until_shortly_before_tip_off(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE, 1, "", start=3000.0))
    fetched = await run(settings, feed, 2700.0)
    assert feed.count("scoreboard") < 8
    gaps = [b.tick.started - a.tick.started for a, b in itertools.pairwise(fetched)]
    assert max(gaps) < 15  # the watchdog, at 30 s, is fed all the same


async def test_the_last_final_is_watched_for_corrections_before_the_night_is_over(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE, 3, ""))
    end, corrected = (
        orjson.dumps({"game": {"gameId": ONE, "actions": [{"actionType": "game", "score": score}]}})
        for score in (0, 1)
    )
    begun = trio.current_time()

    def plays(request: httpx.Request) -> httpx.Response:
        body, tag = (end, "1") if trio.current_time() - begun < 1200 else (corrected, "2")
        if request.headers.get("if-none-match") == tag:
            return httpx.Response(304)
        return httpx.Response(200, content=body, headers={"etag": tag})

    feed.on[ONE] = plays
    fetched = await run(settings, feed, 1300.0)
    bodies = [payload.body for tick in fetched for payload in tick.payloads]
    assert bodies == [end, corrected]
    asked = feed.count("scoreboard")
    await run(settings, feed, 4 * 3600.0)
    assert feed.count("scoreboard") - asked < 200  # the idle pace would have asked 480 times


async def test_a_game_is_followed_past_midnight_until_it_ends(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    begun = trio.current_time()
    feed.on["scoreboard"] = lambda _: (
        feed.games.clear() if trio.current_time() - begun > 3 else None
    )
    end = {"game": {"gameId": ONE, "actions": [{"actionType": "game"}]}}
    feed.on[ONE] = lambda _: (
        httpx.Response(200, content=orjson.dumps(end)) if trio.current_time() - begun > 20 else None
    )
    fetched = await run(settings, feed, 40.0)
    assert feed.count(ONE) >= 4
    asked = [at - begun for at, path, _ in feed.requests if ONE in path]
    assert 20 < asked[-1] < 27
    assert not any(tick.dropped for tick in fetched)


async def test_a_game_of_yesterday_is_dropped_once_its_plays_end(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    begun = trio.current_time()
    feed.on["scoreboard"] = lambda _: (
        feed.games.clear() if trio.current_time() - begun > 3 else None
    )
    end = {"game": {"gameId": ONE, "actions": [{"actionType": "game"}]}}
    feed.on[ONE] = lambda _: (
        httpx.Response(200, content=orjson.dumps(end)) if trio.current_time() - begun > 20 else None
    )
    fetched = await run(settings, feed, 600.0)
    [drop] = [tick for tick in fetched if tick.dropped]
    assert drop.dropped == (ONE,)
    assert 80 < drop.tick.started - begun < 90  # a minute after its end, for corrections
    assert fetched[-1].tick.feed is FeedState.OK
    late = [at for at, path, _ in feed.requests if at - begun > 100 and "scoreboard" in path]
    assert len(late) < 20  # the idle pace


async def test_a_game_broken_off_is_not_followed_for_good(
    settings: Settings, autojump_clock: object
) -> None:
    few_ticks = settings.current.config.model_copy(update={"poll": Poll(live_interval_s=20.0)})
    settings.replace(Runtime(few_ticks, settings.current.forecaster))
    feed = FakeFeed(entry(ONE))
    begun = trio.current_time()
    feed.on["scoreboard"] = lambda _: (
        feed.games.clear() if trio.current_time() - begun > 3 else None
    )
    fetched = await run(settings, feed, 7 * 3600.0)
    [drop] = [tick for tick in fetched if tick.dropped]
    assert 6 * 3600 < drop.tick.started - begun < 6 * 3600 + 60


async def test_half_time_is_not_stale(settings: Settings, autojump_clock: object) -> None:
    half = entry(ONE, clock="PT00M00.00S") | {"period": 2, "gameStatusText": "Half"}
    feed = FakeFeed(half)
    assert {tick.tick.feed for tick in await run(settings, feed, 900.0)} == {FeedState.OK}
    feed = FakeFeed(entry(ONE))
    assert (await run(settings, feed, 900.0))[-1].tick.feed is FeedState.STALE


async def test_a_board_dated_ahead_of_its_time_freezes_nothing(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    begun = trio.current_time()
    ahead, now = "Wed, 01 Jan 2031 00:00:00 GMT", "Thu, 15 Jan 2026 02:00:00 GMT"

    def board(_: httpx.Request) -> httpx.Response:
        passed = int(trio.current_time() - begun)
        games = [entry(ONE, clock=f"PT09M{59 - passed:02}.00S")]
        body = orjson.dumps({"scoreboard": {"gameDate": "2026-01-14", "games": games}})
        date = ahead if 3 <= passed < 4 else now
        return httpx.Response(200, content=body, headers={"last-modified": date})

    feed.on["scoreboard"] = board
    fetched = await run(settings, feed, 50.0)
    boards = [tick.tick.started - begun for tick in fetched if tick.scoreboard]
    waits = [b - a for a, b in itertools.pairwise(boards)]
    assert 30 <= max(waits) <= 32  # then it is believed
    assert boards[-1] > 45


async def test_the_first_board_comes_with_its_plays_also_after_a_failure(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    refused = [httpx.Response(403, content=b"<no>")]
    feed.on["scoreboard"] = lambda _: refused.pop() if refused else None
    feed.on[TWO] = lambda _: 2.5  # longer than the pause between ticks
    fetched = await run(settings, feed, 40.0)
    first = next(tick for tick in fetched if tick.scoreboard)
    assert {payload.game_id for payload in first.payloads} == {ONE, TWO}


async def test_a_slow_schedule_comes_beside_the_ticks(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    slow = [4.9, 4.9, 4.9]  # within the time of one answer, but after two of 503
    feed.on["schedule"] = lambda _: (
        httpx.Response(503, headers={"retry-after": "3"}) if slow and slow.pop() else None
    )
    fetched = await run(settings, feed, 30.0)
    begun = fetched[0].tick.started
    [told] = [tick.tick.started - begun for tick in fetched if tick.schedule]
    assert told < 25


def test_a_merged_tick_has_no_plays_of_a_game_that_left(settings: Settings) -> None:
    tick = Tick(1, 0.0, settings.current)
    waiting = Fetched(tick, payloads=(Payload(ONE, b"{}", 0.0, None),))
    merged, superseded = merge_fetched(waiting, Fetched(tick, dropped=(ONE,)))
    assert (merged.payloads, merged.dropped, superseded) == ((), (ONE,), 0)


async def test_the_ceiling_holds_for_all_requests(
    settings: Settings, autojump_clock: object
) -> None:
    slow = settings.current.config.model_copy(update={"poll": Poll(max_requests_per_s=2.0)})
    settings.replace(Runtime(slow, settings.current.forecaster))
    feed = FakeFeed(*(entry(f"00225000{n:02}") for n in range(1, 11)))
    await run(settings, feed, 20.0)
    assert len(feed.requests) <= 2 * 20 + 3


async def test_a_slow_parser_slows_the_poller_and_gets_the_newest(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    feed.on["scoreboard"] = lambda _: feed.games.__setitem__(
        0, entry(ONE, clock=f"PT{int(600 - trio.current_time() % 600) // 60:02}M00.00S")
    )
    sender, receiver = open_latest(merge_fetched)
    numbers = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(poll, sender, settings, transport=feed, now=lambda: EPOCH))
        for _ in range(5):
            await trio.sleep(30)
            numbers.append((await receiver.receive()).tick.number)
        nursery.cancel_scope.cancel()
    # Two ticks at most for each that is taken: the poller waits for the parser.
    assert numbers == sorted(set(numbers))
    assert numbers[-1] <= 10
    assert feed.count("scoreboard") <= 11


async def test_a_cached_board_is_asked_for_just_after_the_cache_takes_a_new_copy(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    begun, life_s, phase_s = trio.current_time(), 4, 0.37
    found: dict[int, float] = {}

    def cached(request: httpx.Request) -> httpx.Response:
        at = trio.current_time() - begun - phase_s
        copy, age = divmod(at, life_s)
        found.setdefault(int(copy), age)
        headers = {
            "age": str(int(age)), "cache-control": f"public, max-age={life_s}",
            "etag": f'"{copy}"', "content-type": "application/json",
        }  # fmt: skip
        if request.headers.get("if-none-match") == headers["etag"]:
            return httpx.Response(304, headers=headers)
        games = [entry(ONE, clock=f"PT{int(copy) % 600 // 60:02}M{int(copy) % 60:02}.00S")]
        said = {"scoreboard": {"gameDate": "2026-01-14", "games": games}}
        return httpx.Response(200, content=orjson.dumps(said), headers=headers)

    feed.on["scoreboard"] = cached
    await run(settings, feed, 400.0)
    learnt = [age for copy, age in found.items() if copy >= 10]
    assert len(learnt) >= 85, "a copy was missed"
    assert max(learnt) <= 0.1 * life_s + 0.1
    assert feed.count("scoreboard") <= 1.4 * len(found)
