"""The stage as its clients and its operator know it, over real sockets."""

import contextlib
import socket
from typing import Any, cast

import orjson
import pytest
import trio
from port_kit import free_port
from stream_kit import (
    HOST,
    Client,
    FakeSettings,
    head,
    make_clock,
    make_game,
    masked,
    running,
)
from structlog.testing import capture_logs
from trio.testing import MockClock
from trio_websocket import ConnectionClosed
from websockets.sync.client import connect

from nbad import __version__
from nbad.channels import open_bounded
from nbad.domain import FeedState
from nbad.settings.schema import Config, Server
from nbad.stages.envelopes import Forecasts
from nbad.stages.server import serve_stream


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


async def closed_code(client: Client) -> int:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.get()
    assert client.ws.closed is not None
    return client.ws.closed.code


async def test_welcome_snapshot_batch(clock: MockClock) -> None:
    async with running() as stage, stage.client() as client:
        welcome = await client.expect("welcome")
        assert welcome["version"] == __version__
        assert welcome["heartbeat_s"] == 10.0
        await stage.tick(make_game(0), make_game(1))
        snapshot = await client.expect("snapshot")
        assert (snapshot["epoch"], snapshot["seq"]) == (welcome["epoch"], 1)
        assert [game["game_id"] for game in snapshot["games"]] == ["0022500000", "0022500001"]
        assert len(snapshot["games"][0]["series"]) == 2
        await stage.tick()
        await stage.tick(make_game(1, 2))
        batch = await client.expect("batch")
        assert (batch["epoch"], batch["seq"], batch["tick"]) == (welcome["epoch"], 2, 3)
        assert [game["game_id"] for game in batch["messages"]] == ["0022500001"]
        assert list(batch["timing_ms"]) == ["poll", "parse", "pattern", "predict", "emit", "total"]


async def test_heartbeat_only_where_nothing_was_sent(clock: MockClock) -> None:
    async with running(heartbeat_s=4) as stage, stage.client() as client, stage.client() as other:
        for each in (client, other):
            await each.expect("welcome")
        await stage.tick(make_game(0), feed=FeedState.STALE)
        await client.expect("snapshot")
        await other.say({"op": "unsubscribe"})
        await other.expect("snapshot")
        await trio.sleep(3)
        await stage.tick(make_game(0, 1), feed=FeedState.STALE)
        await client.expect("batch")
        beat = await other.expect("heartbeat")
        assert 4 <= trio.current_time() < 4.6
        assert (beat["seq"], beat["feed"]) == (2, "stale")
        assert beat["feed_age_s"] == pytest.approx(1.25, abs=0.3)
        await client.expect("heartbeat")
        assert 7 <= trio.current_time() < 7.6


