"""The poller on a scripted feed, with the parser that tells it what to follow: conditional,
retried, patient with one game, asleep between, polite when refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
import trio
from feed_kit import EPOCH, ONE, TWO, FakeFeed, action, entry

from nbad.channels import open_latest, open_latest_value
from nbad.domain import FeedState, Status
from nbad.feed.health import DOWN_AFTER_S
from nbad.feed.poll_plan import TrackedGame
from nbad.model.forecaster import Forecaster
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Config, Feed, Poll
from nbad.stages.envelopes import Document, Fetched, Updates, merge_fetched
from nbad.stages.parser import parse
from nbad.stages.poller import poll


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return Forecaster.load()


@pytest.fixture
def settings(forecaster: Forecaster) -> Settings:
    feed = Feed(base_url="http://feed/live", schedule_url="http://feed/schedule.json")
    config = Config(feed=feed, poll=Poll(max_requests_per_s=1000.0))
    return Settings(Runtime(config, forecaster))


class Told:
    """The end of the parser's channel: keeps what comes."""

    def __init__(self) -> None:
        self.updates: list[Updates] = []

    async def send(self, value: Updates) -> None:
        await trio.lowlevel.checkpoint()
        self.updates.append(value)

    def close(self) -> None:
        pass

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: object) -> None:
        pass


async def run(settings: Settings, feed: FakeFeed, seconds: float) -> list[Updates]:
    """What the parser made of each tick within ``seconds``."""
    begun = trio.current_time()
    to_parse, fetched = open_latest(merge_fetched)
    games: tuple[TrackedGame, ...] = ()
    to_poll, night = open_latest_value(games)
    told = Told()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parse, fetched, told, to_poll)
        with trio.move_on_after(seconds):
            await poll(
                to_parse,
                night,
                settings,
                transport=feed,
                now=lambda: EPOCH + trio.current_time() - begun,
            )
    return told.updates


def games_of(updates: list[Updates]) -> set[str]:
    return {update.entry.game_id for tick in updates for update in tick.games}


def gaps(times: list[float]) -> Iterator[float]:
    return (b - a for a, b in itertools.pairwise(times))


