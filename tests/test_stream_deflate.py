"""Messages compressed once for all who take them so; what clients compress is read, and bounded."""

from __future__ import annotations

import os
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_kit import Raw, head, make_clock, make_game, masked, running
from trio.testing import MockClock
from wsproto.frame_protocol import FrameProtocol, Opcode

from nbad.stream import deflate
from nbad.stream.deflate import DeflatedFrames, accept_offer, deflated
from nbad.stream.frames import PeerError, text_frame
from nbad.stream.inflater import Inflater
from nbad.stream.requests import MAX_BYTES

TEXT, CLOSE, RSV1 = 0x1, 0x8, 0x40
OFFER: dict[str, str | None] = {
    "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"
}
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


def packed(text: bytes) -> bytes:
    """As a client compresses a message."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def unpacked(payload: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")


def compressed(text: bytes, fin: bool = True) -> bytes:
    """A client's compressed message, its first or only frame."""
    frame = masked(TEXT, packed(text), fin=fin)
    return bytes([frame[0] | RSV1]) + frame[1:]


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        (["permessage-deflate"], ANSWER),
        (["permessage-deflate; client_max_window_bits"], ANSWER),
        (["x-webkit-deflate-frame", "Permessage-Deflate; client_max_window_bits=10"], ANSWER),
        (["permessage-deflate;server_no_context_takeover;client_no_context_takeover"], ANSWER),
        (["permessage-deflate; server_max_window_bits=15"], f"{ANSWER}; server_max_window_bits=15"),
        (
            ['permessage-deflate; server_max_window_bits="15"'],
            f"{ANSWER}; server_max_window_bits=15",
        ),
        (["permessage-deflate; server_max_window_bits=10"], None),
        (["permessage-deflate; server_max_window_bits=10", "permessage-deflate"], ANSWER),
        (["permessage-deflate; server_max_window_bits"], None),
        (["permessage-deflate; client_max_window_bits=7"], None),
        (["permessage-deflate; client_max_window_bits=08"], None),
        (["permessage-deflate; server_no_context_takeover=1"], None),
        (["permessage-deflate; client_no_context_takeover; client_no_context_takeover"], None),
        (["permessage-deflate; level=9"], None),
        (["permessage-deflate-2"], None),
        ([], None),
    ],
)
def test_an_offer_is_taken_or_passed_over(offers: list[str], answer: str | None) -> None:
    assert accept_offer(offers) == answer


@given(st.binary(max_size=70_000))
def test_a_frame_is_compressed_and_says_the_same(noise: bytes) -> None:
    for text in (noise.hex().encode(), b"a" * len(noise)):
        frame = text_frame(text)
        made = deflated(frame)
        assert len(made) <= len(frame)
        if made[0] & RSV1:
            assert made[0] == frame[0] | RSV1
            size = {126: 4, 127: 10}.get(made[1], 2)
            assert unpacked(made[size:]) == text
        else:
            assert made is frame


def test_a_frame_is_compressed_once_and_so_many_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "_MOST_MADE", 2)
    frames = [text_frame(bytes([65 + number]) * 999) for number in range(3)]
    kept = DeflatedFrames()
    first, second, third = map(kept.of, frames)
    assert first[0] & second[0] & RSV1
    assert third is frames[2]
    assert kept.of(frames[0]) is first
    kept.begin_batch()
    assert kept.of(frames[2])[0] & RSV1


