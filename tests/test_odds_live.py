"""The market live: asked politely until tip-off, kept to the end, and worth nothing to nobody."""

from __future__ import annotations

import json
import random
import signal
import time
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trio
from daemon_kit import ANY_PORTS, Daemon, get, serving
from feed_kit import EPOCH, ONE, FakeFeed, action, entry
from hypothesis import given
from hypothesis import strategies as st
from laws_kit import examples
from nba_api.live.nba.endpoints import Odds as NbaOdds
from test_odds import book, odds

import nbad
from nbad.domain import BoardEntry, Status, Team, Update
from nbad.feed.odds import parse_odds
from nbad.feed.poll_plan import TrackedGame, odds_interval_s
from nbad.model.forecaster import Forecaster
from nbad.observe.timing import Tick
from nbad.pattern.market import Line, blend
from nbad.pattern.quotes import Quotes
from nbad.pattern.rating import Expectation, Ratings
from nbad.settings.current import Runtime
from nbad.settings.schema import Config, Feed, Poll
from nbad.settings.schema import Odds as OddsSection
from nbad.simulator import rates, simulate_night
from nbad.stages.envelopes import Odds, Updates
from nbad.stages.patterns import PatternTracker
from nbad.state.keeper import read_knowledge

FAVOURITE = [book("1.9", "1.9", "-12.5")]


def quoted(game_id: str = ONE, books: Any = FAVOURITE) -> bytes:
    return odds(("spread", books), gameId=game_id)


def answer(body: bytes, modified: str = "") -> httpx.Response:
    headers = {"content-type": "application/json"} | (
        {"last-modified": modified} if modified else {}
    )
    return httpx.Response(200, content=body, headers=headers)


# Which games make the odds worth asking for.


@pytest.mark.parametrize(
    ("games", "expected"),
    [
        ([], None),
        ([TrackedGame("1", Status.SCHEDULED, 600.0)], 60.0),
        ([TrackedGame("1", Status.SCHEDULED, -600.0)], 60.0),
        ([TrackedGame("1", Status.SCHEDULED, None)], 60.0),
        ([TrackedGame("1", Status.SCHEDULED, 7200.0)], 600.0),
        ([TrackedGame("1", Status.SCHEDULED, 86_400.0)], None),
        ([TrackedGame("1", Status.SCHEDULED, -86_400.0)], None),
        ([TrackedGame("1", Status.LIVE, -600.0), TrackedGame("2", Status.FINAL, -9000.0)], None),
        ([TrackedGame("1", Status.POSTPONED, 600.0)], None),
    ],
)
def test_odds_are_asked_for_only_where_a_game_is_about_to_begin(
    games: list[TrackedGame], expected: float | None
) -> None:
    assert odds_interval_s(games, 0.0) == expected


# What is used of them.


def test_what_was_said_before_tip_off_stands_to_the_end() -> None:
    quotes = Quotes()
    quotes.hear({ONE: Line(4.0)}, 0.0)
    assert quotes.line(ONE, to_come=True, now=10.0) == Line(4.0)
    quotes.hear({ONE: Line(30.0)}, 60.0)  # a price made during the game
    assert quotes.line(ONE, to_come=False, now=70.0) == Line(4.0)
    assert quotes.line(ONE, to_come=False, now=9e6) == Line(4.0)
    assert Quotes(quotes.used).line(ONE, to_come=False, now=70.0) == Line(4.0)
    # Who starts in the middle of the game and kept nothing knows no line of before it.
    assert Quotes().line(ONE, to_come=False, now=70.0) is None
    quotes.forget([ONE])
    assert quotes.line(ONE, to_come=False, now=70.0) is None


