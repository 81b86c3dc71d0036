"""The strangers of benchmarks/attacks.py: what each does, over and over."""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import trio
import trio.lowlevel

sys.path.append(str(Path(__file__).parents[1] / "tests" / "attack"))
from corpus import GET, HOSTILE, KEY, masked, mutated, upgrade

RANDOM = random.Random()  # other requests in each run
HOST, ATTACKER = "127.0.0.1", "127.0.0.2"
HEAD = (
    "GET /v1/stream{} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + "\r\n\r\n"
)
LEFT = (OSError, ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError)


def many() -> str:
    """One of 64 addresses: where the limits of one are not what is measured."""
    return f"127.0.1.{RANDOM.randrange(1, 65)}"


async def connect(port: int, source: str = ATTACKER, *, window: int = 0) -> trio.SocketStream:
    sock = trio.socket.socket()
    try:
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        await sock.bind((source, 0))
        await sock.connect((HOST, port))
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


async def subscribe(
    port: int, query: str = "", source: str = ATTACKER, *, tls: bool = False, window: int = 0
) -> trio.abc.Stream:
    stream: trio.abc.Stream = await connect(port, source, window=window)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        stream = trio.SSLStream(stream, context, https_compatible=True)
    await stream.send_all(HEAD.format(query).encode())
    return stream


