"""A feed that costs little: every answer is made before the first request comes.

    python -m nbad.bench.feed GAMES QUARTER [CERTIFICATE]

A process of its own, so that what is measured of its client is the client's. Each request for the
board moves every game on by one change; the plays asked for afterwards are those. Prints its port;
``/begin`` goes back to the first change. With a ``CERTIFICATE`` (a file of PEM, its key in it) it
speaks TLS, as the real one does.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import itertools
import ssl
import sys
from dataclasses import dataclass

from nbad.bench.scenario import Documents, changes, slate
from nbad.simulator.answer import LIVE_DATA, SCHEDULE, SCOREBOARD

# More than any run asks for; a game's last quarter holds no more.
_STEPS = 60
_LEVEL = 6  # as nginx and its like are set up

_HEAD = (
    b"HTTP/1.1 %b\r\nServer: nginx\r\nDate: Thu, 15 Jan 2026 02:00:00 GMT\r\n"
    b"Content-Type: application/json\r\nConnection: keep-alive\r\nVary: Accept-Encoding\r\n"
    b"ETag: %b\r\nLast-Modified: Thu, 15 Jan 2026 02:00:00 GMT\r\nX-Cache: HIT\r\n"
)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A document's two answers: whole, and that it has not changed since its ``tag``."""

    tag: bytes
    whole: bytes
    unchanged: bytes


def _ready(body: bytes) -> _Ready:
    tag = b'"%b"' % hashlib.blake2b(body, digest_size=8).hexdigest().encode()
    packed = gzip.compress(body, _LEVEL, mtime=0)
    more = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    whole = _HEAD % (b"200 OK", tag) + more + packed
    return _Ready(tag, whole, _HEAD % (b"304 Not Modified", tag) + b"\r\n")


class Answers:
    """What the feed answers, at the step it stands at."""

    def __init__(self, games: int, quarter: int) -> None:
        night = slate(games)
        self._schedule = _ready(night.schedule(night.starts_at).body)
        self._boards: list[_Ready] = []
        self._plays: list[dict[bytes, _Ready]] = []
        for said in itertools.islice(changes(night, quarter), _STEPS):
            self._add(said)
        self._step = -1

    def _add(self, said: Documents) -> None:
        self._boards.append(_ready(said.board))
        self._plays.append(
            {
                f"{LIVE_DATA}/playbyplay/playbyplay_{game_id}.json".encode(): _ready(body)
                for game_id, body in said.plays.items()
            }
        )

    def answer(self, request: bytes) -> bytes:
        """The answer to one whole request."""
        path = request.split(b" ", 2)[1]
        ready = self._plays[max(self._step, 0)].get(path)
        if ready is None:
            if path == SCOREBOARD.encode():
                self._step = min(self._step + 1, len(self._boards) - 1)
                ready = self._boards[self._step]
            elif path == SCHEDULE.encode():
                ready = self._schedule
            else:
                self._step = -1
                return b"HTTP/1.1 204 No Content\r\n\r\n"
        return ready.unchanged if ready.tag in request else ready.whole


class _Connection(asyncio.Protocol):
    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for request in requests:
            self._transport.write(self._answers.answer(request))


async def main(games: int, quarter: int, certificate: str | None = None) -> None:
    """Serve until ended."""
    answers = Answers(games, quarter)
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(answers), "127.0.0.1", 0, backlog=512, ssl=context
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    import gc

    gc.disable()
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