def test_odds_that_vanish_hold_for_a_while_and_stale_ones_are_none() -> None:
    quotes = Quotes()
    quotes.hear({ONE: Line(4.0)}, 0.0)
    assert quotes.line(ONE, to_come=True, now=10.0) == Line(4.0)
    quotes.hear({}, 600.0)
    assert quotes.line(ONE, to_come=True, now=610.0) == Line(4.0)
    assert quotes.line(ONE, to_come=True, now=4 * 3600.0) is None
    assert quotes.line(ONE, to_come=False, now=4 * 3600.0) is None
    quotes.hear({ONE: Line(90.0)}, 5 * 3600.0)  # no market meant that
    assert quotes.line(ONE, to_come=True, now=5 * 3600.0) is None


# The simulator's.


def test_the_simulators_document_has_the_shape_of_nba_apis_class() -> None:
    night = simulate_night(5, 3)
    resource = night.odds(night.starts_at)
    assert resource.body == simulate_night(5, 3).odds(night.starts_at).body

    def same(told: Any, expected: Any) -> None:
        if isinstance(expected, dict):
            # A price on the winner alone has no spread.
            assert expected.keys() - told.keys() <= {"spread", "opening_spread"}
            assert told.keys() <= expected.keys()
            for key, value in told.items():
                same(value, expected[key])
        elif isinstance(expected, list):
            assert told
            for each in told:
                same(each, expected[0])
        elif expected is not None:
            assert type(told) is type(expected)

    same(orjson.loads(resource.body), NbaOdds.expected_data)


def test_its_books_know_how_strong_the_sides_are_and_live_on_their_margin() -> None:
    night = simulate_night(15, 4)
    told = parse_odds(night.odds(night.ends_at).body)
    for game_id in night.game_ids:
        info = night.feed(game_id).info
        truth = rates.HOME_POINTS + info.home.strength - info.away.strength
        assert abs(told[game_id].margin - truth) < 5
    for game in orjson.loads(night.odds(night.ends_at).body)["games"]:
        for market in game["markets"]:
            for each in market["books"]:
                assert 1.03 < sum(1 / float(outcome["odds"]) for outcome in each["outcomes"]) < 1.06
    # They move until each game's time, and no further.
    last = max(night.feed(game_id).info.scheduled for game_id in night.game_ids)
    assert night.odds(last).body == night.odds(last + 9000).body != night.odds(last - 5400).body


# The pipeline.


def config(**odds: Any) -> Config:
    feed = Feed(base_url="http://feed/live", schedule_url="http://feed/schedule", backoff_s=0.01)
    poll = Poll(live_interval_s=5.0, idle_interval_s=5.0)
    return Config(feed=feed, poll=poll, odds=OddsSection(**odds))


def scripted(*answers: httpx.Response | None, start: float = 60.0) -> FakeFeed:
    """A feed one minute before a game, whose odds are these, one after the other, the last for
    ever; None: the feed has none."""
    feed = FakeFeed(entry(ONE, 1, "", start))
    feed.ahead_s = EPOCH - time.time()
    left = list(answers)

    def give(_: httpx.Request) -> httpx.Response | None:
        return (left.pop(0) if len(left) > 1 else left[0]) if left else None

    feed.on["/odds/"] = give
    return feed


async def messages(feed: FakeFeed, config_: Config, *steps: Any) -> list[dict[str, Any]]:
    """What is told of the game: a minute after each of ``steps``, which change the feed."""
    told = []
    async with nbad.pipeline(config_, transport=feed) as games, trio.open_nursery() as nursery:

        async def take() -> None:
            async for _ in games:
                pass

        nursery.start_soon(take)
        for step in steps:
            step()
            await trio.sleep(60)
            told.append(games.now[ONE].model_dump())
        nursery.cancel_scope.cancel()
    return told


def nothing() -> None:
    pass


def tip_off(feed: FakeFeed) -> None:
    feed.games[0] = entry(ONE, 2, "PT11M00.00S", score=(2, 0))
    feed.plays[ONE] = [action(5, 0, 0, kind="period"), action(60, 2, 0)]


def end(feed: FakeFeed) -> None:
    feed.games[0] = entry(ONE, 3, "PT00M00.00S", score=(90, 80)) | {"period": 4}
    feed.plays[ONE].append(action(9000, 90, 80, period=4, clock=0.0, kind="game", subkind="end"))