class Frames:
    """The text messages that a server sends."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._bytes = bytearray()

    async def upgraded(self) -> None:
        while (end := self._bytes.find(b"\r\n\r\n")) < 0:
            await self._more()
        del self._bytes[: end + 4]

    async def next(self) -> bytes:
        while True:
            head = await self._take(2)
            size = head[1]
            if size > 125:
                size = int.from_bytes(await self._take(2 if size == 126 else 8), "big")
            payload = await self._take(size)
            if head[0] == 0x89:
                await self.stream.send_all(masked(0xA, payload))
            elif head[0] == 0x88:
                await self.stream.send_all(masked(0x8, payload[:2]))
            elif head[0] == 0x81:
                return payload

    async def _take(self, size: int) -> bytes:
        while len(self._bytes) < size:
            await self._more()
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        return taken

    async def _more(self) -> None:
        data = await self.stream.receive_some(65_536)
        if not data:
            raise trio.BrokenResourceError
        self._bytes += data


Ports = tuple[int, int]


@dataclass(frozen=True)
class Attack:
    """What ``tasks`` strangers do at the stream's and the HTTP port. ``joined``: measured once so
    many of them have subscribed; ``leaving``: once more while all of them leave at once."""

    run: Callable[[Ports], Awaitable[None]]
    tasks: int = 1
    joined: int = 0
    leaving: bool = False
    tls: bool = False
    descriptors: int = 0
    server: str = ""  # more of [server]
    counts: dict[str, int] = field(default_factory=dict)


ATTACKS: dict[str, Attack] = {}


def attack(name: str, tasks: int = 1, **more: Any) -> Callable[[Any], Any]:
    def register(run: Any) -> Any:
        ATTACKS[name] = Attack(run, tasks, **more)
        return run

    return register


async def _send(port: int, data: bytes, source: str = ATTACKER, wait_s: float = 0.3) -> None:
    with contextlib.suppress(*LEFT), trio.move_on_after(wait_s):
        async with await connect(port, source) as stream:
            await stream.send_all(data)
            while await stream.receive_some():
                pass


@attack("55 hostile HTTP requests", 4)
async def hostile(ports: Ports) -> None:
    for data in HOSTILE:
        await _send(ports[1], data)


@attack("mutated HTTP requests", 8)
async def mutated_http(ports: Ports) -> None:
    await _send(ports[1], mutated(RANDOM))


@attack("mutated stream requests", 8)
async def mutated_stream(ports: Ports) -> None:
    await _send(ports[0], mutated(RANDOM).replace(b"GET / ", b"GET /v1/stream "))


async def _hold(port: int, data: bytes, *, drip: bool = False) -> None:
    with contextlib.suppress(*LEFT):
        async with await connect(port) as stream:
            await stream.send_all(data)
            while drip:
                await trio.sleep(1)
                await stream.send_all(b"x")
            while await stream.receive_some(1):  # noqa: ASYNC110 - reads, but hardly
                await trio.sleep(1)
    await trio.sleep(0.2)


@attack("1,000 idle HTTP connections", 1000)
async def idle(ports: Ports) -> None:
    await _hold(ports[1], b"")


@attack("1,000 slow heads", 1000)
async def slow_head(ports: Ports) -> None:
    await _hold(ports[1], b"GET / HTTP/1.1\r\nA: ", drip=True)


@attack("1,000 slow bodies", 1000)
async def slow_body(ports: Ports) -> None:
    await _hold(ports[1], upgrade("Content-Length: 9999"), drip=True)


@attack("1,000 HTTP answers not read", 1000)
async def slow_read(ports: Ports) -> None:
    await _hold(ports[1], GET * 50)


@attack("HTTP flood by 64", 64)
async def http_flood(ports: Ports) -> None:
    with contextlib.suppress(*LEFT):
        async with await connect(ports[1]) as stream:
            while True:
                await stream.send_all(GET)
                await stream.receive_some(100_000)


async def _flood(port: int, made: Callable[[str], bytes]) -> None:
    with contextlib.suppress(*LEFT):
        async with await subscribe(port) as stream, trio.open_nursery() as nursery:
            frames = Frames(stream)
            await frames.upgraded()
            frame = made(orjson.loads(await frames.next())["epoch"])

            async def drain() -> None:
                with contextlib.suppress(*LEFT):
                    while await stream.receive_some(65_536):
                        pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(drain)
            with contextlib.suppress(*LEFT):
                while True:
                    await stream.send_all(frame * 100)
            nursery.cancel_scope.cancel()
    await trio.sleep(0.2)


def said(message: dict[str, Any]) -> Callable[[str], bytes]:
    def made(epoch: str) -> bytes:
        return masked(1, orjson.dumps(message | {"op": "subscribe", "since": f"{epoch}.1"}))

    return made


FLOODS: dict[str, tuple[Callable[[str], bytes], tuple[int, ...]]] = {
    "pongs": (lambda _: masked(0xA), (1, 10, 50, 200)),
    "pings": (lambda _: masked(0x9), (1, 10, 50, 200)),
    "tiny messages": (lambda _: masked(1, b"{}"), (1, 10, 50, 200)),
    "`since` with a filter that matches nothing": (said({"games": ["0"]}), (10, 50, 200)),
    "replays of one team": (said({"teams": ["BOS"]}), (10, 50, 200)),
    "long unknown keys": (
        lambda _: masked(1, b'{"op":"ping","' + b"g" * 3000 + b'":1}'),
        (10, 50, 200),
    ),
}
for _kind, (_made, _counts) in FLOODS.items():
    for _count in _counts:

        @attack(f"{_kind}, {_count} flooders", _count)
        async def flooders(ports: Ports, made: Callable[[str], bytes] = _made) -> None:
            await _flood(ports[0], made)


@attack("connect storm of one address", 200)
async def storm(ports: Ports) -> None:
    with contextlib.suppress(*LEFT):
        async with await subscribe(ports[0]):
            pass


@attack("1,000 silent connections", 1000)
async def silent(ports: Ports) -> None:
    await _hold(ports[0], b"")


@attack("1,000 silent connections, the daemon may open 400 files", 1000, descriptors=400)
async def exhausted(ports: Ports) -> None:
    await _hold(ports[0], b"")


@attack("5,000 stalled readers", 5000, joined=5000)
async def stalled(ports: Ports) -> None:
    with contextlib.suppress(*LEFT):
        async with await subscribe(ports[0], source=many(), window=4096):
            await trio.sleep(600)


@attack("5,000 stalled TLS readers", 5000, joined=5000, tls=True)
async def stalled_tls(ports: Ports) -> None:
    with contextlib.suppress(*LEFT):
        async with await subscribe(ports[0], source=many(), window=4096, tls=True) as stream:
            await stream.receive_some(1)  # else its own handshake is not over
            await trio.sleep(600)


_numbers = count()


@attack("4,096 filters", 4096, joined=4000, leaving=True)
async def filters(ports: Ports) -> None:
    with contextlib.suppress(*LEFT):
        query = f"?games={next(_numbers)}&teams=BOS"
        async with await subscribe(ports[0], query, many()) as stream:
            while await stream.receive_some(65_536):
                pass


def strangers(name: str, ports: Ports) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    trio.run(_strangers, ATTACKS[name], ports)


async def _strangers(attack: Attack, ports: Ports) -> None:
    async def again() -> None:
        while True:
            try:
                await attack.run(ports)
            except* LEFT:
                pass  # cut, as it should be
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for _ in range(attack.tasks):
            nursery.start_soon(again)
            await trio.sleep(0.0005)


def send_mutated(ports: Ports, requests: int, seed: int) -> int:
    """Send so many mutated requests, half of them to each door, many at once; how many went."""
    rng, sent = random.Random(seed), 0

    async def send_some() -> None:
        nonlocal sent
        while sent < requests:
            sent += 1
            data = mutated(rng)
            if sent % 2:
                await _send(ports[1], data, many(), 0.1)
            else:
                await _send(ports[0], data.replace(b"GET / ", b"GET /v1/stream "), many(), 0.1)

    async def all_of_them() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(send_some)

    trio.run(all_of_them)
    return sent
