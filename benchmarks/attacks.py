"""What attacks cost: a real daemon, its healthy subscribers, and strangers of every kind.

    python benchmarks/attacks.py [--only NAME …] [--seconds 10] [--healthy 50]

For each attack a daemon of its own follows a simulated night. Its healthy subscribers are measured
for some seconds in quiet, and then under the attack, which comes from another address; then the
daemon is sent SIGTERM in the midst of it. The latency of a message is from the feed's answer
(`received_at`) to the subscriber, all on this machine, which attackers and healthy share: with
two cores that is also how the kernel shares them out. Gaps are batches that a healthy subscriber
did not get.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles
from typing import Any

import orjson
import trio
import trio.lowlevel

sys.path.append(str(Path(__file__).parents[1] / "tests" / "attack"))
from corpus import GET, HOSTILE, KEY, masked, mutated, upgrade

RANDOM = random.Random()  # other requests in each run
HOST, ATTACKER = "127.0.0.1", "127.0.0.2"
NBAD = [sys.executable, "-m", "nbad"]
HEAD = (
    "GET /v1/stream{} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + "\r\n\r\n"
)


async def connect(port: int, source: str = ATTACKER) -> trio.SocketStream:
    sock = trio.socket.socket()
    try:
        await sock.bind((source, 0))
        await sock.connect((HOST, port))
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


async def subscribe(port: int, query: str = "", source: str = ATTACKER) -> trio.SocketStream:
    stream = await connect(port, source)
    await stream.send_all(HEAD.format(query).encode())
    return stream


class Frames:
    """The text messages that a server sends."""

    def __init__(self, stream: trio.SocketStream) -> None:
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


# ---- the healthy


def watch(port: int, count: int, pipe: Connection) -> None:
    """``count`` subscribers; each word by ``pipe`` is answered by what was seen since the last."""
    trio.run(_watch, port, count, pipe)


async def _watch(port: int, count: int, pipe: Connection) -> None:
    latencies: list[float] = []
    gaps = left = 0

    async def one() -> None:
        nonlocal gaps, left
        frames = Frames(await subscribe(port, source=HOST))
        seq: int | None = None
        try:
            await frames.upgraded()
            while True:
                text = await frames.next()
                now = time.time()
                message = orjson.loads(text)
                if message["type"] == "snapshot":
                    seq = message["seq"]
                elif message["type"] == "batch":
                    gaps += seq is not None and message["seq"] != seq + 1
                    seq = message["seq"]
                    newest = max(datetime.fromisoformat(g["received_at"]).timestamp()
                                 for g in message["messages"])  # fmt: skip
                    latencies.append((now - newest) * 1e3)
        except trio.BrokenResourceError:
            left += 1

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
        while True:
            await trio.to_thread.run_sync(pipe.poll, None, abandon_on_cancel=True)
            if pipe.recv() == "end":
                nursery.cancel_scope.cancel()
                return
            cuts = quantiles(latencies, n=100) if len(latencies) > 1 else [float("nan")] * 99
            pipe.send((cuts[49], cuts[98], gaps, left, len(latencies)))
            latencies.clear()


# ---- the strangers

Ports = tuple[int, int]
Attack = Callable[[Ports], Awaitable[None]]
ATTACKS: dict[str, tuple[Attack, int]] = {}


def attack(name: str, tasks: int = 1) -> Callable[[Attack], Attack]:
    def register(run: Attack) -> Attack:
        ATTACKS[name] = (run, tasks)
        return run

    return register


async def _send(port: int, data: bytes) -> None:
    with contextlib.suppress(OSError, trio.BrokenResourceError), trio.move_on_after(0.3):
        async with await connect(port) as stream:
            await stream.send_all(data)
            while await stream.receive_some():
                pass


@attack("hostile HTTP requests", 4)
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
    with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
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


@attack("HTTP flood", 64)
async def http_flood(ports: Ports) -> None:
    with contextlib.suppress(OSError, trio.BrokenResourceError):
        async with await connect(ports[1]) as stream:
            while True:
                await stream.send_all(GET)
                await stream.receive_some(100_000)


async def _flood(port: int, made: Callable[[str], bytes]) -> None:
    with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        async with await subscribe(port) as stream, trio.open_nursery() as nursery:
            frames = Frames(stream)
            await frames.upgraded()
            frame = made(orjson.loads(await frames.next())["epoch"])

            async def drain() -> None:
                while await stream.receive_some(65_536):
                    pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(drain)
            while True:
                await stream.send_all(frame * 100)
    await trio.sleep(0.2)


def said(message: dict[str, Any]) -> Callable[[str], bytes]:
    def made(epoch: str) -> bytes:
        return masked(1, orjson.dumps(message | {"op": "subscribe", "since": f"{epoch}.1"}))

    return made


FLOODS: dict[str, tuple[Callable[[str], bytes], tuple[int, ...]]] = {
    "pongs": (lambda _: masked(0xA), (1, 10, 50, 200)),
    "pings": (lambda _: masked(0x9), (50, 200)),
    "tiny messages": (lambda _: masked(1, b"{}"), (50, 200)),
    "subscribes that match nothing": (said({"games": ["0"]}), (50,)),
    "replays of one team": (said({"teams": ["BOS"]}), (50,)),
    "long unknown keys": (lambda _: masked(1, b'{"op":"ping","' + b"g" * 3000 + b'":1}'), (50,)),
}
for _kind, (_made, _counts) in FLOODS.items():
    for _count in _counts:

        @attack(f"{_count} flooders of {_kind}", _count)
        async def flooders(ports: Ports, made: Callable[[str], bytes] = _made) -> None:
            await _flood(ports[0], made)


@attack("connect storm of one address", 200)
async def storm(ports: Ports) -> None:
    with contextlib.suppress(OSError, trio.BrokenResourceError):
        async with await subscribe(ports[0]):
            pass


@attack("1,000 silent connections", 1000)
async def silent(ports: Ports) -> None:
    await _hold(ports[0], b"")


@attack("2,000 stalled readers", 2000)
async def stalled(ports: Ports) -> None:
    with contextlib.suppress(OSError, trio.BrokenResourceError):
        async with await subscribe(ports[0]):
            await trio.sleep(60)


@attack("1,000 filters, all leaving and coming back", 1000)
async def filters(ports: Ports) -> None:
    with contextlib.suppress(OSError, trio.BrokenResourceError):
        query = f"?games={random.randrange(10**9)}&teams=BOS"
        async with await subscribe(ports[0], query) as stream:
            await stream.receive_some()
            await trio.sleep(4 - trio.current_time() % 4)


def strangers(name: str, ports: Ports) -> None:
    trio.run(_strangers, name, ports)


async def _strangers(name: str, ports: Ports) -> None:
    run, tasks = ATTACKS[name]

    async def again() -> None:
        while True:
            try:
                await run(ports)
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # cut, as it should be
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(again)
            await trio.sleep(0.0005)


# ---- the daemon


class Daemon:
    """A daemon following ``urls``; ``change`` edits its configuration's text before the start."""

    def __init__(self, folder: Path, urls: list[str], **options: Any) -> None:
        self.log, self.config = folder / "nbad.log", folder / "nbad.toml"
        self.config.write_text(
            f'[feed]\nbase_url = "{urls[0]}"\nschedule_url = "{urls[1]}"\n'
            "[poll]\nlive_interval_s = 0.2\nidle_interval_s = 0.2\nmax_requests_per_s = 500.0\n"
            f'[server]\nport = 0\n[http]\nport = 0\n[log]\nlevel = "info"\nfile = "{self.log}"\n'
        )
        self.process = subprocess.Popen([*NBAD, "run", "--config", str(self.config)], **options)
        while not self.log.exists() or b'"ready"' not in self.log.read_bytes():
            if self.process.poll() is not None:
                raise SystemExit("the daemon ended")
            time.sleep(0.1)
        found = re.findall(rb'"service":"(\w+)".*?"port":(\d+)', self.log.read_bytes())
        ports = {name.decode(): int(port) for name, port in found}
        self.ports = ports["stream"], ports["http"]

    def rss_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208

    def end_s(self) -> tuple[float, int | None]:
        begun = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        try:
            code: int | None = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        return time.perf_counter() - begun, code


