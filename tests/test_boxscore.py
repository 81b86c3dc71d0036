"""The box score: read defensively, asked for where somebody reads it, and behind all else."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trio
from feed_kit import EPOCH, ONE, TWO, FakeFeed, entry
from jsonschema_rs import Draft202012Validator
from nba_api.live.nba.endpoints import BoxScore as NbaBoxScore
from stream_kit import FakeSettings, make_game, runtime
from structlog.testing import capture_logs

from nbad.channels import open_latest, open_latest_value
from nbad.domain import Status
from nbad.feed.box_orders import WANTED_S, BoxOrders
from nbad.feed.boxscore import parse_box_score
from nbad.feed.decode import BadData
from nbad.feed.endpoints import box_score_url
from nbad.feed.poll_plan import TrackedGame
from nbad.observe.metrics import Metrics
from nbad.observe.statistics import Statistics
from nbad.settings.schema import Config, Feed, Poll
from nbad.simulator import simulate_night
from nbad.stages.envelopes import merge_fetched
from nbad.stages.parser import parse
from nbad.stages.poller import poll
from nbad.stages.server import open_hub
from nbad.web.app import make_app
from nbad.web.openapi import DOCUMENT
from nbad.web.status import Live

REAL = Path(__file__).parents[2] / "shared" / "data" / "live"
SCHEMA = DOCUMENT["paths"]["/v1/games/{game_id}/boxscore"]["get"]["responses"]["200"]


def simulated(second: float = 9000.0) -> bytes:
    """A simulated game's box score, so long after its night began."""
    night = simulate_night(1, 3)
    (game_id,) = night.finals
    told = night.box_score(game_id, night.starts_at + second)
    assert told is not None
    return b"".join(told.chunks)


def valid(body: bytes) -> Any:
    told = orjson.loads(body)
    Draft202012Validator(SCHEMA["content"]["application/json"]["schema"]).validate(told)
    return told


def test_the_address_is_nba_apis() -> None:
    theirs = NbaBoxScore(ONE, get_request=False).endpoint_url.format(game_id=ONE)
    assert box_score_url(Config().feed, ONE).endswith(theirs)


@pytest.mark.skipif(not REAL.exists(), reason="needs the shared data")
def test_a_real_one_is_read_as_it_was_published() -> None:
    box = parse_box_score((REAL / "boxscore_0042200123.json").read_bytes())
    assert (box.game_id, box.period, box.clock_s) == ("0042200123", 4, 0.0)
    assert (box.away.tricode, box.away.score, box.home.tricode, box.home.score) == (
        "PHI", 102, "BKN", 97,
    )  # fmt: skip
    assert (box.home.periods, box.home.timeouts, box.home.in_bonus) == ((28, 19, 35, 15), 0, False)
    assert box.home.numbers.field_goals == (34, 79)
    assert box.home.numbers.turnovers == 10  # eight by players, two of the side
    (johnson,) = (p for p in box.home.players if p.name == "C. Johnson")
    assert (johnson.seconds, johnson.plus_minus, johnson.numbers.points) == (2624.0, -1, 17)
    assert johnson.starter
    # Who was hurt or sat out took no part.
    assert all(player.seconds for side in (box.home, box.away) for player in side.players)


def test_a_simulated_one_adds_up() -> None:
    told = valid(orjson.dumps(parse_box_score(simulated())))
    for side in (told["away"], told["home"]):
        assert side["score"] == sum(side["periods"]) == side["numbers"]["points"] > 0
        players = side["players"]
        assert sum(player["numbers"]["points"] for player in players) == side["score"]
        assert sum(player["on_court"] for player in players) == 5
        for each in (side, *players):
            numbers = each["numbers"]
            twos, threes = numbers["field_goals"][0], numbers["threes"][0]
            assert numbers["points"] == 2 * twos + threes + numbers["free_throws"][0]