async def test_a_first_game_is_told_with_its_plays_and_then_only_news_is_asked_for(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    feed.plays[ONE] = [action(1, 2, 0)]
    told = await run(settings, feed, 4.6)
    first = next(tick for tick in told if tick.games)
    [one] = [update for update in first.games if update.entry.game_id == ONE]
    assert (one.entry.home_score, len(one.plays)) == (2, 1)
    assert games_of(told) == {ONE, TWO}
    assert sum(len(tick.games) for tick in told) == 2
    assert feed.count("scoreboard") == 5
    assert 5 <= feed.count(ONE) <= 6  # as often as the board
    conditional = ["if-none-match" in headers for _, path, headers in feed.requests if ONE in path]
    assert conditional == [False] + [True] * (len(conditional) - 1)


async def test_an_answer_that_cannot_be_read_is_not_what_is_asked_about_next(
    settings: Settings, autojump_clock: object
) -> None:
    """A 304 to it would leave the night as it was, for as long as the feed's copy stands."""
    feed = FakeFeed(entry(ONE))
    left = {"scoreboard": 1, ONE: 1}

    def torn(request: httpx.Request) -> httpx.Response | None:
        part = ONE if ONE in request.url.path else "scoreboard"
        left[part] -= 1
        headers = {"content-type": "application/json", "etag": '"torn"'}
        return (
            httpx.Response(200, content=b'{"game": }', headers=headers) if left[part] >= 0 else None
        )

    feed.on = {"scoreboard": torn, ONE: torn}
    told = await run(settings, feed, 60.0)
    assert games_of(told) == {ONE}
    assert max(left.values()) < -3
    assert '"torn"' not in {headers.get("if-none-match") for _, _, headers in feed.requests}


async def test_plays_are_asked_for_between_two_boards(
    settings: Settings, autojump_clock: object
) -> None:
    """A score is in both documents: so it is seen after a quarter of a second, not after half."""
    feed = FakeFeed(entry(ONE))
    await run(settings, feed, 10.0)
    boards = [at for at, path, _ in feed.requests if "scoreboard" in path][2:]
    plays = [at for at, path, _ in feed.requests if ONE in path][2:]
    assert max(gaps(sorted(boards + plays))) < 0.6


async def test_a_score_that_the_board_has_first_is_told_from_the_board(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    feed.plays[ONE] = [action(1, 2, 0)]
    begun = trio.current_time()
    feed.on[ONE] = lambda _: 300.0 if trio.current_time() - begun > 3 else None  # it hangs

    def board(_: httpx.Request) -> None:
        if trio.current_time() - begun > 5:
            feed.games[0] = entry(ONE, clock="PT05M00.00S", score=(30, 20))

    feed.on["scoreboard"] = board
    last = [tick for tick in await run(settings, feed, 8.0) if tick.games][-1]
    assert last.games[0].entry.home_score == 30
    assert last.tick.started - begun < 6.1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_trouble_that_passes_is_retried(
    settings: Settings, autojump_clock: object, status: int
) -> None:
    feed = FakeFeed(entry(ONE))
    left = [httpx.Response(status), httpx.Response(status)]
    feed.on[ONE] = lambda _: left.pop() if left else None
    told = await run(settings, feed, 6.0)
    assert not left
    assert games_of(told) == {ONE}


async def test_retry_after_is_honoured_by_the_whole_process(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    left = [httpx.Response(429, headers={"retry-after": "7"})]
    feed.on[ONE] = lambda _: left.pop() if left else None
    await run(settings, feed, 20.0)
    assert max(gaps([at for at, _, _ in feed.requests])) >= 7


async def test_an_hour_of_retry_after_is_an_hour(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    left = [httpx.Response(429, headers={"retry-after": "3600"})]
    feed.on[ONE] = lambda _: left.pop() if left else None
    await run(settings, feed, 4000.0)
    assert 3599 < max(gaps([at for at, _, _ in feed.requests])) < 3602


async def test_a_503_that_asks_to_wait_waits_for_its_document_alone(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    left = [httpx.Response(503, headers={"retry-after": "20"})]
    feed.on[ONE] = lambda _: left.pop() if left else None
    await run(settings, feed, 40.0)
    assert max(gaps([at for at, path, _ in feed.requests if ONE in path])) >= 19
    assert max(gaps([at for at, path, _ in feed.requests if TWO in path])) < 2


@pytest.mark.parametrize("kind", ["text/html", "application/xml"])
async def test_a_page_is_refused_and_others_go_on(
    settings: Settings, autojump_clock: object, kind: str
) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    feed.plays[TWO] = [action(1, 2, 0)]
    feed.on[ONE] = lambda _: httpx.Response(
        403 if "xml" in kind else 200, content=b"<p>no", headers={"content-type": kind}
    )
    told = await run(settings, feed, 3.0)
    assert {u.entry.game_id for tick in told for u in tick.games if u.plays} == {TWO}


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
    assert hanging
    assert max(gaps([tick.tick.started for tick in fetched])) <= 2.0
    assert max(gaps([at for at, path, _ in feed.requests if TWO in path])) < 1.5


async def test_down_is_told_and_recovered_from(settings: Settings, autojump_clock: object) -> None:
    feed = FakeFeed(entry(ONE))
    begun = trio.current_time()
    feed.on["scoreboard"] = lambda _: (
        httpx.Response(500) if 2 < trio.current_time() - begun < 12 else None
    )
    states = [tick.tick.feed for tick in await run(settings, feed, 60.0)]
    assert states[0] is FeedState.OK
    assert FeedState.DOWN in states
    assert states[-1] is FeedState.OK


async def test_down_is_told_when_it_is_so_and_not_with_the_next_answer(
    settings: Settings, autojump_clock: object
) -> None:
    feed, begun = FakeFeed(entry(ONE, 1, "", start=1000.0)), trio.current_time()
    feed.on["scoreboard"] = lambda _: (
        httpx.Response(403) if trio.current_time() > begun + 2 else None
    )
    ticks = [tick.tick for tick in await run(settings, feed, 900.0)]
    failing_since = next(
        at for at, path, _ in feed.requests if "scoreboard" in path and at > begun + 2
    )
    down = next(tick for tick in ticks if tick.feed is FeedState.DOWN)
    assert down.started == pytest.approx(failing_since + DOWN_AFTER_S)


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


async def test_who_could_read_no_board_yet_does_not_sleep_by_the_schedule(
    settings: Settings, autojump_clock: object
) -> None:
    """A start late in the night: the next tip-off is tomorrow's, and a game is still on."""
    feed = FakeFeed(entry(ONE))
    tomorrow = {
        "gameId": TWO, "gameDateTimeUTC": "2026-01-16T00:00:00Z", "gameStatus": 1,
        "homeTeam": {"teamId": 1}, "awayTeam": {"teamId": 2},
    }  # fmt: skip
    dates = {"leagueSchedule": {"gameDates": [{"games": [tomorrow]}]}}
    feed.on["schedule"] = lambda _: httpx.Response(200, content=orjson.dumps(dates))
    bad = [httpx.Response(200, content=b"{}}", headers={"content-type": "x/json"})] * 2
    feed.on["scoreboard"] = lambda _: bad.pop() if bad else None
    assert games_of(await run(settings, feed, 60.0)) == {ONE}


async def test_asleep_until_shortly_before_tip_off(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE, 1, "", start=3000.0))
    fetched = await run(settings, feed, 2700.0)
    assert feed.count("scoreboard") < 8
    assert (
        max(gaps([tick.tick.started for tick in fetched])) < 15
    )  # the watchdog, at 30 s, is fed all the same


async def test_a_final_is_watched_for_corrections_before_the_night_is_over(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE, 3, "", score=(100, 90)))
    feed.plays[ONE] = [action(1, 100, 90), action(2, 100, 90, kind="game", subkind="end")]
    begun = trio.current_time()

    def plays(_: httpx.Request) -> None:
        if trio.current_time() - begun > 1200:
            feed.games[0] = entry(ONE, 3, "", score=(99, 90))
            feed.plays[ONE] = [
                action(1, 99, 90, edited=500),
                action(2, 99, 90, kind="game", subkind="end", edited=500),
            ]

    feed.on[ONE] = plays
    told = await run(settings, feed, 1300.0)
    [first, *_, last] = [tick.games[0] for tick in told if tick.games]
    assert (first.entry.home_score, last.entry.home_score) == (100, 99)
    asked = feed.count("scoreboard")
    await run(settings, feed, 4 * 3600.0)
    assert feed.count("scoreboard") - asked < 490  # the idle pace, no schedule being known


def ends_off_the_board(feed: FakeFeed, off: float, end: float) -> float:
    """The night rolls over ``off`` s from now, and game one ends at ``end``."""
    begun = trio.current_time()
    feed.plays[ONE] = [action(1, 2, 0)]

    def board(_: httpx.Request) -> None:
        if trio.current_time() - begun > off:
            feed.games.clear()

    def plays(_: httpx.Request) -> None:
        if trio.current_time() - begun > end:
            over = action(9, 90, 80, kind="game", subkind="end")
            feed.plays[ONE] = [action(1, 2, 0), over]

    feed.on["scoreboard"], feed.on[ONE] = board, plays
    return begun


async def test_a_game_is_followed_past_midnight_until_it_ends(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    begun = ends_off_the_board(feed, 3, 20)
    told = await run(settings, feed, 40.0)
    asked = [at - begun for at, path, _ in feed.requests if ONE in path]
    assert 20 < asked[-1] < 22
    assert [tick.games[0].entry.status for tick in told if tick.games][-1] == "final"
    assert not any(tick.dropped for tick in told)


async def test_a_game_of_yesterday_is_dropped_once_its_plays_end(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    begun = ends_off_the_board(feed, 3, 20)
    told = await run(settings, feed, 600.0)
    [drop] = [tick for tick in told if tick.dropped]
    assert drop.dropped == (ONE,)
    assert 80 < drop.tick.started - begun < 115  # a minute after its end, for corrections
    assert told[-1].tick.feed is FeedState.OK
    late = [at for at, path, _ in feed.requests if at - begun > 130 and "scoreboard" in path]
    assert len(late) < 20  # the idle pace


async def test_a_final_that_leaves_the_board_for_one_poll_keeps_its_plays(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE, 3, "", score=(100, 90)), entry(TWO))
    feed.plays[ONE] = [action(1, 100, 90), action(2, 100, 90, kind="game", subkind="end")]
    begun, kept = trio.current_time(), list(feed.games)

    def board(_: httpx.Request) -> None:
        passed = trio.current_time() - begun
        feed.games[:] = kept[1:] if 5 < passed < 7 else kept

    feed.on["scoreboard"] = board
    told = await run(settings, feed, 200.0)
    assert not any(tick.dropped for tick in told)
    assert sum(update.entry.game_id == ONE for tick in told for update in tick.games) == 1


async def test_a_game_broken_off_is_not_followed_for_good(
    settings: Settings, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbad.feed.followed._FORGET_LIVE_AFTER_S", 300.0)
    feed = FakeFeed(entry(ONE))
    begun = ends_off_the_board(feed, 3, 9e9)
    told = await run(settings, feed, 400.0)
    [drop] = [tick for tick in told if tick.dropped]
    assert 300 < drop.tick.started - begun < 360


async def test_half_time_is_not_stale(settings: Settings, autojump_clock: object) -> None:
    half = entry(ONE, clock="PT00M00.00S") | {"period": 2, "gameStatusText": "Half"}
    feed = FakeFeed(half)
    assert {tick.tick.feed for tick in await run(settings, feed, 200.0)} == {FeedState.OK}
    feed = FakeFeed(entry(ONE))
    assert (await run(settings, feed, 200.0))[-1].tick.feed is FeedState.STALE


async def test_the_first_board_comes_with_its_plays_also_after_a_failure(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    feed.plays[ONE] = feed.plays[TWO] = [action(1, 2, 0)]
    refused = [httpx.Response(403, content=b"<no>")]
    feed.on["scoreboard"] = lambda _: refused.pop() if refused else None
    feed.on[TWO] = lambda _: 2.5  # longer than the pause between ticks
    told = await run(settings, feed, 40.0)
    firsts = {u.entry.game_id: len(u.plays) for tick in told[::-1] for u in tick.games}
    assert firsts == {ONE: 1, TWO: 1}
    whole = [tick.tick.whole for tick in told]
    assert whole.index(True, whole.index(False)) > whole.index(False)
    assert whole[-1]  # once the slowest game came


async def test_a_game_whose_plays_are_refused_is_told_all_the_same(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE, score=(12, 9)))
    feed.on[ONE] = lambda _: httpx.Response(403, content=b"<no>")
    told = [tick for tick in await run(settings, feed, 20.0) if tick.games]
    assert told[0].games[0].entry.home_score == 12
    assert told[0].tick.whole


async def test_a_slow_schedule_comes_beside_the_ticks(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE))
    slow = [4.9, 4.9]  # within the time of one answer, but after two of 503
    feed.on["schedule"] = lambda _: (
        httpx.Response(503, headers={"retry-after": "3"}) if slow and slow.pop() else None
    )
    fetched = await run(settings, feed, 30.0)
    begun = fetched[0].tick.started
    [told] = [tick.tick.started - begun for tick in fetched if tick.schedule]
    assert told < 25


@pytest.mark.parametrize("headers", [{}, {"retry-after": "1"}])
async def test_a_schedule_that_failed_is_asked_for_again_soon_then_ever_less_often(
    settings: Settings, autojump_clock: object, headers: dict[str, str]
) -> None:
    feed = FakeFeed(entry(ONE))
    asked: list[float] = []

    def answer(_: httpx.Request) -> httpx.Response | None:
        asked.append(trio.current_time())
        # Each time anew: a client tries a document more than once before it gives it up.
        status = 503 if headers else 404
        return None if asked[-1] - asked[0] > 1000 else httpx.Response(status, headers=headers)

    feed.on["schedule"] = answer
    fetched = await run(settings, feed, 1500.0)
    assert any(tick.schedule for tick in fetched)
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    pauses = [wait for wait in waits if wait > 4]
    assert pauses[:5] == pytest.approx([5, 10, 20, 40, 80], abs=2.0)
    assert max(pauses) < 310


async def test_an_outage_confirms_no_copy_from_before_but_what_follows_it_does(
    settings: Settings, autojump_clock: object
) -> None:
    feed, begun = FakeFeed(entry(ONE)), trio.current_time()
    whole = [action(1, 2, 0), action(2, 4, 0)]

    def refuse(_: httpx.Request) -> httpx.Response | None:
        at = trio.current_time() - begun
        feed.plays[ONE] = whole if at < 5 else whole[:1]
        return httpx.Response(403) if 7 < at < 60 else None

    feed.on[ONE] = refuse
    told = await run(settings, feed, 100.0)
    [back] = [tick.tick.started - begun for tick in told for game in tick.games if game.corrected]
    assert 60 < back < 80


def test_two_ticks_become_one_with_the_newest_of_each_document(settings: Settings) -> None:
    old, new = Tick(1, 1.0, settings.current), Tick(2, 2.0, settings.current)
    old.errors["poll"], old.feed_errors["timeout"] = 2, 2
    waiting = Fetched(
        old, documents=(Document("", b"1", 0.0), Document(ONE, b"2", 0.0)), failed=(TWO, ONE)
    )
    newer = Fetched(new, documents=(Document("", None, 0.0), Document(ONE, b"3", 0.0)))
    merged, superseded = merge_fetched(waiting, newer)
    assert [document.body for document in merged.documents] == [b"1", b"3"]
    assert (merged.tick.number, merged.tick.started, merged.failed) == (2, 1.0, (TWO,))
    assert (merged.tick.errors["poll"], merged.tick.feed_errors["timeout"]) == (2, 2)
    assert superseded == 2


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
    games: tuple[TrackedGame, ...] = (TrackedGame(ONE, Status.LIVE),)
    sender, receiver = open_latest(merge_fetched)
    _, night = open_latest_value(games)
    numbers = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            partial(poll, sender, night, settings, transport=feed, now=lambda: EPOCH)
        )
        for _ in range(5):
            await trio.sleep(30)
            numbers.append((await receiver.receive()).tick.number)
        nursery.cancel_scope.cancel()
    # Two ticks at most for each that is taken: the poller waits for the parser.
    assert numbers == sorted(set(numbers))
    assert numbers[-1] <= 10
    assert feed.count("scoreboard") <= 21


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


async def test_the_ceiling_lets_the_close_and_late_game_go_first_and_starves_none(
    settings: Settings, autojump_clock: object
) -> None:
    slow = settings.current.config.model_copy(update={"poll": Poll(max_requests_per_s=5.0)})
    settings.replace(Runtime(slow, settings.current.forecaster))
    close, rout = "0022500030", "0022500031"
    others = [entry(f"00225000{n:02}", score=(20, 10)) for n in range(1, 11)]
    last = {"period": 4}
    feed = FakeFeed(
        *others,
        entry(rout, clock="PT02M00.00S", score=(120, 80)) | last,
        entry(close, clock="PT02M00.00S", score=(100, 99)) | last,
    )
    await run(settings, feed, 120.0)
    assert feed.count("scoreboard") > 80
    counts = {game["gameId"]: feed.count(game["gameId"]) for game in feed.games}
    assert counts[close] > counts[rout]
    assert min(counts.values()) >= 20


async def test_thirty_live_games_are_all_followed(
    settings: Settings, autojump_clock: object
) -> None:
    usual = settings.current.config.model_copy(update={"poll": Poll()})
    settings.replace(Runtime(usual, settings.current.forecaster))
    feed = FakeFeed(*(entry(f"00225000{n:02}") for n in range(1, 31)))
    await run(settings, feed, 30.0)
    for game in feed.games:
        asked = [at for at, path, _ in feed.requests if game["gameId"] in path]
        assert max(gaps(asked)) < 2.5


class Steps(trio.abc.Instrument):
    """Counts the turns of one task."""

    def __init__(self, task: trio.lowlevel.Task) -> None:
        self.task, self.count = task, 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task is self.task


async def test_answers_that_come_one_by_one_do_not_wake_the_poller_each(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(*(entry(f"00225000{n:02}") for n in range(1, 16)))

    def one_more(_: httpx.Request) -> None:
        for game in feed.games:
            plays = feed.plays.setdefault(game["gameId"], [])
            plays.append(action(len(plays) + 1, 0, 0))

    feed.on["scoreboard"] = one_more
    feed.on["playbyplay"] = lambda request: int(request.url.path[-7:-5]) * 0.0005
    steps = Steps(trio.lowlevel.current_task())
    trio.lowlevel.add_instrument(steps)
    told = await run(settings, feed, 10.0)
    rounds = [tick for tick in told if len(tick.games) == len(feed.games)]
    assert len(rounds) >= 8
    assert steps.count < 10 * len(rounds)


@pytest.mark.parametrize(
    ("game", "what"),
    [
        ({"start": -4 * 3600.0}, "late by hours"),
        ({"gameTimeUTC": None}, "without a time"),
        ({"gameTimeUTC": "0001-01-01T05:00:00Z"}, "a time that is none"),
        ({"gameStatusText": "PPD"}, "postponed, and perhaps resumed"),
    ],
)
async def test_a_game_that_may_begin_at_any_time_is_waited_for_awake(
    settings: Settings, autojump_clock: object, game: dict[str, Any], what: str
) -> None:
    start = game.pop("start", -1.0)
    feed = FakeFeed(entry(ONE, 1, "", start=start) | game)
    begun = trio.current_time()

    def board(_: httpx.Request) -> None:
        if trio.current_time() - begun > 900:
            feed.games[0] = entry(ONE)

    feed.on["scoreboard"] = board
    told = await run(settings, feed, 950.0)
    live = [t for t in told for u in t.games if u.entry.status == "live"]
    assert live
    assert live[0].tick.started - begun < 935, what


@pytest.mark.parametrize(("late_s", "told"), [(1200.0, "live"), (600.0, "scheduled")])
async def test_a_board_that_stands_still_before_the_tip_hides_no_game(
    settings: Settings, autojump_clock: object, late_s: float, told: str
) -> None:
    """It says that the game is to come for long after its time; until then plays are not asked for:
    each night they would be refused."""
    feed = FakeFeed(entry(ONE, 1, "", start=-late_s))
    feed.plays[ONE] = [action(1, 2, 0), action(2, 2, 3)]
    updates = await run(settings, feed, 90.0)
    last = [update for tick in updates for update in tick.games][-1]
    assert last.entry.status == told
    assert feed.count("playbyplay") > 5 if told == "live" else not feed.count("playbyplay")


async def test_of_a_game_that_was_broken_off_the_plays_are_known_to_who_starts_then(
    settings: Settings, autojump_clock: object
) -> None:
    feed = FakeFeed(entry(ONE, 2, score=(2, 3)) | {"gameStatusText": "Suspended"})
    feed.games.append(entry(TWO, 1, "") | {"gameStatusText": "PPD"})
    feed.plays[ONE] = [action(1, 2, 0), action(2, 2, 3)]
    updates = await run(settings, feed, 90.0)
    last = [update for tick in updates for update in tick.games if update.entry.game_id == ONE][-1]
    assert (last.entry.status, len(last.plays)) == ("postponed", 2)
    assert not feed.count(TWO)


async def test_a_host_whose_clock_is_slow_is_woken_by_the_feeds_own(
    settings: Settings, autojump_clock: object
) -> None:
    """Our clock says that tip-off is in four hours; the feed's says in ten minutes."""
    feed = FakeFeed(entry(ONE, 1, "", start=4 * 3600.0))
    feed.ahead_s = 4 * 3600.0 - 600
    await run(settings, feed, 700.0)
    asked = [at for at, path, _ in feed.requests if "scoreboard" in path]
    assert feed.count("scoreboard") > 6
    assert max(gaps(asked)) < 500


async def test_a_date_of_long_ago_does_not_put_the_poller_to_sleep(
    settings: Settings, autojump_clock: object
) -> None:
    """A cache that kept the Date of its copy: tip-off is in ten minutes."""
    feed = FakeFeed(entry(ONE, 1, "", start=600.0))
    feed.ahead_s = -86_400.0
    await run(settings, feed, 700.0)
    assert feed.count("scoreboard") > 6
    asked = [at for at, path, _ in feed.requests if "scoreboard" in path]
    assert max(gaps(asked)) < 500


async def test_a_changed_feed_is_asked_at_once(settings: Settings, autojump_clock: object) -> None:
    feed = FakeFeed(entry(ONE, 1, "", start=9 * 3600.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, settings, feed, 100.0)
        await trio.sleep(50)
        asked = feed.count("/other/scoreboard")
        config = settings.current.config
        other = config.feed.model_copy(update={"base_url": "http://feed/other"})
        changed = config.model_copy(update={"feed": other})
        settings.replace(Runtime(changed, settings.current.forecaster))
        await trio.sleep(1)
        assert (asked, feed.count("/other/scoreboard")) == (0, 1)


async def test_the_changed_feeds_first_board_is_asked_for_again_where_it_cannot_be_read(
    settings: Settings, autojump_clock: object
) -> None:
    """What the other feed said of the night says nothing of this one's."""
    feed = FakeFeed(entry(ONE, 1, "", start=9 * 3600.0))
    bad = httpx.Response(200, content=b"{}}", headers={"content-type": "x/json"})
    feed.on["/other/scoreboard"] = lambda _: bad
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, settings, feed, 150.0)
        await trio.sleep(50)
        config = settings.current.config
        other = config.feed.model_copy(update={"base_url": "http://feed/other"})
        changed = config.model_copy(update={"feed": other})
        settings.replace(Runtime(changed, settings.current.forecaster))
        await trio.sleep(60)
        assert feed.count("/other/scoreboard") > 3
