"""Kills a relay, then the daemon, under a client that is not to notice: `make demo-relay`.

Redis, a simulated night, two daemons, three relays and a balancer, all on this machine with free
ports. The client's own fold takes a batch that is lost or comes twice for a fault, and comes again
from what it has seen.

python examples/relay_demo.py [SECONDS]
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

import trio

from nbad.client import Batch, Dropped, Snapshot, connect

NBAD = [sys.executable, "-m", "nbad"]
LEASE_S = 2.0
PATIENCE_S = 60.0
began = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)


def begin(command: list[str], output: int | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=output)


class Service:
    """A process of nbad's with a configuration and a log in ``folder``."""

    def __init__(self, folder: Path, name: str, command: str, text: str) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        config = folder / f"{name}.toml"
        ports = "[server]\nport = 0\n[http]\nport = 0\n"
        config.write_text(f'{text}{ports}[log]\nfile = "{self.log}"\n')
        self.process = begin([*NBAD, command, "--config", str(config)])

    def events(self) -> list[dict[str, object]]:
        return list(
            map(json.loads, self.log.read_bytes().splitlines() if self.log.exists() else ())
        )

    async def wait_for(self, *names: str) -> dict[str, object]:
        with trio.fail_after(PATIENCE_S):
            while True:
                for event in reversed(self.events()):
                    if event["event"] in names:
                        return event
                assert self.process.poll() is None, f"{self.name} did not start"
                await trio.sleep(0.05)

    async def port(self) -> int:
        await self.wait_for("ready")
        events = self.events()
        return next(int(str(each["port"])) for each in events if each.get("service") == "stream")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        say(f"{self.name} was killed (kill -9)")


class Balancer:
    """Hands each connection to the next of the relays that takes it."""

    def __init__(self, relays: dict[str, int]) -> None:
        self.relays = list(relays.items())
        self.at = ""

    async def handle(self, stream: trio.SocketStream) -> None:
        for _ in range(len(self.relays)):
            self.relays.append(self.relays.pop(0))
            name, port = self.relays[0]
            try:
                relay = await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                continue
            self.at = name
            async with stream, relay, trio.open_nursery() as nursery:
                nursery.start_soon(self.pump, stream, relay, nursery.cancel_scope)
                nursery.start_soon(self.pump, relay, stream, nursery.cancel_scope)
            return
        await trio.aclose_forcefully(stream)

    @staticmethod
    async def pump(
        source: trio.SocketStream, sink: trio.SocketStream, both: trio.CancelScope
    ) -> None:
        try:
            async for data in source:
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        both.cancel()


async def follow(url: str, balancer: Balancer, counts: Counter[str]) -> None:
    async with connect(url) as feed:
        async for message in feed:
            match message:
                case Dropped():
                    say(f"the client lost its relay at batch {feed.view.seq}: {message.reason}")
                case Snapshot():
                    counts["snapshots"] += 1
                    say(f"snapshot at {balancer.at}: epoch {message.epoch}, seq {message.seq}")
                case Batch():
                    counts["batches"] += 1
                    if counts["batches"] % 25 == 0:
                        game = message.messages[-1]
                        score = f"{game.away.score}:{game.home.score}"
                        say(f"batch {message.seq} at {balancer.at}: {game.game_id} {score}")


async def main(seconds: float) -> None:
    if not shutil.which("redis-server"):
        sys.exit("relay_demo: needs redis-server (apt-get install redis-server)")
    counts: Counter[str] = Counter()
    started: list[subprocess.Popen[bytes]] = []
    services: list[Service] = []
    with tempfile.TemporaryDirectory(prefix="nbad-relay-demo-") as name:
        folder = Path(name)
        try:
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                port = taken.getsockname()[1]
            command = ["redis-server", "--port", str(port), "--save", "", "--dir", name]
            started.append(begin(command, subprocess.DEVNULL))
            feed = begin([*NBAD, "feed", "--games", "5", "--speed", "20"], subprocess.PIPE)
            started.append(feed)
            assert feed.stdout
            base, schedule = (feed.stdout.readline().split()[1].decode() for _ in range(2))
            publish = f'[publish]\nurl = "redis://127.0.0.1:{port}/0"\nlease_s = {LEASE_S}\n'
            poll = (
                f'[feed]\nbase_url = "{base}"\nschedule_url = "{schedule}"\n[poll]\n'
                "live_interval_s = 0.25\nidle_interval_s = 1.0\nmax_requests_per_s = 200.0\n"
            )
            daemons = [Service(folder, f"daemon {n}", "run", poll + publish) for n in (1, 2)]
            services += daemons
            for daemon in daemons:
                await daemon.wait_for("leading", "standing_by")
            relays = [Service(folder, f"relay {n}", "relay", publish) for n in (1, 2, 3)]
            services += relays
            balancer = Balancer({relay.name: await relay.port() for relay in relays})
            async with trio.open_nursery() as nursery:
                listeners: list[trio.SocketListener] = await nursery.start(
                    partial(trio.serve_tcp, balancer.handle, 0, host="127.0.0.1")
                )
                url = f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1/stream"
                say(f"balancer {url}")
                nursery.start_soon(follow, url, balancer, counts)
                await trio.sleep(seconds / 3)
                next(relay for relay in relays if relay.name == balancer.at).kill()
                await trio.sleep(seconds / 3)
                leader = next(each for each in daemons if leads(each))
                leader.kill()
                other = next(each for each in daemons if each is not leader)
                at = time.monotonic()
                with trio.fail_after(PATIENCE_S):
                    while True:
                        if leads(other):
                            break
                        await trio.sleep(0.02)
                say(f"{other.name} leads, {time.monotonic() - at:.1f} s later")
                await trio.sleep(seconds / 3)
                nursery.cancel_scope.cancel()
            say(f"{counts['batches']} batches, none lost or twice, {counts['snapshots']} snapshots")
        finally:
            for process in (*(service.process for service in services), *started):
                if process.poll() is None:
                    os.kill(process.pid, signal.SIGTERM)
                process.wait()


def leads(daemon: Service) -> bool:
    turns = ("leading", "standing_by", "lease_lost")
    said = [event["event"] for event in daemon.events() if event["event"] in turns]
    return said[-1:] == ["leading"]


trio.run(main, float(sys.argv[1]) if len(sys.argv) > 1 else 30.0)