def test_what_the_feed_leaves_out_is_null_and_a_bad_player_costs_only_himself() -> None:
    document = orjson.loads(simulated())
    home = document["game"]["homeTeam"]
    del home["timeoutsRemaining"], home["inBonus"]
    home["periods"][1]["score"] = -1
    home["statistics"] = None
    whole = [p for p in home["players"] if p["played"] == "1"]
    whole[0]["statistics"] |= {"points": 10**18, "plusMinusPoints": 1e300, "assists": "x"}
    whole[1]["nameI"] = whole[1]["name"] = None
    whole[2]["statistics"] |= {"fieldGoalsMade": 9, "fieldGoalsAttempted": 3, "minutes": "PT9S"}
    body = orjson.dumps(document)
    told = valid(orjson.dumps(parse_box_score(body)))["home"]
    assert told["timeouts"] is told["in_bonus"] is told["numbers"]["points"] is None
    assert len(told["periods"]) == 1
    assert len(told["players"]) == len(whole) - 1
    first, third = told["players"][:2]
    assert first["numbers"]["points"] is first["plus_minus"] is first["numbers"]["assists"] is None
    assert third["numbers"]["field_goals"] is third["seconds"] is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"game": 7}', b'{"game": {"gameId": "1"}}', b'{"game": null}']
)
def test_what_is_no_box_score_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(BadData):
        parse_box_score(body)


def test_whatever_comes_is_read_or_refused() -> None:
    rng = random.Random(20261126)
    whole = simulated()
    odd: list[Any] = [None, True, -1, 1e308, "", "x" * 10_000, [], {}, "DEEP", 2**63]
    deep = b"[" * 1000 + b"]" * 1000  # as deep as JSON is read, deeper than str() can follow

    def spoil(value: Any) -> Any:
        if rng.random() < 0.02:
            return rng.choice(odd)
        if isinstance(value, dict):
            return {key: spoil(of) for key, of in value.items()}
        return [spoil(of) for of in value] if isinstance(value, list) else value

    read = 0
    for _ in range(300):
        try:
            body = orjson.dumps(spoil(orjson.loads(whole))).replace(b'"DEEP"', deep)
            box = parse_box_score(body)
        except BadData:
            continue
        read += 1
        assert len(orjson.dumps(valid(orjson.dumps(box)))) < 50_000
    assert read > 50


# Who asks for it, and when.


class Asked:
    """A poller and a parser on a scripted feed, and orders for box scores."""

    def __init__(self, feed: FakeFeed, **poll_: float) -> None:
        self.feed = feed
        self.boxes = BoxOrders()
        self.drain = Drain()
        told = Feed(base_url="http://feed/live", schedule_url="http://feed/schedule.json")
        self.settings = FakeSettings(
            Config(feed=told, poll=Poll(**{"max_requests_per_s": 1000.0} | poll_))
        )

    async def read(self, game_id: str, within_s: float = 5.0) -> bytes | None:
        with trio.move_on_after(within_s):
            return await self.boxes.newest(game_id)
        return None

    def times(self, part: str = "boxscore") -> list[float]:
        return [at for at, path, _ in self.feed.requests if part in path]


@asynccontextmanager
async def asked(feed: FakeFeed, **poll_: float) -> AsyncIterator[Asked]:
    """It runs for the block."""
    asked_ = Asked(feed, **poll_)
    to_parse, fetched = open_latest(merge_fetched)
    games: tuple[TrackedGame, ...] = ()
    to_poll, night = open_latest_value(games)
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parse, fetched, asked_.drain, to_poll)
        nursery.start_soon(
            partial(
                poll, to_parse, night, asked_.settings, transport=feed, boxes=asked_.boxes,
                now=lambda: EPOCH + trio.current_time() - begun,
            )
        )  # fmt: skip
        await trio.sleep(1.5)  # the night is known
        yield asked_
        nursery.cancel_scope.cancel()