class Steps(trio.abc.Instrument):
    """Counts how often a task was woken."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task.name.endswith(self.name)


async def test_nobody_looks_for_heartbeats_while_batches_come_and_a_reload_is_seen_at_once(
    clock: MockClock,
) -> None:
    async with running(heartbeat_s=10) as stage, stage.client() as client:
        await client.expect("welcome")
        steps = Steps("Hub.keep")
        trio.lowlevel.add_instrument(steps)
        for number in range(60):
            await trio.sleep(1)
            await stage.tick(make_game(0, number))
            await client.expect("batch" if number else "snapshot")
        assert steps.count < 12  # every 9 s, and for pings
        stage.settings.change(heartbeat_s=2)
        last = trio.current_time()
        await client.expect("heartbeat")
        assert trio.current_time() - last < 2.6


async def test_subscribe_narrows_and_unsubscribe_pauses(clock: MockClock) -> None:
    async with running() as stage, stage.client() as client:
        await stage.tick(*(make_game(number) for number in range(4)))
        await client.expect("welcome")
        await client.expect("snapshot")
        await client.say({"op": "subscribe", "teams": ["bos"], "games": ["0022500002"]})
        snapshot = await client.expect("snapshot")
        assert [game["game_id"] for game in snapshot["games"]] == ["0022500000", "0022500002"]
        await stage.tick(make_game(1, 1), make_game(3, 1))
        await stage.tick(make_game(1, 2), make_game(2, 2))
        batch = await client.expect("batch")
        assert batch["seq"] == 3
        assert [game["game_id"] for game in batch["messages"]] == ["0022500002"]
        await client.say({"op": "unsubscribe"})
        await client.say({"op": "ping", "id": [1]})
        assert (await client.expect("pong"))["id"] == [1]
        await stage.tick(make_game(2, 3))
        await client.say({"op": "subscribe", "since": f"{batch['epoch']}.3"})
        assert (await client.expect("batch"))["seq"] == 4


async def test_resume_by_url_and_by_message(clock: MockClock) -> None:
    async with running() as stage:
        for score in range(5):
            await stage.tick(make_game(score % 2, score))
        async with stage.client() as client:
            epoch = (await client.expect("welcome"))["epoch"]
        async with stage.client(f"?since={epoch}.2") as client:
            await client.expect("welcome")
            assert [(await client.expect("batch"))["seq"] for _ in range(3)] == [3, 4, 5]
            await stage.tick(make_game(0, 9))
            assert (await client.expect("batch"))["seq"] == 6
            await client.say({"op": "subscribe", "since": f"{epoch}.5", "teams": ["ATL"]})
            assert (await client.expect("batch"))["seq"] == 6
        async with stage.client("?since=anotherlife.2") as client:
            await client.expect("welcome")
            assert (await client.expect("snapshot"))["seq"] == 6


async def test_bad_messages_are_answered_and_survived(clock: MockClock) -> None:
    async with running() as stage, stage.client() as client:
        await client.expect("welcome")
        wrong: list[tuple[str | bytes, str]] = [
            ("{", "expected JSON"),
            ("[]", "expected an object, was a list"),
            ('{"op":"dance"}', "op: expected subscribe, unsubscribe or ping"),
            ('{"op":["ping"]}', "op: expected"),
            ('{"op":"subscribe","games":"x"}', "games: expected a list of strings, was a string"),
            ('{"op":"subscribe","teams":[1]}', "teams: expected a list of strings"),
            ('{"op":"subscribe","since":"x.-1"}', "since: expected EPOCH.SEQ"),
            ('{"op":"subscribe","since":7}', "since: expected EPOCH.SEQ"),
            (b"\x00", "expected a text message"),
        ]
        for text, detail in wrong:
            await client.ws.send_message(text)
            error = await client.expect("error")
            assert error["code"] == "bad_request"
            assert detail in error["detail"]
        await stage.tick(make_game(0))
        await client.expect("snapshot")


async def test_five_messages_a_second(clock: MockClock) -> None:
    async with running() as stage, stage.client() as client:
        await client.expect("welcome")
        async with trio.open_nursery() as nursery:
            for number in range(25):
                nursery.start_soon(client.say, {"op": "ping", "id": number})
            for _ in range(25):
                await client.expect("pong")
        assert 3.9 <= trio.current_time() <= 4.5


async def test_one_subscriber_too_many(clock: MockClock) -> None:
    async with running(max_subscribers=2) as stage, stage.client() as first:
        await first.expect("welcome")
        async with stage.client() as second, stage.client() as third:
            await second.expect("welcome")
            assert await closed_code(third) == 4013
            stage.settings.change(max_subscribers=3)
            async with stage.client() as fourth:
                await fourth.expect("welcome")
        stage.settings.change(max_subscribers=1)
        await stage.tick(make_game(0))
        await first.expect("snapshot")


async def test_too_slow_is_closed_with_4008_where_so_configured(clock: MockClock) -> None:
    async with running(slow="close", queue=2, heartbeat_s=100) as stage:
        await stage.tick(make_game(0))
        await stage.upgrade(receive_buffer=4096)
        with capture_logs() as logs:
            for score in range(40):
                await stage.tick(make_game(0, score, pad=100_000))
            await trio.sleep(25)
        [left] = [entry for entry in logs if entry["event"] == "subscriber_left"]
        assert left["reason"] == "4008 too slow"


async def test_slow_reader_gets_conflated_batches_and_ends_right(clock: MockClock) -> None:
    async with running(queue=2) as stage:
        await stage.tick(*(make_game(number, pad=3000) for number in range(6)))
        raw = await stage.upgrade(receive_buffer=4096)
        for score in range(1, 400):
            await stage.tick(make_game(score % 6, score, pad=3000))
        view: dict[str, int] = {}
        seq = conflated = 0
        while seq < 400:
            opcode, payload = await raw.frame()
            assert opcode == 1
            message = orjson.loads(payload)
            if message["type"] == "welcome":
                continue
            assert message["seq"] > seq
            if "conflated" in message:
                # It stands for all that was skipped: with no filter, each seq in between.
                assert message["seq"] == seq + message["conflated"]
                conflated += message["conflated"]
            elif message["type"] == "batch":
                assert message["seq"] == seq + 1, "a silent gap"
            seq = message["seq"]
            games = message.get("messages") or message["games"]
            view |= {game["game_id"]: game["home"]["score"] for game in games}
        assert conflated > 100
        assert sorted(view.values()) == [394, 395, 396, 397, 398, 399]


async def test_many_newcomers_during_ticks_see_no_gap(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0))

        async def follow(delay: float) -> None:
            await trio.sleep(delay)
            async with stage.client() as client:
                await client.expect("welcome")
                seq = (await client.expect("snapshot"))["seq"]
                while seq < 30:
                    batch = await client.expect("batch")
                    assert batch["seq"] == seq + 1
                    seq += 1

        async with trio.open_nursery() as nursery:
            for number in range(90):
                nursery.start_soon(follow, number / 10)
            for score in range(29):
                await trio.sleep(0.3)
                await stage.tick(make_game(0, score))


async def test_draining_sends_the_tick_in_flight_and_1001(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0))
        async with stage.client() as client, stage.client() as other:
            silent = await stage.connect()
            for each in (client, other):
                await each.expect("welcome")
                await each.expect("snapshot")
            started = trio.current_time()
            await stage.tick(make_game(0, 2))
            stage.end()
            for each in (client, other):
                assert (await each.expect("batch"))["seq"] == 2
            # When to come back is another time for each.
            assert (await client.expect("reconnect"))["after_s"] == 0.01
            assert (await other.expect("reconnect"))["after_s"] == 0.02
            for each in (client, other):
                assert await closed_code(each) == 1001
            assert await silent.rest() == b""
        await stage.ended.wait()
        assert trio.current_time() - started < 0.5
        with pytest.raises(OSError, match="refused"):
            await stage.connect()


async def test_draining_cuts_who_does_not_answer(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0, pad=3_000_000))
        silent = await stage.upgrade()
        stalled = await stage.upgrade(receive_buffer=4096)
        await silent.frame()
        await stalled.frame()
        started = trio.current_time()
        stage.end()
        await stage.ended.wait()
        assert trio.current_time() - started < 3


async def test_cancelled_it_says_goodbye_where_it_can(clock: MockClock) -> None:
    with trio.CancelScope() as scope:
        async with running() as stage:
            raw = await stage.upgrade()
            await raw.frame()
            stage.raws.clear()
            scope.cancel()
    assert (await raw.frame())[0] == 8
    await raw.stream.aclose()


async def test_a_game_that_leaves_the_night_leaves_every_view(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0), make_game(1))
        async with stage.client() as one, stage.client("?teams=CHI") as other:
            for client in (one, other):
                await client.expect("welcome")
                await client.expect("snapshot")
            await stage.tick(dropped=("0022500000",))
            shown = await one.expect("snapshot")
            assert [game["game_id"] for game in shown["games"]] == ["0022500001"]
            assert shown["seq"] == 1
            await other.expect("snapshot")
            await stage.tick(make_game(1, 2), dropped=("0022500000",))  # it had left before
            for client in (one, other):
                assert (await client.expect("batch"))["seq"] == 2
        # Who was away meanwhile is not told by batches.
        epoch = shown["epoch"]
        for since, kind in (("1", "snapshot"), ("2", "heartbeat")):
            async with stage.client(f"?since={epoch}.{since}") as back:
                await back.expect("welcome")
                await back.expect(kind)


async def test_an_id_too_deep_to_send_back_is_a_bad_request(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(0))
        async with stage.client() as client:
            await client.expect("welcome")
            await client.expect("snapshot")
            deep = "[" * 300 + "]" * 300
            await client.ws.send_message(f'{{"op":"ping","id":{deep}}}')
            assert "id: expected" in (await client.expect("error"))["detail"]
            await client.say({"op": "ping", "id": [[7]]})
            assert (await client.expect("pong"))["id"] == [[7]]


async def test_moving_keeps_subscribers(clock: MockClock) -> None:
    async with running(port=free_port()) as stage, stage.client() as client:
        await client.expect("welcome")
        with capture_logs() as logs:
            old = stage.port
            with socket.create_server((HOST, 0)) as taken:
                stage.settings.change(port=taken.getsockname()[1])
                await trio.sleep(1)
            [failed] = logs
            assert (failed["event"], failed["error"]) == ("listen_failed", "Address already in use")
            assert failed["stays"] == f"{HOST}:{old}"
            async with stage.client() as newcomer:
                await newcomer.expect("welcome")
            logs.clear()
            stage.settings.change(host="127.0.0.2", port=old)
            await trio.sleep(1)
        [listening] = [entry for entry in logs if entry["event"] == "listening"]
        assert (listening["host"], listening["port"]) == ("127.0.0.2", old)
        with pytest.raises(OSError, match="refused"):
            await stage.connect()
        await stage.tick(make_game(0))
        await client.expect("snapshot")


async def test_first_address_taken_is_the_callers_error(clock: MockClock) -> None:
    with socket.create_server((HOST, 0)) as taken:
        settings = FakeSettings(Config(server=Server(port=taken.getsockname()[1])))
        _, receiver = open_bounded(1, Forecasts)
        with pytest.raises(OSError, match="in use"):
            await serve_stream(receiver, cast(Any, settings), served=lambda _: None)


async def test_every_tick_is_logged(clock: MockClock) -> None:
    async with running() as stage:
        with capture_logs() as logs:
            await stage.tick(make_game(0))
            await stage.tick()
        stages = [entry for entry in logs if entry["event"] == "stage"]
        assert [(entry["stage"], entry["tick"], entry["games"]) for entry in stages] == [
            ("emit", 1, 1),
            ("emit", 2, 0),
        ]


async def test_a_fault_of_ours_ends_one_connection_only(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    async with running() as stage, stage.client() as client:
        await client.expect("welcome")
        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr("nbad.stream.connection.parse_request", fail)
            raw = await stage.upgrade()
            await raw.send(masked(1, b"{}"))
            assert b"\x03\xf3internal error" in await raw.rest()
            await trio.sleep(1)
        assert "subscriber_failed" in [entry["event"] for entry in logs]
        await stage.tick(make_game(0))
        await client.expect("snapshot")


async def test_websockets_the_library() -> None:
    """A plain client that is not ours, in a thread, on real time."""
    async with running() as stage:
        got: list[Any] = []
        connected = trio.Event()

        def watch() -> None:
            with connect(
                f"ws://{HOST}:{stage.port}/v1/stream", subprotocols=[cast(Any, "nbad.v1")]
            ) as ws:
                got.append(ws.subprotocol)
                trio.from_thread.run_sync(connected.set)
                got.extend(orjson.loads(text) for text in ws)
                assert ws.protocol.close_rcvd is not None
                got.append(ws.protocol.close_rcvd.code)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, watch)
            await connected.wait()
            for score in range(5):
                await stage.tick(*(make_game(number, score) for number in range(10)))
            stage.end()
        assert got[0] == "nbad.v1"
        assert [message["type"] for message in got[1:-1]] == [
            "welcome",
            "snapshot",
            *["batch"] * 4,
            "reconnect",
        ]
        assert got[-1] == 1001


async def test_upgrade_answer_is_what_the_rfc_says(clock: MockClock) -> None:
    async with running() as stage:
        raw = await stage.connect()
        await raw.send(head(replace={"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}))
        answer = (await raw.until(b"\r\n\r\n")).lower()
        assert answer.startswith(b"http/1.1 101 ")
        assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in answer