@given(st.data())
def test_a_client_may_compress_and_cut_as_it_likes(data: st.DataObject) -> None:
    """Each message is told as it was meant, its control frames among its fragments."""
    texts = data.draw(st.lists(st.text(max_size=60).map(str.encode), min_size=1, max_size=4))
    sent, pings = b"", 0
    for text in texts:
        payload, rsv = (packed(text), RSV1) if data.draw(st.booleans()) else (text, 0)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(payload)), max_size=3)))
        parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for place, part in enumerate(parts):
            mask = data.draw(st.binary(min_size=4, max_size=4))
            frame = bytearray(masked(0 if place else TEXT, part, fin=place == len(parts) - 1))
            frame[0] |= 0 if place else rsv
            start = len(frame) - len(part)
            frame[start - 4 : start] = mask
            for at in range(len(part)):
                frame[start + at] ^= mask[at % 4]
            sent += bytes(frame)
            if data.draw(st.booleans()):
                sent += masked(0x9, b"p")
                pings += 1
    inflater, heard = Inflater(), FrameProtocol(client=False, extensions=[])
    places = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=9)))
    for start, end in zip([0, *places], [*places, len(sent)], strict=True):
        heard.receive_bytes(inflater.take(sent[start:end]))
    found, message = [], ""
    for frame_ in heard.received_frames():
        if frame_.opcode is Opcode.PING:
            pings -= frame_.message_finished
            continue
        message += str(frame_.payload)
        if frame_.message_finished:
            found.append(message.encode())
            message = ""
    assert (found, pings) == (texts, 0)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (compressed(b"a" * (MAX_BYTES + 1)), 1009),
        (compressed(b"a" * 4_000_000), 1009),
        (compressed(os.urandom(MAX_BYTES)), 1009),
        (compressed(b"a", fin=False) + masked(0, bytes(MAX_BYTES), fin=False), 1009),
        (bytes([0x80 | RSV1 | TEXT]) + masked(TEXT, b"\xff\xff")[1:], 1007),
        (bytes([0x80 | RSV1 | TEXT, 2]) + packed(b""), 1002),
        (compressed(b"a", fin=False) + masked(TEXT, b"b"), 1002),
    ],
    ids=["long", "bomb", "noise", "fragments", "garbage", "unmasked", "another"],
)
def test_a_compressed_message_is_bounded(sent: bytes, code: int) -> None:
    with pytest.raises(PeerError) as error:
        Inflater().take(sent)
    assert error.value.code == code


def test_the_longest_message_is_heard() -> None:
    text = b"a" * MAX_BYTES
    assert Inflater().take(compressed(text))[-MAX_BYTES:] == text


async def upgraded(stage: Any, query: str = "") -> tuple[Raw, bytes]:
    raw = await stage.connect()
    await raw.send(head(f"/v1/stream{query}", OFFER))
    return raw, await raw.until(b"\r\n\r\n")


async def message(raw: Raw) -> tuple[bool, dict[str, Any]]:
    """The next message, and whether it came compressed."""
    await raw._take(2)
    first = raw.buffer[0]
    opcode, payload = await raw.frame()
    assert opcode == TEXT
    text = unpacked(payload) if first & RSV1 else payload
    return bool(first & RSV1), orjson.loads(text)


async def test_who_offers_is_sent_the_same_compressed(clock: MockClock) -> None:
    async with running() as stage:
        await stage.tick(make_game(1, pad=300), make_game(2, pad=300))
        raw, answer = await upgraded(stage)
        assert f"sec-websocket-extensions: {ANSWER}".encode() in answer.lower()
        plain = await stage.upgrade()
        for kind in ("welcome", "snapshot"):
            was, told = await message(raw)
            assert told["type"] == kind
            assert was == (kind == "snapshot")
            assert await message(plain) == (False, told)
        await stage.tick(make_game(1, 2, pad=300))
        was, told = await message(raw)
        assert (was, told["type"], told["seq"]) == (True, "batch", 2)
        assert await message(plain) == (False, told)


async def test_after_a_drop_what_was_missed_comes_compressed_too(clock: MockClock) -> None:
    async with running() as stage:
        for score in range(4):
            await stage.tick(make_game(1, score, pad=300), make_game(2, score, pad=300))
        raw, _ = await upgraded(stage, f"?since={stage.hub.journal.epoch}.2&games=0022500001")
        assert (await message(raw))[1]["type"] == "welcome"
        for seq in (3, 4):
            was, told = await message(raw)
            assert (was, told["seq"], len(told["messages"])) == (True, seq, 1)


async def test_what_a_client_compresses_is_answered(clock: MockClock) -> None:
    async with running() as stage:
        raw, _ = await upgraded(stage)
        await message(raw)
        for number in range(3):
            text = b'{"op":"ping","id":%d}' % number
            await raw.send(compressed(text) if number % 2 else masked(TEXT, text))
            assert (await message(raw))[1] == {"type": "pong", "id": number}


async def test_a_bomb_is_told_1009_and_costs_nobody_else(clock: MockClock) -> None:
    async with running() as stage:
        other = await stage.upgrade()
        raw, _ = await upgraded(stage)
        await message(raw)
        await raw.send(compressed(b" " * 4_000_000))
        opcode, reason = await raw.frame()
        assert (opcode, int.from_bytes(reason[:2], "big")) == (CLOSE, 1009)
        assert not await raw.rest()
        await stage.tick(make_game(1, pad=300))
        assert [(await message(other))[1]["type"] for _ in range(2)] == ["welcome", "snapshot"]


async def test_who_did_not_offer_may_not_compress(clock: MockClock) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.frame()
        await raw.send(compressed(b'{"op":"ping"}'))
        opcode, reason = await raw.frame()
        assert (opcode, int.from_bytes(reason[:2], "big")) == (CLOSE, 1002)