class Drain:
    """The end of the parser's channel, and the score that was told last."""

    score = (0, 0)

    async def send(self, updates: Any) -> None:
        for update in updates.games:
            self.score = update.entry.home_score, update.entry.away_score
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        pass

    def __enter__(self) -> Drain:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def box_of(game_id: str, period: int = 1) -> bytes:
    sides = {
        f"{side}Team": {"teamTricode": code, "score": 3, "players": []}
        for side, code in (("home", "BOS"), ("away", "DEN"))
    }
    return orjson.dumps({"game": {"gameId": game_id, "period": period, **sides}})


def answers(body: bytes) -> Any:
    return lambda _: httpx.Response(
        200, content=body, headers={"content-type": "application/json", "etag": '"1"'}
    )


async def test_it_is_asked_for_only_while_somebody_reads_it(autojump_clock: object) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    feed.on[f"boxscore_{ONE}"] = answers(box_of(ONE))
    async with asked(feed) as it:
        await trio.sleep(60)
        assert not it.times()
        told = await it.read(ONE)
        assert told is not None
        assert valid(told)["game_id"] == ONE
        await trio.sleep(3 * WANTED_S)
        # Every five live intervals, from the first until nobody asked any more.
        assert len(it.times()) == 1 + WANTED_S / 5
        feed.on[f"boxscore_{ONE}"] = answers(box_of(ONE, 4))
        told = await it.read(ONE)
        assert told is not None
        assert valid(told)["period"] == 4  # not that of three minutes ago
        assert not it.times(f"boxscore_{TWO}")


async def test_it_goes_behind_board_and_plays_and_within_the_ceiling(
    autojump_clock: object,
) -> None:
    """With a ceiling that the night needs whole: the box score still comes, now and then."""
    feed = FakeFeed(entry(ONE), entry(TWO))
    feed.on[f"boxscore_{ONE}"] = answers(box_of(ONE))
    async with asked(feed, max_requests_per_s=1.0) as it:
        with trio.move_on_after(120):
            while True:
                await it.read(ONE)
                await trio.sleep(5)
        times = it.times("")
        assert len(times) <= (trio.current_time() - feed.began) + 3
        assert 4 <= len(it.times()) <= 16
        board = it.times("scoreboard")
        assert max(b - a for a, b in pairwise(board[5:])) < 6


async def test_a_feed_without_it_is_asked_ever_less_often_and_the_night_goes_on(
    autojump_clock: object,
) -> None:
    feed = FakeFeed(entry(ONE))
    feed.on["boxscore"] = lambda _: httpx.Response(403, content=b"<Error/>")
    async with asked(feed) as it:
        before = len(it.times("scoreboard"))
        for _ in range(20):
            assert await it.read(ONE, 30) is None
        assert 12 <= len(it.times()) <= 15  # 10, 20, 40 s, then once a minute
        assert len(it.times("scoreboard")) - before >= 580
        feed.on["boxscore"] = answers(box_of(TWO))  # another game's
        assert await it.read(ONE, 90) is None
        feed.on["boxscore"] = answers(box_of(ONE))
        assert await it.read(ONE, 90) is not None


async def test_a_bug_in_reading_it_costs_it_and_nothing_else(autojump_clock: object) -> None:
    feed = FakeFeed(entry(ONE))
    feed.on["boxscore"] = lambda _: 1 / 0
    async with asked(feed) as it:
        assert await it.read(ONE, 30) is None
        assert len(it.times("scoreboard")) > 25
        feed.on["boxscore"] = answers(box_of(ONE))
        assert await it.read(ONE, 60) is not None


async def test_while_the_board_is_refused_nobody_asks_for_more(autojump_clock: object) -> None:
    feed = FakeFeed(entry(ONE))
    async with asked(feed) as it:
        refused = httpx.Response(403, content=b"<Error/>")
        feed.on["scoreboard"] = lambda _: refused
        await trio.sleep(5)
        feed.on["boxscore"] = answers(box_of(ONE))
        assert await it.read(ONE, 60) is None
        assert not it.times()
        del feed.on["scoreboard"]
        assert await it.read(ONE, 60) is not None


