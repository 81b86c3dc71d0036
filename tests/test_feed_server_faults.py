"""Every fault, as a client sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
import trio
from feed_kit import ManualClock

from nbad.simulator import GamesNight, simulate_night
from nbad.simulator.answer import SCOREBOARD
from nbad.simulator.faults import Faults, parse_fault, parse_faults
from nbad.simulator.server import FeedAddress, serve_feed


@pytest.fixture(scope="module")
def night() -> GamesNight:
    return simulate_night(5)


@asynccontextmanager
async def faulty(
    night: GamesNight, *specs: str, seed: int = 1
) -> AsyncIterator[tuple[FeedAddress, httpx.AsyncClient]]:
    async with trio.open_nursery() as nursery:
        clock = ManualClock(night.starts_at)
        faults = parse_faults(list(specs), seed)
        serve = partial(serve_feed, night, clock=clock, faults=faults)
        address: FeedAddress = await nursery.start(serve)
        async with httpx.AsyncClient(base_url=address.origin, trust_env=False) as client:
            yield address, client
        nursery.cancel_scope.cancel()


def plays_path(night: GamesNight, place: int) -> str:
    return f"/static/json/liveData/playbyplay/playbyplay_{night.game_ids[place]}.json"


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_a_status(night: GamesNight, status: int) -> None:
    async with faulty(night, str(status)) as (_, client):
        reply = await client.get(SCOREBOARD)
        assert reply.status_code == status
        assert reply.headers["content-type"] == "application/xml"
        assert "etag" not in reply.headers
        assert ("retry-after" in reply.headers) == (status in (429, 503))


async def test_html(night: GamesNight) -> None:
    async with faulty(night, "html") as (_, client):
        reply = await client.get(SCOREBOARD)
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/html")
        assert reply.text.startswith("<!DOCTYPE html>")


async def test_garbage(night: GamesNight) -> None:
    async with faulty(night, "garbage") as (_, client):
        reply = await client.get(SCOREBOARD)
        assert reply.headers["content-type"] == "application/json"
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(reply.content)


async def test_truncate(night: GamesNight) -> None:
    async with faulty(night, "truncate") as (_, client):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            await client.get(SCOREBOARD)


async def test_reset(night: GamesNight) -> None:
    async with faulty(night, "reset") as (_, client):
        with pytest.raises(httpx.ReadError):
            await client.get(SCOREBOARD)


async def test_stall_sends_a_head_or_nothing_and_hangs(night: GamesNight) -> None:
    async with faulty(night, "stall") as (address, _):
        with_head: set[bool] = set()
        for count in range(1, 7):
            struck = parse_faults(["stall"]).decide(SCOREBOARD, count)
            assert struck is not None
            with_head.add(struck.draw < 0.5)
            stream = await trio.open_tcp_stream("127.0.0.1", address.port)
            async with stream:
                await stream.send_all(f"GET {SCOREBOARD} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                received = b""
                while struck.draw < 0.5 and not received.endswith(b"\r\n\r\n"):
                    received += await stream.receive_some()
                with trio.move_on_after(0.05) as patience:
                    await stream.receive_some()
                assert patience.cancelled_caught
        assert with_head == {True, False}


async def test_slow_comes_whole_in_the_end(night: GamesNight, autojump_clock: Any) -> None:
    async with faulty(night, "slow") as (address, _):
        # Without the autojump clock's threshold, it would jump while the sockets are at work.
        autojump_clock.autojump_threshold = 0.01
        stream = await trio.open_tcp_stream("127.0.0.1", address.port)
        async with stream:
            began = trio.current_time()
            await stream.send_all(f"GET {SCOREBOARD} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            received = b""
            while chunk := await stream.receive_some():
                received += chunk
        assert received.endswith(night.scoreboard(night.starts_at).body)
        assert trio.current_time() - began >= 2


async def test_regress_serves_an_older_snapshot_with_its_own_validators(night: GamesNight) -> None:
    path = plays_path(night, 2)
    async with faulty(night) as (_, client):
        now = await client.get(path)
    async with faulty(night, "regress") as (_, client):
        older = await client.get(path)
        conditional = await client.get(path, headers={"If-None-Match": now.headers["etag"]})
    assert older.status_code == 200
    assert conditional.status_code == 200
    assert older.headers["last-modified"] < now.headers["last-modified"]
    assert older.headers["etag"] != now.headers["etag"]
    assert len(older.json()["game"]["actions"]) < len(now.json()["game"]["actions"])
    ages = [night.starts_at - age for age in range(30, 121)]
    game_id = night.game_ids[2]
    bodies = [
        document.body for t in ages if (document := night.play_by_play(game_id, t)) is not None
    ]
    assert older.content in bodies


async def test_nulls_strike_one_entry_of_the_scoreboard(night: GamesNight) -> None:
    game_id = night.game_ids[2]
    true = orjson.loads(night.scoreboard(night.starts_at).body)["scoreboard"]["games"]
    kinds: set[str] = set()
    async with faulty(night, f"nulls@{game_id}") as (_, client):
        for _ in range(12):
            games = (await client.get(SCOREBOARD)).json()["scoreboard"]["games"]
            for mine, theirs in zip(true, games, strict=True):
                if theirs.get("gameId") != game_id:
                    assert mine == theirs
                    continue
                spoilt = {key for key in mine if theirs.get(key, ...) != mine[key]}
                assert len(spoilt) == 1
                kinds.add("null" if spoilt <= theirs.keys() else "missing")
        assert kinds == {"null", "missing"}
        last = (await client.get(plays_path(night, 2))).json()["game"]["actions"][-1]
        whole = night.feed(game_id).actions(night.feed(game_id).revision(night.starts_at))[-1]
        assert last != whole


async def test_a_fault_of_one_game_leaves_the_others_alone(night: GamesNight) -> None:
    async with faulty(night, f"503@{night.game_ids[2]}") as (_, client):
        assert (await client.get(plays_path(night, 2))).status_code == 503
        assert (await client.get(plays_path(night, 1))).status_code == 200
        assert (await client.get(SCOREBOARD)).status_code == 200


def test_chance_is_a_matter_of_seed_path_and_count() -> None:
    faults = Faults((parse_fault("503:0.1"), parse_fault("stall:0.2")), seed=3)
    struck = [faults.decide("/a", count) for count in range(3000)]
    assert struck == [faults.decide("/a", count) for count in range(3000)]
    assert struck != [faults.decide("/b", count) for count in range(3000)]
    assert struck != [Faults(faults.faults, 4).decide("/a", count) for count in range(3000)]
    shares = [
        sum(hit is not None and hit.fault is fault for hit in struck) / len(struck)
        for fault in faults.faults
    ]
    assert shares == pytest.approx([0.1, 0.9 * 0.2], abs=0.03)


def test_specifications_are_read() -> None:
    fault = parse_fault("503:0.25@0022500123")
    assert (fault.kind, fault.status, fault.probability, fault.game_id) == (
        "status",
        503,
        0.25,
        "0022500123",
    )
    assert parse_fault("stall").probability == 1.0


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("nonsense", "expected KIND.*was 'nonsense'"),
        ("", "expected KIND.*was ''"),
        ("200", "an HTTP status from 400 to 599"),
        ("stall:", "expected a probability from 0 to 1, was ''"),
        ("stall:nan", "expected a probability from 0 to 1, was 'nan'"),
        ("stall:1.5", "expected a probability from 0 to 1, was '1.5'"),
        ("stall@12", "expected a game id of ten digits or odds, was '12'"),
        ("stall@@", "expected KIND"),
    ],
)
def test_a_bad_specification_says_what_was_expected(spec: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_fault(spec)
