"""Requests that no honest client sends, for the tests and benchmarks/attacks.py."""

from __future__ import annotations

import random as random_module

KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
GET = b"GET /v1/games HTTP/1.1\r\nHost: h\r\n\r\n"
_WEBSOCKET = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Key: {KEY}",
    "Sec-WebSocket-Version: 13",
]


def masked(opcode: int, payload: bytes = b"") -> bytes:
    """A client's frame, with the mask of all zeros."""
    size = bytes([0x80 | min(len(payload), 126)])
    if len(payload) > 125:
        size += len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + b"\0\0\0\0" + payload


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", *headers, "", ""]).encode("latin-1")


def upgrade(*headers: str) -> bytes:
    return head("GET /", "Host: h", *headers)


UPGRADE = head("GET /v1/stream", "Host: h", *_WEBSOCKET)

HOSTILE = [
    upgrade(*_WEBSOCKET),
    upgrade(*_WEBSOCKET) + masked(1, b"hello") * 5,
    upgrade(*_WEBSOCKET) + masked(8) + masked(9),
    upgrade(*_WEBSOCKET, "Sec-WebSocket-Protocol: \xff"),
    upgrade(*_WEBSOCKET, "Sec-WebSocket-Extensions: \xff"),
    upgrade(*_WEBSOCKET, "Sec-WebSocket-Accept: \xff"),
    upgrade("Upgrade: websocket", "Connection: Upgrade, \xe9", *_WEBSOCKET[2:]),
    upgrade("Upgrade: websocket", "Connection: \x80", *_WEBSOCKET[2:]),
    upgrade("Upgrade: \xff", *_WEBSOCKET[1:]),
    upgrade(*_WEBSOCKET[:2], "Sec-WebSocket-Key: \xff", "Sec-WebSocket-Version: 13"),
    upgrade(*_WEBSOCKET[:3], "Sec-WebSocket-Version: \xff"),
    upgrade("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQ"),
    upgrade("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: !!!"),
    upgrade("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: \xff"),
    upgrade("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0",
    head("CONNECT h:1", "Host: h"),
    head("OPTIONS *", "Host: h"),
    head("TRACE /", "Host: h"),
    head("\xff /", "Host: h"),
    head("GET /"),
    head("GET /", "Host: a", "Host: b"),
    head("GET http://[", "Host: h"),
    head("GET //evil.example/%2e%2e", "Host: evil.example"),
    head("GET /v1/games/%ff%00", "Host: \xff"),
    head("GET /v1/games/" + "0" * 12_000, "Host: h"),
    head("GET /" + "/" * 60_000, "Host: h"),
    head("GET /?" + "a=&" * 5000, "Host: h"),
    head("GET /?token=\xff", "Host: h"),
    b"GET / HTTP/0.9\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
    b"GET /\r\n\r\n",
    b"\r\n" * 100,
    b"\0" * 4096,
    b"\xff" * 4096,
    upgrade("Content-Length: -1"),
    upgrade("Content-Length: x"),
    upgrade("Content-Length: 99999999999999999999"),
    upgrade("Content-Length: 5", "Content-Length: 6"),
    upgrade("Content-Length: 100000") + b"x" * 100_000,
    upgrade("Transfer-Encoding: chunked") + b"zz\r\n",
    upgrade("Transfer-Encoding: chunked") + b"fffffffffff\r\n",
    upgrade("Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 20_000,
    upgrade("Transfer-Encoding: gzip, chunked", "Content-Length: 3") + b"abc",
    upgrade("Expect: 100-continue", "Content-Length: 9"),
    upgrade("A: " + "b" * 8_000),
    upgrade("A: " + "b" * 16_000),
    upgrade("A: " + "b" * 64_000),
    upgrade(*(f"A{number}: b" for number in range(1500))),
    upgrade("A : b"),
    upgrade("A: \0"),
    upgrade(" A: b"),
    upgrade("Authorization: Bearer \xff"),
    upgrade("If-None-Match: " + "," * 9000),
    upgrade("Origin: \xff"),
    GET * 200,
    GET[:-2],
    upgrade("Connection: close") + GET,
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 400,
]


def mutated(random: random_module.Random) -> bytes:
    """One of them, spoilt in a few places."""
    data = bytearray(random.choice(HOSTILE)[:2000])
    for _ in range(random.randint(1, 8)):
        at = random.randrange(len(data) + 1)  # nothing may be left of it
        data[at : at + random.choice((0, 0, 1, 3))] = random.randbytes(random.choice((0, 1, 1, 4)))
    return bytes(data)
