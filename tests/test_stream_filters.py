"""Each filter has its own frame: how many there may be, and that many of them delay nobody."""

from __future__ import annotations

import pytest
import trio
from stream_kit import HOST, make_clock, make_game, running
from trio.testing import MockClock

from nbad.client import Dropped, connect
from nbad.stream.batch import EVERYTHING
from nbad.stream.requests import MAX_NAMES


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


async def test_one_filter_too_many_is_refused_and_the_old_one_kept(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbad.stream.hub.MAX_FILTERS", 1)
    async with running() as stage:
        await stage.tick(make_game(0), make_game(1))
        async with stage.client("?teams=ATL") as one, stage.client() as other:
            for each in (one, other):
                await each.expect("welcome")
                await each.expect("snapshot")
            for asking in (one, other):
                await asking.say({"op": "subscribe", "teams": ["CHI"]})
                error = await asking.expect("error")
                assert error["code"] == "too_many_filters"
                assert "expected no filter, or one of the 1 in use" in error["detail"]
            await stage.tick(make_game(0, 2), make_game(1, 2))
            assert len((await one.expect("batch"))["messages"]) == 1
            assert len((await other.expect("batch"))["messages"]) == 2
            # One that is in use may be shared, and none at all may be had.
            await other.say({"op": "subscribe", "teams": ["ATL"]})
            assert len((await other.expect("snapshot"))["games"]) == 1
            await one.say({"op": "subscribe"})
            assert len((await one.expect("snapshot"))["games"]) == 2


async def test_who_asks_in_the_url_is_there_without_a_subscription(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbad.stream.hub.MAX_FILTERS", 0)
    async with running(heartbeat_s=5.0) as stage:
        await stage.tick(make_game(0))
        async with stage.client("?teams=ATL") as client:
            await client.expect("welcome")
            assert (await client.expect("error"))["code"] == "too_many_filters"
            await stage.tick(make_game(0, 2))
            assert (await client.expect("heartbeat"))["seq"] == 2
            await client.say({"op": "subscribe"})
            assert (await client.expect("snapshot"))["seq"] == 2
            assert stage.hub.count == 1
        while stage.hub.count:
            await trio.lowlevel.checkpoint()


async def test_our_client_takes_it_for_a_drop_and_comes_again(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as stage:
        await stage.tick(make_game(0))
        monkeypatch.setattr("nbad.stream.hub.MAX_FILTERS", 0)
        async with connect(f"ws://{HOST}:{stage.port}/v1/stream", teams=["ATL"]) as feed:
            messages = [await anext(feed), await anext(feed)]
            assert isinstance(messages[1], Dropped)
            assert "too_many_filters" in messages[1].reason
            monkeypatch.setattr("nbad.stream.hub.MAX_FILTERS", 1)
            while feed.seq < 1:
                await anext(feed)
            assert list(feed.games) == ["0022500000"]


async def test_a_filter_names_a_hundred_at_most(clock: MockClock) -> None:
    names = [f"{number:010}" for number in range(MAX_NAMES)]
    async with running() as stage:
        await stage.tick(make_game(0))
        async with stage.client("?games=" + ",".join(names)) as client:
            await client.expect("welcome")
            assert (await client.expect("snapshot"))["games"] == []
            await client.say({"op": "subscribe", "games": names, "teams": ["ATL"]})
            error = await client.expect("error")
            assert error["detail"] == "expected at most 100 games and teams, were 101"
        raw = await stage.connect()
        await raw.send(
            b"GET /v1/stream?teams=ATL&games="
            + ",".join(names).encode()
            + b" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + b"A" * 22 + b"==\r\n\r\n"
        )
        answer = await raw.rest()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b"expected at most 100 games and teams, were 101\n")


async def test_filters_without_a_game_in_the_batch_hold_up_nobody_else(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbad.stream.hub.SENDS_PER_TURN", 2)
    async with running() as stage:
        await stage.tick(make_game(0))
        async with stage.client("?games=1") as one, stage.client("?games=2") as other:
            for each in (one, other):
                await each.expect("welcome")
                await each.expect("snapshot")
            batch = next(stage.hub.journal.after(0, EVERYTHING))
            with trio.testing.assert_checkpoints():
                await stage.hub.broadcast(batch)
            with trio.testing.assert_checkpoints():  # the first snapshots, after a restart
                await stage.hub.send_first_snapshots()