async def test_a_game_to_come_has_none_and_one_that_left_is_forgotten(
    autojump_clock: object,
) -> None:
    feed = FakeFeed(entry(ONE, 1, start=7200), entry(TWO, 3, "", score=(99, 90)))
    feed.on[f"boxscore_{TWO}"] = answers(box_of(TWO))
    async with asked(feed) as it:
        assert await it.read(ONE) is None
        assert await it.read(TWO) is not None
        await trio.sleep(50)
        assert 1 <= len(it.times()) <= 2  # over: as seldom as all else
        feed.games = feed.games[:1]
        await trio.sleep(400)
        assert await it.read(TWO) is None


# How it is told.


async def test_over_http_the_first_waits_and_who_has_it_is_told_so(autojump_clock: object) -> None:
    known = FakeSettings(Config())
    hub = open_hub(known)
    told, to_come = make_game(1), make_game(2)
    entry_ = to_come.update.entry._replace(status=Status.SCHEDULED)
    games = (told, to_come._replace(update=to_come.update._replace(entry=entry_)))
    hub.journal.apply(1, games, hub.journal.encode(games), {})
    boxes = BoxOrders()
    live = Live(hub, Statistics(), Metrics(), boxes=boxes)
    transport = httpx.ASGITransport(make_app(live, known))
    async with httpx.AsyncClient(transport=transport, base_url="http://nbad") as http:
        path = f"/v1/games/{ONE}/boxscore"
        late = await http.get(path)
        assert (late.status_code, late.headers["retry-after"]) == (503, "5")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bring_in_a_second, boxes)
            first = await http.get(path)
        assert valid(first.content)["game_id"] == ONE
        again = await http.get(path, headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 304
        for game_id, why in ((TWO, "not begun"), ("0022599999", "no game")):
            none = await http.get(f"/v1/games/{game_id}/boxscore")
            assert none.status_code == 404
            assert why in none.json()["error"]
        live.boxes = None  # as a relay
        assert "relay" in (await http.get(path)).json()["error"]


async def bring_in_a_second(boxes: BoxOrders) -> None:
    await trio.sleep(1)
    boxes.bring(boxes.ask(ONE), orjson.dumps(parse_box_score(box_of(ONE))), 5.0, 5.0, 15.0)


# Where it may show a score before board and plays do.


class CachedFeed(FakeFeed):
    """Each document is a copy that a cache takes anew every ``life_s``, at a moment of its own."""

    def __init__(self, life_s: int, *games: Any) -> None:
        super().__init__(*games)
        self.life_s = life_s
        self.on["boxscore"] = lambda _: httpx.Response(403, content=b"<Error/>")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        phases = {"scoreboard": 1.0, "playbyplay": 4.0, "boxscore": 7.0}
        phase = next((at for part, at in phases.items() if part in request.url.path), 0.0)
        answer.headers["cache-control"] = f"max-age={self.life_s}"
        answer.headers["age"] = str(int((trio.current_time() - phase) % self.life_s))
        return answer


async def test_behind_a_cache_it_is_asked_for_just_after_its_copy_ends(
    autojump_clock: object,
) -> None:
    feed = CachedFeed(10, entry(ONE), entry(TWO, 3, "", score=(99, 90)))
    feed.on["boxscore"] = answers(box_of(ONE))
    async with asked(feed) as it:
        await trio.sleep(600)
        assert not it.times(f"boxscore_{TWO}")  # over
        times = it.times()
        assert 60 <= len(times) <= 75
        # Once the moment is known.
        assert all((at - 7.0) % 10 < 0.2 for at in times[-20:])
        # Who reads it is given what comes then: no request of its own but the first.
        before = len(it.times())
        for _ in range(20):
            assert await it.read(ONE) is not None
            await trio.sleep(5)
        assert len(it.times()) - before <= 13


async def test_what_a_cache_keeps_for_long_is_good_as_long(autojump_clock: object) -> None:
    feed = CachedFeed(60, entry(ONE))
    feed.on["boxscore"] = answers(box_of(ONE))
    async with asked(feed) as it:
        for _ in range(60):
            assert await it.read(ONE) is not None
            await trio.sleep(5)
        assert len(it.times()) <= 20


async def test_its_score_is_told_though_what_a_reader_wants_of_it_cannot_be_read(
    autojump_clock: object,
) -> None:
    feed = CachedFeed(10, entry(ONE, score=(2, 3)))
    ahead = entry(ONE, clock="PT05M00.00S", score=(2, 5))
    ahead["homeTeam"] = {"teamId": 1610612738, "score": 2}  # who that is is known, for a board
    feed.on["boxscore"] = answers(orjson.dumps({"game": ahead}))
    async with asked(feed) as it:
        assert await it.read(ONE, 30) is None
        assert it.drain.score == (2, 5)


async def test_a_cache_that_is_emptied_before_its_time_freezes_none(autojump_clock: object) -> None:
    feed = CachedFeed(3600, entry(ONE))
    feed.on["boxscore"] = answers(box_of(ONE))
    async with asked(feed) as it:
        await trio.sleep(30)
        assert await it.read(ONE) is not None
        feed.on["boxscore"] = answers(box_of(ONE, 4))
        for _ in range(15):
            told = await it.read(ONE)
            await trio.sleep(5)
        assert told is not None
        assert valid(told)["period"] == 4


async def test_who_reads_one_does_not_wait_for_those_that_nobody_reads(
    autojump_clock: object,
) -> None:
    """Of a feed whose board and plays take the whole ceiling."""
    feed = CachedFeed(10, entry(ONE), entry(TWO))
    feed.on["boxscore"] = answers(box_of(TWO))
    async with asked(feed, max_requests_per_s=0.3) as it:
        await trio.sleep(100)
        assert await it.read(TWO, 60) is not None


async def test_another_feeds_box_score_is_told_though_its_tag_is_the_same(
    autojump_clock: object,
) -> None:
    feed = CachedFeed(10, entry(ONE, score=(2, 3)))

    def answer(request: httpx.Request) -> Any:
        points = 8 if "other" in request.url.path else 5
        ahead = entry(ONE, clock="PT05M00.00S", score=(2, points))
        return answers(orjson.dumps({"game": ahead}))(request)

    feed.on["boxscore"] = answer
    async with asked(feed) as it:
        await trio.sleep(100)
        assert it.drain.score == (2, 5)
        config = it.settings.current.config
        other = config.feed.model_copy(update={"base_url": "http://feed/other"})
        it.settings.replace(runtime(config.model_copy(update={"feed": other})))
        await trio.sleep(100)
        assert it.drain.score == (2, 8)


@pytest.mark.parametrize("life_s", [1, 2])
async def test_where_copies_live_short_it_is_not_asked_for(
    autojump_clock: object, life_s: int
) -> None:
    feed = CachedFeed(life_s, entry(ONE))
    feed.on["boxscore"] = answers(box_of(ONE))
    async with asked(feed) as it:
        await trio.sleep(60)
        assert not it.times()


async def test_a_feed_that_has_none_is_left_in_peace(autojump_clock: object) -> None:
    feed = CachedFeed(10, *(entry(f"00225000{n:02}") for n in range(2)))
    with capture_logs() as logs:
        async with asked(feed) as it:
            await trio.sleep(3600)
        said = [line for line in logs if line["log_level"] == "warning"]
        assert len(said) <= 7
        assert len(it.times()) <= 7  # one after 1, 2, 4 … minutes, then once an hour
        assert len(it.times("scoreboard")) >= 360