async def test_the_basis_is_right_before_and_after_the_odds_vanish(
    autojump_clock: trio.testing.MockClock,
) -> None:
    feed = scripted(answer(quoted()), None)
    before, gone, live, over = await messages(
        feed, config(show=True), nothing, nothing, lambda: tip_off(feed), lambda: end(feed)
    )
    for game in (before, gone, live, over):
        assert game["forecast"]["basis"] == "both"
        assert game["market"] == {"margin": 12.5, "home_win": pytest.approx(0.834, abs=0.01)}
    assert before["forecast"] == gone["forecast"]
    assert (live["status"], over["status"]) == ("live", "final")
    # A book's favourite by twelve: the ratings, which know of no such teams, say 60 %.
    assert before["forecast"]["home_win"] > 0.75
    asked = feed.count("/odds/")
    assert 2 <= asked <= 6
    unknowing = await messages(scripted(), config(), nothing)
    assert unknowing[0]["forecast"]["basis"] == "rating"
    assert unknowing[0]["forecast"]["home_win"] < 0.7
    assert unknowing[0]["market"] is None


def test_what_the_market_said_is_shown_and_hidden_at_once() -> None:
    # Also of a game of which nothing else is to be told.
    tracker, line = PatternTracker(), Line(4.0)
    home, away = Team(1, "BOS", "Boston"), Team(2, "DEN", "Denver")
    to_come = BoardEntry(ONE, Status.SCHEDULED, 0, 0.0, None, home, away, 0, 0)
    updates: tuple[Update, ...] = (Update(to_come, (), 0, False, "", 0.0),)
    told = []
    for show in (False, True, True, False):
        runtime = Runtime(config(show=show), Forecaster.load())
        odds_ = Odds({ONE: line}, 0.0) if updates else None
        made, _ = tracker.fold(Updates(Tick(1, 0.0, runtime), updates, odds=odds_))
        told.append([game.market for game in made.games])
        updates = ()
    assert told == [[None], [line], [], [None]]


async def test_nothing_is_asked_once_games_are_under_way_nor_where_it_is_not_wanted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    feed = scripted(answer(quoted()))
    told = await messages(feed, config(), lambda: tip_off(feed), nothing, lambda: end(feed))
    assert not feed.count("/odds/")
    assert {game["forecast"]["basis"] for game in told} == {"rating"}
    feed = scripted(answer(quoted()))
    (told_one,) = await messages(feed, config(enabled=False), nothing)
    assert not feed.count("/odds/")
    assert told_one["forecast"]["basis"] == "rating"
    # Not shown where nobody asked for it.
    (told_one,) = await messages(scripted(answer(quoted())), config(), nothing)
    assert (told_one["forecast"]["basis"], told_one["market"]) == ("both", None)


async def test_a_feed_that_refuses_its_odds_is_asked_ever_less_often(
    autojump_clock: trio.testing.MockClock,
) -> None:
    feed = scripted()
    await messages(feed, config(), *[nothing] * 60)  # an hour
    assert 3 <= feed.count("/odds/") <= 7


ABSURD = [
    httpx.Response(200, content=b"<html>", headers={"content-type": "text/html"}),
    httpx.Response(429, headers={"retry-after": "1"}),
    httpx.Response(503),
    answer(b"{}"),
    answer(b'{"games":'),
    answer(b'{"games":[{"gameId":7,"markets":{}}]}'),
    answer(quoted("0022599999")),
    answer(quoted(books=[book("1.9", "1.9", "-55")])),
    answer(quoted(books=[book("1e9", "-1", "nan")])),
    answer(quoted(), "Tue, 13 Jan 2026 02:00:00 GMT"),
]