def newcomers(port: int, count: int = 10) -> float:
    """The longest time (s) from connecting to the welcome, of ``count`` at once."""

    async def come() -> float:
        async def one() -> None:
            stream = await subscribe(port, source="127.0.0.3")
            frames = Frames(stream)
            await frames.upgraded()
            await frames.next()
            await stream.aclose()

        begun = time.perf_counter()
        with trio.move_on_after(30):
            async with trio.open_nursery() as nursery:
                for _ in range(count):
                    nursery.start_soon(one)
        return time.perf_counter() - begun

    return trio.run(come)


COLUMNS = (
    "attack", "quiet p50/p99 ms", "attacked p50/p99 ms", "gaps", "cut off", "ten newcomers s",
    "MB quiet/attacked", "descriptors", "SIGTERM s, exit",
)  # fmt: skip


def ms(seen: Any) -> str:
    return f"{seen[0]:.1f} / {seen[1]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=list(ATTACKS), help="attacks, by their names")
    parser.add_argument("--seconds", type=float, default=10.0, help="of quiet, and of each attack")
    parser.add_argument("--healthy", type=int, default=50)
    parser.add_argument("--descriptors", type=int, default=0, help="all that the daemon may open")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    context = multiprocessing.get_context("spawn")
    feed = subprocess.Popen(
        [*NBAD, "feed", "--games", "10", "--speed", "20"], stdout=subprocess.PIPE, text=True
    )
    assert feed.stdout
    urls = [feed.stdout.readline().split()[1] for _ in range(2)]
    options = {}
    if arguments.descriptors:
        few = arguments.descriptors
        options["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))
    print("|", " | ".join(COLUMNS), "|\n|" + "---|" * len(COLUMNS))  # noqa: T201
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            daemon = Daemon(Path(folder), urls, **options)
            ours, theirs = context.Pipe()
            healthy = context.Process(
                target=watch, args=(daemon.ports[0], arguments.healthy, theirs), daemon=True
            )
            healthy.start()
            time.sleep(4)

            def seen(pipe: Any = ours) -> Any:
                pipe.send("seen")
                return pipe.recv()

            seen()
            time.sleep(arguments.seconds)
            quiet, quiet_mb = seen(), daemon.rss_mb()
            bad = context.Process(target=strangers, args=(name, daemon.ports), daemon=True)
            bad.start()
            time.sleep(2)
            seen()
            time.sleep(arguments.seconds)
            attacked = seen()
            waited = newcomers(daemon.ports[0])
            alive = daemon.process.poll() is None
            mb, descriptors = (daemon.rss_mb(), daemon.descriptors()) if alive else (0.0, 0)
            took, code = daemon.end_s()
            ours.send("end")
            for process in (bad, healthy):
                process.kill()
                process.join()
            cells = [
                name, ms(quiet), ms(attacked), attacked[2], attacked[3], f"{waited:.2f}",
                f"{quiet_mb:.0f} / {mb:.0f}", descriptors, f"{took:.2f}, {code}",
            ]  # fmt: skip
            print("|", " | ".join(map(str, cells)), "|", flush=True)  # noqa: T201
    feed.terminate()
    feed.wait()


if __name__ == "__main__":
    main()
