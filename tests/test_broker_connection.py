"""The connection to Redis, answer by answer, over a stream in memory."""

from __future__ import annotations

import pytest
import trio
from pydantic import ValidationError
from trio.testing import memory_stream_pair

import nbad.publish.connection
from nbad.publish.broker import Broker, BrokerError
from nbad.publish.connection import Connection, ProtocolError, RefusedError, pack
from nbad.settings.schema import Publish


async def answered(*pieces: bytes) -> object:
    """What a command is told by a broker that sends these and says no more."""
    ours, theirs = memory_stream_pair()
    connection = Connection(ours)
    told: list[object] = []
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            try:
                told.append(await connection.call("PING"))
            except (RefusedError, ProtocolError) as error:
                told.append(error)

        nursery.start_soon(ask)
        assert await theirs.receive_some() == b"*1\r\n$4\r\nPING\r\n"
        for piece in pieces:
            await theirs.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        await theirs.aclose()
    return told[0]


ANSWERS = [
    (b"+OK\r\n", b"OK"),
    (b":-7\r\n", -7),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"$0\r\n\r\n", b""),
    (b"*0\r\n", []),
    (b"$6\r\na\r\nb\r\n\r\n", b"a\r\nb\r\n"),
    (b"*2\r\n*1\r\n$2\r\nab\r\n*2\r\n:1\r\n$-1\r\n", [[b"ab"], [1, None]]),
]


@pytest.mark.parametrize(("text", "value"), ANSWERS)
async def test_an_answer_is_read_however_it_is_cut(text: bytes, value: object) -> None:
    assert await answered(text) == value
    assert await answered(*(text[at : at + 1] for at in range(len(text)))) == value


async def test_a_command_is_counted_in_bytes() -> None:
    assert pack(("SET", "é", b"\0\r\n", 12)) == (
        b"*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$3\r\n\0\r\n\r\n$2\r\n12\r\n"
    )


async def test_a_refusal_is_told_and_the_next_command_is_answered() -> None:
    ours, theirs = memory_stream_pair()
    connection = Connection(ours)
    await theirs.send_all(b"-NOPERM not you\r\n+PONG\r\n")
    with pytest.raises(RefusedError, match="NOPERM not you"):
        await connection.call("PING")
    assert await connection.call("PING") == b"PONG"


async def test_a_value_that_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nbad.publish.connection, "MAX_VALUE", 1000)
    text = b"*3\r\n$1001\r\n%b\r\n$1000\r\n%b\r\n$2\r\nab\r\n" % (b"x" * 1001, b"y" * 1000)
    value = [b"", b"y" * 1000, b"ab"]
    assert await answered(text) == value
    assert await answered(*(text[at : at + 7] for at in range(0, len(text), 7))) == value


async def test_an_answer_is_kept_up_to_so_much_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nbad.publish.connection, "MAX_ANSWER", 1000)
    ours, theirs = memory_stream_pair()
    connection = Connection(ours)
    for _ in range(2):  # each answer anew
        long = b"$900\r\n%b\r\n$101\r\n%b\r\n" % (b"x" * 900, b"y" * 101)
        await theirs.send_all(b"*3\r\n%b$100\r\n%b\r\n" % (long, b"z" * 100))
        assert await connection.call("PING") == [b"x" * 900, b"", b"z" * 100]


async def test_the_ids_to_go_on_from_are_kept_where_the_values_fill_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nbad.publish.connection, "MAX_ANSWER", 1000)
    newest = b"18446744073709551615-18446744073709551615"
    text = b"*3\r\n$1000\r\n%b\r\n$41\r\n%b\r\n$65\r\n%b\r\n" % (b"x" * 1000, newest, b"y" * 65)
    assert await answered(text) == [b"x" * 1000, newest, b""]


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$x\r\n",
        b"\r\n",
        b"*1\r\n" * 20,
        b"+" + b"x" * 70_000,
        b"$5\r\nab",
        b"",
    ],
)
async def test_what_is_no_answer_of_redis_is_said(text: bytes) -> None:
    assert isinstance(await answered(text), ProtocolError)


@pytest.mark.parametrize(
    "text", [b"+OK\r\n", b":1\r\n", b"*1\r\n:1\r\n", b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n$3\r\n1-0\r\n"]
)
async def test_an_answer_of_another_form_is_a_fault_of_the_brokers(text: bytes) -> None:
    ours, theirs = memory_stream_pair()
    broker = Broker(Connection(ours), Publish(), 1.0)
    await theirs.send_all(text)
    with pytest.raises(BrokerError, match="expected an answer of Redis, was another"):
        await broker.read("0-0", 10, 0.0)
    await theirs.send_all(b":1\r\n+a\r\n")
    with pytest.raises(BrokerError, match="expected an answer of Redis, was another"):
        await broker.acquire("me")
    with pytest.raises(BrokerError, match="expected an answer of Redis, was another"):
        await broker.write("me", 1, {})


@pytest.mark.parametrize("url", ["redis://h", "redis://h:1/0", "rediss://[::1]:6380/12"])
def test_an_address_that_can_be_connected_to_is_taken(url: str) -> None:
    assert Publish(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "redis://:6379/0",
        "redis://h:0/0",
        "redis://h:99999/0",
        "redis://h:x/0",
        "redis://[::1",
        "redis://a..b/0",
        "redis://user:password@h/0",
    ],
)
def test_an_address_that_never_could_is_refused_before_it_is_in_force(url: str) -> None:
    with pytest.raises(ValidationError, match="redis://HOST:PORT/DB"):
        Publish(url=url)