@pytest.mark.parametrize("absurd", ABSURD, ids=range(len(ABSURD)))
async def test_absent_stale_and_absurd_odds_cost_nothing(
    absurd: httpx.Response, autojump_clock: trio.testing.MockClock
) -> None:
    without, with_ = scripted(), scripted(absurd)
    expected = await messages(without, config(enabled=False), nothing, lambda: tip_off(without))
    told = await messages(with_, config(), nothing, lambda: tip_off(with_))
    changing = {"received_at"}
    for one, other in zip(told, expected, strict=True):
        assert {k: v for k, v in one.items() if k not in changing} == {
            k: v for k, v in other.items() if k not in changing
        }


async def test_odds_that_hang_hold_up_nothing(autojump_clock: trio.testing.MockClock) -> None:
    feed = scripted()
    feed.on["/odds/"] = lambda _: 1e9
    told = await messages(feed, config(), nothing, lambda: tip_off(feed))
    assert [game["status"] for game in told] == ["scheduled", "live"]
    assert feed.count("scoreboard") > 20


@cache
def book_of_a_night() -> bytes:
    night = simulate_night(3, 2)
    return night.odds(night.starts_at).body


@examples(60)
@given(st.data())
def test_whatever_the_books_say_the_forecast_is_one(data: st.DataObject) -> None:
    """Prices cut, swapped, repeated and invented: the line is one that a market may have meant, or
    none, and what is expected with it is finite."""
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    body = bytearray(book_of_a_night())
    for _ in range(rng.randrange(1, 40)):
        at = rng.randrange(len(body))
        match rng.randrange(4):
            case 0:
                body[at : at + rng.randrange(30)] = b""
            case 1:
                body[at : at + 1] = rng.choice([b"9", b"-", b"e", b'"', b"null", b"{", b"]"])
            case 2:
                other = rng.randrange(len(body))
                body[at:at] = body[other : other + rng.randrange(80)]
            case _:
                body[at] = rng.choice(b"0123456789.")
    try:
        lines = parse_odds(bytes(body))
    except ValueError:
        return
    rated = Expectation(2.0, 220.0, 6.0)
    for line in lines.values():
        told = blend(rated, line)
        assert abs(told.margin) <= 40
        assert told.total == rated.total
        assert 0 < told.margin_sd < 60


@pytest.mark.slow
def test_a_daemon_keeps_the_market_through_a_restart_in_the_middle_of_a_game(
    tmp_path: Path,
) -> None:
    """The real process on a simulated night: both before tip-off, both after kill -9 and the start
    of another that the feed tells no odds any more; without the state, rating."""
    with serving("--games", "6", "--seed", "3") as (board, schedule):
        extra = f'{ANY_PORTS}[odds]\nshow = true\n[state]\npath = "{tmp_path / "state"}"\n'
        daemon = Daemon(tmp_path / "daemon", board, schedule, server=extra)
        daemon.wait_for("ready")

        def to_come() -> dict[str, Any]:
            http = f"http://127.0.0.1:{daemon.port('http')}"
            games = json.loads(get(f"{http}/v1/games")[1])["games"]
            return {g["game_id"]: g for g in games if g["status"] == "scheduled"}

        give_up = time.monotonic() + 60
        while {game["forecast"]["basis"] for game in to_come().values()} != {"both"}:
            assert time.monotonic() < give_up
            daemon.pause()
        while to_come().keys() - read_knowledge(tmp_path / "state", Ratings()).quotes.used.keys():
            assert time.monotonic() < give_up
            daemon.pause()
        before = to_come()  # now: every minute the market may move
        assert all("margin" in game["market"] for game in before.values())
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait(60)
        # The feed has its odds no more: another has taken its address, which knows of none.
        with serving("--games", "6", "--seed", "3", "--fault", "403@odds") as (other, _):
            daemon.config.write_text(daemon.text.replace(board, other))
            daemon.start()
            daemon.wait_for("ready")
            daemon.wait_for("odds_unavailable")
            after = to_come()
            same = after.keys() & before.keys()
            assert same
            for game_id in same:
                assert after[game_id]["forecast"] == before[game_id]["forecast"]
                assert after[game_id]["market"] == before[game_id]["market"]
            assert daemon.end() == 0
