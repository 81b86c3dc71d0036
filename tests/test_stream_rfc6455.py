"""RFC 6455 by the sections of the Autobahn test suite, against the real server.

The suite itself is Python 2 and wants an echo: here a message that is to be echoed is the
protocol's own ping, whose pong brings its `id` back. Left out are 9 (large messages: the limit is
4 KiB) and 12 and 13 (compression: test_stream_deflate.py).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import orjson
import pytest
from stream_kit import Raw, make_clock, masked, running
from trio.testing import MockClock

MORE, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MARK = b"mark"
GREEK = "κόσμε"
Frame = tuple[int, bytes]


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


def ask(text: object) -> bytes:
    return orjson.dumps({"op": "ping", "id": text})


def pong(text: object) -> Frame:
    return TEXT, orjson.dumps({"type": "pong", "id": text})


def close(code: int, reason: bytes = b"") -> bytes:
    return masked(CLOSE, struct.pack("!H", code) + reason)


def reserved(opcode: int, bits: int, payload: bytes = b"") -> bytes:
    frame = masked(opcode, payload)
    return bytes([frame[0] | bits << 4]) + frame[1:]


def pieces(payload: bytes, size: int) -> list[bytes]:
    """A text message in frames of ``size`` bytes."""
    parts = [payload[start : start + size] for start in range(0, len(payload), size)]
    return [
        masked(MORE if number else TEXT, part, fin=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]


async def told(raw: Raw) -> list[Frame]:
    """What comes before the answer to a ping of our own, but the welcome."""
    await raw.send(masked(PING, MARK))
    frames: list[Frame] = []
    while (frame := await raw.frame()) != (PONG, MARK):
        assert frame[0] != CLOSE, frame
        frames.append(frame)
    return [frame for frame in frames if b'"welcome"' not in frame[1]]


async def ended(raw: Raw) -> tuple[int | None, list[Frame]]:
    """The code that it was closed with, and what came before, but the welcome."""
    frames: list[Frame] = []
    while (frame := await raw.frame())[0] != CLOSE:
        frames.append(frame)
    code = struct.unpack("!H", frame[1][:2])[0] if frame[1] else None
    return code, [frame for frame in frames if b'"welcome"' not in frame[1]]


SIZES = (0, 1, 95, 96, 97, 98, 100, 3000)
BYTES = bytes(range(0x80, 0xFF))[:125]
HEARD: dict[str, tuple[Iterable[bytes], list[Frame]]] = {
    **{f"1.1 text of {n}": ([masked(TEXT, ask("*" * n))], [pong("*" * n)]) for n in SIZES},
    "2.1 ping without payload": ([masked(PING)], [(PONG, b"")]),
    "2.2 ping with text": ([masked(PING, b"Hello")], [(PONG, b"Hello")]),
    "2.3 ping with bytes": ([masked(PING, b"\0\xff\xfe\xfd\xfc\xfb\0\xff")],
                            [(PONG, b"\0\xff\xfe\xfd\xfc\xfb\0\xff")]),
    "2.4 ping with 125 bytes": ([masked(PING, BYTES)], [(PONG, BYTES)]),
    "2.6 ping byte by byte": ([bytes([b]) for b in masked(PING, b"Hello")], [(PONG, b"Hello")]),
    "2.7 pong unasked": ([masked(PONG)], []),
    "2.8 pong unasked with payload": ([masked(PONG, b"unsolicited")], []),
    "2.9 pong unasked, then ping": ([masked(PONG, b"un"), masked(PING, b"p")], [(PONG, b"p")]),
    "2.10 ten pings": ([masked(PING, b"%d" % n) for n in range(10)],
                       [(PONG, b"%d" % n) for n in range(10)]),
    "5.3 text in two": ([masked(TEXT, ask("a")[:9], fin=False), masked(MORE, ask("a")[9:])],
                        [pong("a")]),
    "5.6 text in two, a ping between": (
        [masked(TEXT, ask("a")[:9], fin=False), masked(PING, b"between"),
         masked(MORE, ask("a")[9:])],
        [(PONG, b"between"), pong("a")],
    ),
    "5.19 text in five, pings between": (
        [frame for number, part in enumerate(pieces(ask("abcdefgh"), 6))
         for frame in (part, masked(PING, b"%d" % number))],
        [(PONG, b"0"), (PONG, b"1"), (PONG, b"2"), (PONG, b"3"), pong("abcdefgh"), (PONG, b"4")],
    ),
    "6.2.1 UTF-8": ([masked(TEXT, ask(GREEK))], [pong(GREEK)]),
    "6.2.3 UTF-8, each byte a frame": (pieces(ask(GREEK), 1), [pong(GREEK)]),
    "6.2.4 UTF-8, each byte a packet": ([bytes([b]) for b in masked(TEXT, ask(GREEK))],
                                        [pong(GREEK)]),
    **{f"6.5-6.22 U+{ord(char):X}": ([masked(TEXT, ask(char))], [pong(char)])
       for char in "\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\ufffd\U00010000\U0010fffe\U0010ffff"},
}  # fmt: skip

REFUSED: dict[str, tuple[list[bytes], int]] = {
    "2.5 ping with 126 bytes": ([masked(PING, b"x" * 126)], 1002),
    **{f"3.{bits} reserved bits of a text": ([reserved(TEXT, bits, b"{}")], 1002)
       for bits in range(1, 8)},
    **{f"3 reserved bits {bits} of a ping": ([reserved(PING, bits)], 1002) for bits in (1, 4)},
    **{f"4.1 opcode {code}": ([masked(code, b"x")], 1002) for code in range(3, 8)},
    **{f"4.2 opcode {code}": ([masked(code, b"x")], 1002) for code in range(11, 16)},
    "5.1 ping in two": ([masked(PING, b"a", fin=False), masked(MORE, b"b")], 1002),
    "5.2 pong in two": ([masked(PONG, b"a", fin=False), masked(MORE, b"b")], 1002),
    "5.9 goes on with nothing": ([masked(MORE, b"a"), masked(TEXT, b"b")], 1002),
    "5.12 goes on with nothing, unended": ([masked(MORE, b"a", fin=False)], 1002),
    "5.15 ended, and goes on": ([*pieces(ask("a"), 9), masked(MORE, b"x")], 1002),
    "5.18 text within a text": ([masked(TEXT, b"a", fin=False), masked(TEXT, b"b")], 1002),
    **{f"6.3-6.21 {octets.hex()}": ([masked(TEXT, b'"' + octets + b'"')], 1007)
       for octets in (
           b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80", b"\xf4\x90\x80\x80",
           b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\x80", b"\xbf", b"\xc0\x20",
           b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf",
           b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xfe", b"\xff",
       )},
    "6.4 not UTF-8, fails before it ends": ([masked(TEXT, b"\xce\xba\xf4\x90", fin=False)], 1007),
    "6.1 half a character": ([masked(TEXT, b'"\xce')], 1007),
    "7.3.2 close with one byte": ([masked(CLOSE, b"\x03")], 1002),
    "7.3.6 close with 126 bytes": ([close(1000, b"x" * 124)], 1002),
    "7.5 close, its reason not UTF-8": ([close(1000, b"\xce\xba\xed\xa0\x80")], 1007),
    **{f"7.9 close {code}": ([close(code)], 1002)
       for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)},
    "an unmasked frame": ([b"\x81\x02{}"], 1002),
}  # fmt: skip


@pytest.mark.parametrize("case", HEARD)
async def test_heard(clock: MockClock, case: str) -> None:
    sent, expected = HEARD[case]
    async with running() as stage:
        raw = await stage.upgrade()
        for data in sent:
            await raw.send(data)
        assert await told(raw) == expected


@pytest.mark.parametrize("case", REFUSED)
async def test_refused(clock: MockClock, case: str) -> None:
    sent, expected = REFUSED[case]
    async with running() as stage:
        raw = await stage.upgrade()
        for data in sent:
            await raw.send(data)
        code, _ = await ended(raw)
        assert code == expected
        assert await raw.rest() == b""


@pytest.mark.parametrize("payload", [b"", b"\x00\xff" * 50], ids=["empty", "bytes"])
async def test_1_2_a_binary_message_is_told_that_text_is_wanted(
    clock: MockClock, payload: bytes
) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.send(masked(BINARY, payload))
        [(opcode, answer)] = await told(raw)
        assert opcode == TEXT
        assert orjson.loads(answer)["code"] == "bad_request"


CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)


@pytest.mark.parametrize("code", CODES)
async def test_7_7_a_close_is_answered_with_its_code(clock: MockClock, code: int) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.send(close(code, b"bye"))
        assert await ended(raw) == (code, [])
        assert await raw.rest() == b""


@pytest.mark.parametrize("reason", [b"", b"x" * 123, GREEK.encode()])
async def test_7_3_a_close_with_any_reason(clock: MockClock, reason: bytes) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.send(close(1000, reason) if reason else masked(CLOSE))
        code, _ = await ended(raw)
        assert code in (1000, None)
        assert await raw.rest() == b""


@pytest.mark.parametrize(
    "more",
    [close(1000), masked(PING, b"late"), masked(TEXT, ask("late")), masked(MORE, b"late")],
    ids=["7.1.2 close", "7.1.3 ping", "7.1.4 text", "7.1.5 a piece"],
)
async def test_7_1_nothing_is_heard_after_a_close(clock: MockClock, more: bytes) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.send(masked(TEXT, ask("before")) + close(1000) + more)
        assert await ended(raw) == (1000, [pong("before")])
        assert await raw.rest() == b""
