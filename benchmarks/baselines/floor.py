"""What no pipeline in Python goes below: no framework, no checks, no state; only what must be done.

The kernel's part of 16 requests on kept connections, read into one buffer; isal; the changed tail
of each document by one comparison; orjson of the board and of the new plays; one forecast of all
games from nbad's table (of rows that never change: nothing is folded); orjson of one message;
and one ``send`` of its frame a subscriber. No header is read but the length, nothing is judged,
logged or kept for newcomers, and a subscriber that does not read in time breaks it.

With ``--twice`` the board is told too, at once, as nbad does, and not only what plays follow it.
"""

from __future__ import annotations

import argparse
import gc
import select
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson
from common import Stages, message, new_history, say
from isal import igzip_lib

from nbad.model.forecaster import Forecaster
from nbad.pattern.history import GameHistory
from nbad.stream.frames import text_frame

_LENGTH, _END = b"Content-Length: ", b"\r\n\r\n"
_ACTIONS, _ACTION, _TAIL = b'"actions":[', b'{"actionNumber"', b"]}}"


class Feed:
    """Kept connections, one for each document."""

    def __init__(self, base_url: str) -> None:
        url = urlsplit(base_url)
        self._peer, self._host = (url.hostname, url.port), url.netloc
        self._base = url.path
        self._poll = select.epoll()
        self._sockets: list[socket.socket] = []
        self._buffer = bytearray(1 << 20)

    def ask(self, first: int, paths: list[str]) -> list[bytes]:
        """The documents at ``paths``, all asked for at once, the connections ``first`` and on."""
        while len(self._sockets) < first + len(paths):
            fresh = socket.create_connection(self._peer)
            fresh.setblocking(False)
            self._poll.register(fresh, select.EPOLLIN)
            self._sockets.append(fresh)
        waiting: dict[int, tuple[int, socket.socket, bytes]] = {}
        for at, path in enumerate(paths):
            sock = self._sockets[first + at]
            ask = f"GET {self._base}/{path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n"
            sock.send(ask.encode())
            waiting[sock.fileno()] = at, sock, b""
        found = [b""] * len(paths)
        view = memoryview(self._buffer)
        while waiting:
            for number, _ in self._poll.poll():
                at, sock, data = waiting[number]
                data += view[: sock.recv_into(self._buffer)]
                end = data.find(_END) + len(_END)
                length = data.index(_LENGTH) + len(_LENGTH)
                if len(data) < end + int(data[length : data.index(b"\r", length)]):
                    waiting[number] = at, sock, data
                    continue
                del waiting[number]
                inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
                size = int.from_bytes(data[-4:], "little")
                found[at] = inflater.decompress(memoryview(data)[end:], size + 1)
        return found


class Pipeline:
    """The last body of each game, and a row of features for each."""

    def __init__(self, base_url: str, *, twice: bool) -> None:
        self._feed = Feed(base_url)
        self._twice = twice
        self._last: dict[str, bytes] = {}
        self._forecaster = Forecaster.load()
        self._histories: list[GameHistory] = []
        self._rows = np.empty((0, 0))
        self.subscribers: list[socket.socket] = []

    def tick(self, stages: Stages) -> int:
        now = time.perf_counter()
        (board,) = self._feed.ask(0, ["scoreboard/todaysScoreboard_00.json"])
        now = stages.done("poll", now)
        games = orjson.loads(board)["scoreboard"]["games"]
        now = stages.done("parse", now)
        if not self._histories:
            self._histories = list(map(new_history, games))
            self._rows = np.array([history.current() for history in self._histories])
        if self._twice:
            now = self._tell(games, [0] * len(games), stages, now)
        paths = [f"playbyplay/playbyplay_{game['gameId']}.json" for game in games]
        bodies = self._feed.ask(1, paths)
        now = stages.done("poll", now)
        counts = [len(self._new(path, body)) for path, body in zip(paths, bodies, strict=True)]
        now = stages.done("parse", now)
        self._tell(games, counts, stages, now)
        return len(games)

    def _tell(self, games: list[Any], counts: list[int], stages: Stages, now: float) -> float:
        forecasts = self._forecaster.forecast(self._rows)
        now = stages.done("predict", now)
        told = list(map(message, games, self._histories, forecasts, counts))
        frame = text_frame(orjson.dumps({"messages": told}))
        for sock in self.subscribers:
            sock.send(frame)
        return stages.done("emit", now)

    def _new(self, path: str, body: bytes) -> list[Any]:
        """The plays from the first that is another, or new."""
        last, self._last[path] = self._last.get(path, b""), body
        start = body.index(_ACTIONS) + len(_ACTIONS)
        known = memoryview(last)[start : -len(_TAIL)]
        if known and body.startswith(known, start):
            start += len(known) + 1
        elif known:
            size = min(len(last), len(body)) - start
            was, now = (np.frombuffer(of, np.uint8, size, start) for of in (last, body))
            start = body.rindex(_ACTION, 0, start + int((was != now).argmax()))
        new: list[Any] = orjson.loads(b"[%b]" % body[start : -len(_TAIL)])
        return new


def admit(listener: socket.socket, until: float, members: list[socket.socket]) -> None:
    """Let subscribers in until then."""
    while (left := until - time.perf_counter()) > 0:
        if not select.select([listener], [], [], left)[0]:
            return
        joined, _ = listener.accept()
        joined.recv(4096)
        joined.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        joined.setblocking(False)
        members.append(joined)


def main(base_url: str, interval: float, *, twice: bool) -> None:
    pipeline = Pipeline(base_url, twice=twice)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    say(f"listening {listener.getsockname()[1]}")
    while True:
        began = time.perf_counter()
        stages = Stages()
        say(stages.line(pipeline.tick(stages)))
        admit(listener, began + interval, pipeline.subscribers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The floor.")
    parser.add_argument("base_url")
    parser.add_argument("--interval", type=float, default=0.5)
    parser.add_argument("--twice", action="store_true", help="tell the board at once, too")
    arguments = parser.parse_args()
    gc.freeze()
    gc.disable()
    main(arguments.base_url, arguments.interval, twice=arguments.twice)
