"""The feed server: what a client that speaks plain HTTP gets, and what nba_api makes of it."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import requests
import trio
from feed_kit import ManualClock
from nba_api.live.nba.endpoints import boxscore, playbyplay, scoreboard
from nba_api.live.nba.library.http import NBALiveHTTP
from process_kit import start

from nbad.simulator import GamesNight, simulate_night
from nbad.simulator.answer import SCHEDULE, SCOREBOARD, Gzip, answer
from nbad.simulator.faults import Faults
from nbad.simulator.server import FeedAddress, FeedClock, serve_feed

LIVE_GAME = 3  # the place of a game that is live when the night opens


@pytest.fixture(scope="module")
def night() -> GamesNight:
    return simulate_night()


def plays_path(night: GamesNight, place: int = LIVE_GAME) -> str:
    return f"/static/json/liveData/playbyplay/playbyplay_{night.game_ids[place]}.json"


@asynccontextmanager
async def serving(
    night: GamesNight, clock: Callable[[], float], faults: Faults | None = None
) -> AsyncIterator[tuple[FeedAddress, httpx.AsyncClient]]:
    async with trio.open_nursery() as nursery:
        serve = partial(serve_feed, night, clock=clock, faults=faults)
        address: FeedAddress = await nursery.start(serve)
        async with httpx.AsyncClient(base_url=address.origin, trust_env=False) as client:
            yield address, client
        nursery.cancel_scope.cancel()


async def test_the_documents_are_those_of_the_night(night: GamesNight) -> None:
    t = night.starts_at
    async with serving(night, ManualClock(t)) as (address, client):
        assert address.base_url == f"http://127.0.0.1:{address.port}/static/json/liveData"
        game_id = night.game_ids[LIVE_GAME]
        plays, box = night.play_by_play(game_id, t), night.box_score(game_id, t)
        assert plays is not None
        assert box is not None
        for path, resource in (
            (SCOREBOARD, night.scoreboard(t)),
            (SCHEDULE, night.schedule(t)),
            (plays_path(night), plays),
            (f"/static/json/liveData/boxscore/boxscore_{game_id}.json", box),
        ):
            reply = await client.get(path)
            assert reply.status_code == 200
            assert reply.headers["content-type"] == "application/json"
            assert reply.headers["content-encoding"] == "gzip"
            assert reply.content == resource.body
            plain = await client.get(path, headers={"Accept-Encoding": "gzip;q=0"})
            assert "content-encoding" not in plain.headers
            assert int(plain.headers["content-length"]) == len(plain.content)
            assert plain.content == resource.body
            assert plain.headers["etag"] != reply.headers["etag"]
            head = await client.head(path)
            assert head.content == b""
            assert head.headers["content-length"] == reply.headers["content-length"]
            assert head.headers["etag"] == reply.headers["etag"]


async def test_what_a_client_has_is_not_sent_again(night: GamesNight) -> None:
    clock = ManualClock(night.starts_at)
    async with serving(night, clock) as (_, client):
        path = plays_path(night)
        first = await client.get(path)
        tag = {"If-None-Match": first.headers["etag"]}
        since = {"If-Modified-Since": first.headers["last-modified"]}
        for conditions in (tag, since, {"If-None-Match": f'"x", W/{tag["If-None-Match"]}'}):
            reply = await client.get(path, headers=conditions)
            assert (reply.status_code, reply.content) == (304, b"")
            assert reply.headers["etag"] == first.headers["etag"]
        # The ETag is what counts where both are sent.
        reply = await client.get(path, headers={"If-None-Match": '"x"', **since})
        assert reply.status_code == 200
        feed = night.feed(night.game_ids[LIVE_GAME])
        clock.now = feed.moments[feed.revision(clock.now)] - 0.5
        assert (await client.get(path, headers=tag)).status_code == 304
        clock.now += 0.5
        changed = await client.get(path, headers=tag | since)
        assert changed.status_code == 200
        assert (await client.get(path, headers=since)).status_code == 200
        assert changed.headers["etag"] != first.headers["etag"]
        assert changed.headers["last-modified"] > first.headers["last-modified"]


async def test_what_is_not_there_is_refused_as_the_cdn_does(night: GamesNight) -> None:
    async with serving(night, ManualClock(night.starts_at)) as (_, client):
        unpublished = await client.get(plays_path(night, -1))
        assert unpublished.status_code == 403
        assert "AccessDenied" in unpublished.text
        assert unpublished.headers["content-type"] == "application/xml"
        unknown = plays_path(night).replace(night.game_ids[LIVE_GAME], "0022599999")
        assert (await client.get(unknown)).status_code == 403
        assert (await client.get("/")).status_code == 404
        posted = await client.post(SCOREBOARD, content=b"x" * 100)
        assert posted.status_code == 405
        assert posted.headers["allow"] == "GET, HEAD"
        assert (await client.get(SCOREBOARD)).status_code == 200


async def test_many_requests_share_a_connection_and_nonsense_ends_it(night: GamesNight) -> None:
    async with serving(night, ManualClock(night.starts_at)) as (address, _):
        stream = await trio.open_tcp_stream("127.0.0.1", address.port)
        async with stream:
            request = f"HEAD {SCOREBOARD} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            await stream.send_all(request * 3)
            received = b""
            while received.count(b"\r\n\r\n") < 3:
                received += await stream.receive_some()
            assert received.count(b"HTTP/1.1 200") == 3
            await stream.send_all(b"nonsense\r\n\r\n")
            assert b"HTTP/1.1 400" in await stream.receive_some()
            assert await stream.receive_some() == b""


def test_a_document_compressed_in_chunks_is_one_gzip_member(night: GamesNight) -> None:
    packer = Gzip()
    game_id = night.game_ids[LIVE_GAME]
    for step in (0, 20, 40, 4000):
        resource = night.play_by_play(game_id, night.starts_at + step)
        assert resource is not None
        packed = packer.compress(resource.chunks)
        assert gzip.decompress(packed) == resource.body
        assert len(packed) < len(resource.body) / 5


def test_feed_time_runs_at_its_speed() -> None:
    wall = iter([100.0, 100.0, 101.5])
    clock = FeedClock(1000.0, 20.0, wall=lambda: next(wall))
    assert [clock(), clock()] == [1000.0, 1030.0]
    with pytest.raises(ValueError, match="speed: expected more than 0, was 0"):
        FeedClock(0.0, 0)


def test_a_change_within_the_second_is_a_change(night: GamesNight) -> None:
    resource = night.scoreboard(night.starts_at)

    class Fractional:
        game_ids, starts_at, ends_at = night.game_ids, night.starts_at, night.ends_at
        play_by_play, box_score, schedule = night.play_by_play, night.box_score, night.schedule
        odds = night.odds

        def scoreboard(self, t: float) -> Any:
            return type(resource)(resource.chunks, 1000.7, "tag")

    ask = partial(answer, Fractional(), "GET", SCOREBOARD, now=2000.0, gzip=Gzip())
    first = ask(headers={})
    since = dict(first.headers)["Last-Modified"]
    assert ask(headers={"if-modified-since": since}).status == 200
    assert ask(headers={"if-modified-since": "yesterday"}).status == 200
    assert ask(headers={"if-none-match": "*"}).status == 304


@pytest.fixture
def live_feed(
    night: GamesNight, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FeedAddress, ManualClock]]:
    """A feed in a thread of its own, with nba_api pointed at it."""
    clock = ManualClock(night.starts_at)
    ready = threading.Event()
    address: list[FeedAddress] = []
    tokens: list[tuple[trio.lowlevel.TrioToken, trio.CancelScope]] = []

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            address.append(await nursery.start(partial(serve_feed, night, clock=clock)))
            tokens.append((trio.lowlevel.current_trio_token(), nursery.cancel_scope))
            ready.set()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert ready.wait(60)
    with requests.Session() as session:
        session.trust_env = False
        monkeypatch.setattr(NBALiveHTTP, "_session", session, raising=False)
        monkeypatch.setattr(NBALiveHTTP, "base_url", address[0].base_url + "/{endpoint}")
        yield address[0], clock
    token, scope = tokens[0]
    token.run_sync_soon(scope.cancel)
    thread.join(10)


def assert_shaped(got: Any, expected: Any, where: str = "") -> None:
    """That ``got`` has what nba_api expects: every key, of the kind of its sample."""
    if isinstance(expected, dict):
        missing = expected.keys() - got.keys()
        assert not missing, f"{where}: {missing}"
        for key, value in expected.items():
            assert_shaped(got[key], value, f"{where}/{key}")
    elif isinstance(expected, list):
        assert isinstance(got, list), where
        for item in got[:3] if expected else []:
            assert_shaped(item, expected[0], where)
    elif isinstance(expected, str):
        assert got is None or isinstance(got, str), where


def test_nba_api_reads_it(night: GamesNight, live_feed: tuple[FeedAddress, ManualClock]) -> None:
    _, clock = live_feed
    for t in (night.starts_at, night.starts_at + 1800, night.ends_at):
        clock.now = t
        board = scoreboard.ScoreBoard()
        games = board.games.get_dict()
        told = orjson.loads(night.scoreboard(t).body)
        assert games == told["scoreboard"]["games"]
        assert board.score_board_date == night.date
        assert_shaped(told, scoreboard.ScoreBoard.expected_data)
        for game in games:
            if game["gameStatus"] == 1:
                continue
            actions = playbyplay.PlayByPlay(game["gameId"]).actions.get_dict()
            box = boxscore.BoxScore(game["gameId"])
            assert_shaped(box.game.get_dict(), boxscore.BoxScore.expected_data["game"])
            home = box.home_team_stats.get_dict()
            assert int(actions[-1]["scoreHome"]) == game["homeTeam"]["score"] == home["score"]
            assert len(box.home_team_player_stats.get_dict()) == 13
            assert box.game_details.get_dict()["gameStatus"] == game["gameStatus"]
            assert box.arena.get_dict()["arenaCity"] == home["teamCity"]
    finals = {
        game["gameId"]: (game["homeTeam"]["score"], game["awayTeam"]["score"]) for game in games
    }
    assert finals == night.finals


def start_command(*arguments: str) -> subprocess.Popen[str]:
    return start(
        [sys.executable, "-m", "nbad", "feed", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )


def test_the_command_says_where_it_is_and_ends_when_told() -> None:
    process = start_command("--games", "2")
    assert process.stdout is not None
    assert process.stderr is not None
    feed, url = process.stdout.readline().split()
    schedule, schedule_url = process.stdout.readline().split()
    assert (feed, schedule) == ("feed", "schedule")
    reply = httpx.get(f"{url}/scoreboard/todaysScoreboard_00.json", trust_env=False)
    assert len(reply.json()["scoreboard"]["games"]) == 2
    assert httpx.head(schedule_url, trust_env=False).status_code == 200
    port = url.split(":")[2].partition("/")[0]
    second = start_command("--games", "1", "--port", port)
    out, problem = second.communicate(timeout=60)
    assert (second.returncode, out) == (69, "")
    assert problem.count("\n") == 1
    assert f"127.0.0.1:{port}: Address already in use" in problem
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--games", "16"), "games: expected 1 to 15, was 16"),
        (("--speed", "0"), "speed: expected more than 0, was 0.0"),
        (("--port", "70000"), "--port: expected 0 to 65535, was 70000"),
        (("--fault", "stall:2"), "fault 'stall:2': expected a probability from 0 to 1, was '2'"),
        (("--replay", "/nowhere", "/nowhere"), "No such file"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple[str, ...], problem: str) -> None:
    process = start_command(*arguments)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (64, "")
    assert err.count("\n") == 1
    assert problem in err
