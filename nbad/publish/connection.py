"""A connection to Redis or Valkey: one command after the other, in the caller's own task.

Of the protocol (RESP2) only what the log needs. There is no pool and no reading task: a daemon
writes an entry a tick, and each task that an answer passes through costs as much as the entry.
"""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

import trio

from nbad.net.sockets import Direct

Word = bytes | str | int

MAX_VALUE = 32 * 1024 * 1024
"""Longer values of an answer are passed over: they count as empty. So are those beyond
:data:`MAX_ANSWER` in all, but for the shortest: among them are the ids, to go on from."""
MAX_ANSWER = 4 * MAX_VALUE
_SHORT = 64

_PORT = 6379
_MAX_LINE = 1 << 16
_MAX_DEPTH = 8


class RefusedError(Exception):
    """The broker answered with an error; its text says which."""


class ProtocolError(Exception):
    """The peer is not Redis, or has closed the connection."""


FAULTS = (RefusedError, ProtocolError, OSError, trio.BrokenResourceError)
"""What a command may raise."""


class Connection:
    """Commands over ``stream``, one after the other.

    Not usable after a command raised anything but :class:`RefusedError`, or was cancelled: the next
    answer read would be that of another command.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = Direct(stream)
        self._data = bytearray()
        self._room = MAX_ANSWER

    async def call(self, *words: Word) -> Any:
        """Send a command, and return its answer: bytes, a number, a list of these, or None.

        Raises :data:`FAULTS`.
        """
        await self._stream.send(pack(words))
        self._room = MAX_ANSWER
        reply = await self._reply(0)
        if isinstance(reply, RefusedError):
            raise reply
        return reply

    async def aclose(self) -> None:
        """Close it, waiting for nobody."""
        await self._stream.aclose()

    async def _reply(self, depth: int) -> Any:
        line = await self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RefusedError(rest.decode(errors="replace"))
        try:
            number = int(rest)
        except ValueError:
            raise ProtocolError(f"expected an answer of Redis, was {line[:40]!r}") from None
        if kind == b":":
            return number
        if kind == b"$":
            return None if number < 0 else await self._value(number)
        if kind == b"*" and depth < _MAX_DEPTH:
            return None if number < 0 else [await self._reply(depth + 1) for _ in range(number)]
        raise ProtocolError(f"expected an answer of Redis, was {line[:40]!r}")

    async def _line(self) -> bytes:
        data, start = self._data, 0
        while (end := data.find(b"\r\n", start)) < 0:
            if len(data) > _MAX_LINE:
                raise ProtocolError("expected an answer of Redis, was a line without an end")
            start = max(0, len(data) - 1)
            await self._more()
        line = bytes(data[:end])
        del data[: end + 2]
        return line

    async def _value(self, size: int) -> bytes:
        data, left = self._data, size + 2
        if size > min(MAX_VALUE, max(self._room, _SHORT)):
            while len(data) < left:
                left -= len(data)
                data.clear()
                await self._more()
            del data[:left]
            return b""
        while len(data) < left:
            await self._more()
        self._room -= size
        value = bytes(memoryview(data)[:size])
        del data[:left]
        return value

    async def _more(self) -> None:
        data = await self._stream.receive()
        if not data:
            raise ProtocolError("the broker ended the connection")
        self._data += data


def pack(words: tuple[Word, ...]) -> bytes:
    """A command as it goes over the wire."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        text = word if isinstance(word, bytes) else str(word).encode()
        parts += (b"$%d\r\n" % len(text), text, b"\r\n")
    return b"".join(parts)


async def connect(url: str, user: str, password: str | None) -> Connection:
    """A connection to ``url`` (``redis://HOST:PORT/DB``, ``rediss://`` for TLS), logged in.

    Raises :data:`FAULTS`.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    stream: trio.abc.Stream = await trio.open_tcp_stream(host, parts.port or _PORT)
    try:
        if parts.scheme == "rediss":
            stream = trio.SSLStream(stream, ssl.create_default_context(), server_hostname=host)
        connection = Connection(stream)
        if user or password is not None:
            await connection.call("AUTH", *filter(None, [user]), password or "")
        if (database := parts.path.strip("/")) not in ("", "0"):
            await connection.call("SELECT", database)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return connection
