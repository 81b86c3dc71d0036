"""What attacks cost: a real daemon, its healthy subscribers, and strangers of every kind.

    python benchmarks/attacks.py [--only NAME …] [--seconds 5] [--healthy 50]
    python benchmarks/attacks.py --mutated 1000000

For each attack a daemon of its own follows a simulated night of its own. Its healthy subscribers
are measured for some seconds in quiet, and then under the attack, which comes from other addresses;
then the daemon is sent SIGTERM in the midst of it. The latency is from the feed's answer
(`received_at`) to the subscriber. Gaps are batches that a healthy subscriber did not get. Real
strangers have processors of their own: here they get what daemon, feed and healthy subscribers
leave, which run at real-time priority where that is allowed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import math
import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles
from typing import Any

import orjson
import trio
from strangers import ATTACKS, HOST, LEFT, Attack, Frames, send_mutated, strangers, subscribe

NBAD = [sys.executable, "-m", "nbad"]
BUNDLED = Path(__file__).parents[1] / "nbad" / "model" / "bundled"
ALL_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def ahead() -> None:
    """In a child: what is measured goes before whatever else runs here, the attackers included."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


# ---- the healthy


def watch(port: int, count: int, tls: bool, pipe: Connection) -> None:
    """``count`` subscribers; each word by ``pipe`` is answered by what was seen since the last."""
    ahead()
    trio.run(_watch, port, count, tls, pipe)


async def _watch(port: int, count: int, tls: bool, pipe: Connection) -> None:
    latencies: list[float] = []
    gaps = left = 0

    async def one() -> None:
        nonlocal gaps, left
        frames = Frames(await subscribe(port, source=HOST, tls=tls))
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
        except LEFT:
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


# ---- the daemon


class Daemon:
    """A daemon following ``urls`` in ``folder``; ``server`` is more of its configuration."""

    command = NBAD

    def __init__(
        self, folder: Path, urls: list[str], server: str = "", *, few: int = 0, piped: bool = False
    ) -> None:
        self.folder, self.log, self.config = folder, folder / "nbad.log", folder / "nbad.toml"
        self.text = (
            f'[feed]\nbase_url = "{urls[0]}"\nschedule_url = "{urls[1]}"\n'
            "[poll]\nlive_interval_s = 0.2\nidle_interval_s = 0.2\nmax_requests_per_s = 500.0\n"
            f'[record]\npath = "{folder / "kept"}"\n[http]\nport = 0\n'
            + ("" if piped else f'[log]\nfile = "{self.log}"\n')
            + f"[server]\nport = 0\n{server}"
        )
        self.config.write_text(self.text)
        self.few, self.reading = few, True
        self.start(subprocess.PIPE if piped else subprocess.DEVNULL)

    def start(self, stdout: int = subprocess.DEVNULL) -> None:
        def limits() -> None:
            ahead()
            most = self.few or ALL_FILES
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

        self.log.unlink(missing_ok=True)
        command = [*self.command, "run", "--config", str(self.config)]
        self.process = subprocess.Popen(
            command, preexec_fn=limits, stdout=stdout, stderr=subprocess.DEVNULL
        )
        if self.process.stdout:
            threading.Thread(target=self._read, daemon=True).start()
        self.wait_for("ready")
        found = re.findall(rb'"service":"(\w+)".*?"port":(\d+)', self.log.read_bytes())
        ports = {name.decode(): int(port) for name, port in found}
        self.ports = ports["stream"], ports["http"]

    def wait_for(self, event: str, more: int = 1) -> None:
        begun = time.monotonic()
        while self.told(event) < more:
            if self.process.poll() is not None or time.monotonic() > begun + 180:
                raise SystemExit(f"no event {event}")
            time.sleep(0.05)

    def told(self, event: str) -> int:
        text = self.log.read_bytes() if self.log.exists() else b""
        return text.count(b'"event":"%b"' % event.encode())

    def subscribers(self) -> int:
        """How many there are. Of so many joined, the log names only the first of each minute."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[1]}/metrics") as answer:
            [line] = [each for each in answer if each.startswith(b"nbad_subscribers ")]
        return int(float(line.split()[1]))

    def _read(self) -> None:
        """Its standard output into the file, as long as that is read."""
        assert self.process.stdout
        fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        with self.log.open("wb", buffering=0) as out:
            while self.reading:
                out.write(os.read(self.process.stdout.fileno(), 65_536))

    def reload(self, text: str) -> None:
        self.config.write_text(text)
        self.process.send_signal(signal.SIGHUP)

    def status(self, name: str) -> int:
        """``VmRSS`` or ``VmSize`` in bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(name + r":\s+(\d+)", text)[0]) * 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208

    def cpu_s(self) -> float:
        """Its own processor time, all its threads, no children."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end_s(self) -> tuple[float, int | None]:
        begun = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        try:
            code: int | None = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        return time.perf_counter() - begun, code


def newcomers(port: int, tls: bool) -> float:
    """The longest time (s) from connecting to the welcome, of ten at once."""

    async def come() -> float:
        async def one() -> None:
            stream = await subscribe(port, source="127.0.0.3", tls=tls)
            frames = Frames(stream)
            await frames.upgraded()
            await frames.next()
            await trio.aclose_forcefully(stream)

        begun = time.perf_counter()
        cut = False
        try:
            with trio.move_on_after(30):
                async with trio.open_nursery() as nursery:
                    for _ in range(10):
                        nursery.start_soon(one)
        except* LEFT:
            cut = True
        return math.inf if cut else time.perf_counter() - begun

    return trio.run(come)


# ---- what fails around it

Fault = Callable[[Daemon], Callable[[], None]]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def register(act: Fault) -> Fault:
        FAULTS[name] = act
        return act

    return register


@fault("standard output stopped")
def stop_reading(daemon: Daemon) -> Callable[[], None]:
    daemon.reading = False
    return lambda: None


@fault("disk full, log and recording on it")
def fill(daemon: Daemon) -> Callable[[], None]:
    with contextlib.suppress(OSError), (daemon.folder / "filler").open("wb", buffering=0) as out:
        while out.write(bytes(4096)):
            pass
    return lambda: None


@fault("reload hangs in a pipe")
def hang(daemon: Daemon) -> Callable[[], None]:
    pipe = daemon.folder / "pipe"
    os.mkfifo(pipe)
    daemon.reload(daemon.text + f'tokens_file = "{pipe}"\n')
    return lambda: None


@fault("model cut at every 500 bytes")
def cut(daemon: Daemon) -> Callable[[], None]:
    """Each cut in the file of trees is tried by a child, as there is no digest in its way."""
    folder = daemon.folder / "model"
    shutil.copytree(BUNDLED, folder)
    told = json.loads((folder / "model.json").read_text())
    told.pop("files", None)
    (folder / "model.json").write_text(json.dumps(told))
    names = ("home_win.txt", "model.json", "ratings.json")
    whole = {folder / name: (folder / name).read_bytes() for name in names}
    text = f'{daemon.text}[model]\npath = "{folder}"\n'

    def go_on() -> None:
        tried = 0
        for file, content in whole.items():
            for size in range(0, len(content), 500):
                file.write_bytes(content[:size])
                before = daemon.told("reload_rejected") + daemon.told("reloaded")
                daemon.reload(text)
                begun = time.monotonic()
                while daemon.told("reload_rejected") + daemon.told("reloaded") == before:
                    if daemon.process.poll() is not None or time.monotonic() > begun + 60:
                        raise SystemExit(f"{file.name} cut at {size}: the daemon ended or hangs")
                    time.sleep(0.02)
                tried += 1
            file.write_bytes(content)
        rejected = daemon.told("reload_rejected")
        print(f"<!-- {tried} cuts: {rejected} rejected, {tried - rejected} whole -->")  # noqa: T201

    return go_on


@fault("memory at its limit (RLIMIT_AS)")
def starve(daemon: Daemon) -> Callable[[], None]:
    most = daemon.status("VmSize") + 1_000_000
    resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (most, most))
    return lambda: None


# ---- the table

COLUMNS = (
    "attack", "quiet p50/p99 ms", "attacked p50/p99 ms", "p50 ×", "gaps", "cut off",
    "ten newcomers s", "daemon's CPU %", "MB", "descriptors", "SIGTERM s, exit",
)  # fmt: skip


class Measured:
    """What the healthy and the daemon's figures say of a span of time."""

    def __init__(self, daemon: Daemon, pipe: Any, during: Callable[[], None]) -> None:
        self._ask(pipe)
        begun, cpu_s = time.monotonic(), daemon.cpu_s()
        during()
        self.cpu = (daemon.cpu_s() - cpu_s) / (time.monotonic() - begun) * 100
        self.p50, self.p99, self.gaps, self.left, self.seen = self._ask(pipe)
        self.mb, self.descriptors = daemon.status("VmRSS") / 1e6, daemon.descriptors()

    @staticmethod
    def _ask(pipe: Any) -> Any:
        pipe.send("seen")
        return pipe.recv()


def row(name: str, quiet: Measured, under: Measured, came_s: float | None, ended: str) -> None:
    cells = (
        name, f"{quiet.p50:.1f} / {quiet.p99:.1f}", f"{under.p50:.1f} / {under.p99:.1f}",
        f"{under.p50 / quiet.p50:.2f}", under.gaps, under.left,
        "" if came_s is None else f"{came_s:.2f}", f"{quiet.cpu:.0f} → {under.cpu:.0f}",
        f"{quiet.mb:.0f} → {under.mb:.0f}", f"{quiet.descriptors} → {under.descriptors}", ended,
    )  # fmt: skip
    print("|", " | ".join(map(str, cells)), "|", flush=True)  # noqa: T201


def measure(name: str, urls: list[str], folder: Path, seconds: float, healthy: int) -> None:
    attack = ATTACKS.get(name, Attack(run=None, tasks=0))  # type: ignore[arg-type]
    server = attack.server + (tls_files(folder) if attack.tls else "")
    piped = FAULTS.get(name) is stop_reading
    daemon = Daemon(folder, urls, server, few=attack.descriptors, piped=piped)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    watching = context.Process(
        target=watch, args=(daemon.ports[0], healthy, attack.tls, theirs), daemon=True
    )
    watching.start()
    attackers = None
    try:
        time.sleep(3)
        quiet = Measured(daemon, ours, lambda: time.sleep(seconds))
        more: Callable[[], None] | None = None
        if name in FAULTS:
            more = FAULTS[name](daemon)
        else:
            attackers = context.Process(target=strangers, args=(name, daemon.ports), daemon=True)
            attackers.start()
            time.sleep(1.5)
            begun = time.monotonic()
            while daemon.subscribers() < healthy + attack.joined:
                if time.monotonic() > begun + 300:
                    raise SystemExit(f"{daemon.subscribers()} have joined only")
                time.sleep(0.2)

        def during() -> None:
            if more is not None:
                more()
            time.sleep(seconds)

        under = Measured(daemon, ours, during)
        leaving = None
        if attack.leaving and attackers:

            def leave() -> None:
                attackers.kill()
                time.sleep(seconds)

            leaving = Measured(daemon, ours, leave)
        came_s = newcomers(daemon.ports[0], attack.tls)
        end_s, code = daemon.end_s()
        row(name, quiet, under, came_s, "" if leaving else f"{end_s:.1f}, {code}")
        if leaving:
            row(f"{name}: all leave at once", quiet, leaving, None, f"{end_s:.1f}, {code}")
    finally:
        if attackers:
            attackers.kill()
        watching.kill()
        daemon.process.kill()
        daemon.process.wait()


def tls_files(folder: Path) -> str:
    import trustme

    made = trustme.CA().issue_cert("localhost")
    made.private_key_and_cert_chain_pem.write_to_path(folder / "tls.pem")
    return f'tls_cert = "{folder / "tls.pem"}"\n'


@contextlib.contextmanager
def serving(speed: float = 20.0) -> Any:
    """A night of its own for each daemon, which then has not ended yet."""
    feed = subprocess.Popen(
        [*NBAD, "feed", "--games", "10", "--speed", str(speed)],
        stdout=subprocess.PIPE, text=True, preexec_fn=ahead,
    )  # fmt: skip
    assert feed.stdout
    try:
        yield [feed.stdout.readline().split()[1] for _ in range(2)]
    finally:
        feed.kill()
        feed.wait()


@contextlib.contextmanager
def folder_for(name: str) -> Any:
    """A folder; where a disk is to be full, on one of its own of 4 MB."""
    # A daemon that is killed may write its last while this is deleted.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        small = FAULTS.get(name) is fill
        if small:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", made], check=True)
        try:
            yield Path(made)
        finally:
            if small:
                subprocess.run(["umount", "-l", made], check=True)


def mutated(requests: int, healthy: int) -> None:
    """That many mutated requests at both doors, in parts with a seed each."""
    wide = (
        "max_connects_per_s_per_address = 100000.0\n[http]\nport = 0\nmax_connections = 4096\n"
        "max_connections_per_address = 4096\nmax_requests_per_s = 100000.0\n"
    )
    context, sent, begun = multiprocessing.get_context("spawn"), 0, time.monotonic()
    while sent < requests:
        with serving() as urls, folder_for("") as folder:
            daemon = Daemon.__new__(Daemon)
            Daemon.__init__(daemon, folder, urls)
            daemon.end_s()
            daemon.config.write_text(daemon.text.replace("[http]\nport = 0\n", "") + wide)
            daemon.start()
            ours, theirs = context.Pipe()
            watching = context.Process(
                target=watch, args=(daemon.ports[0], healthy, False, theirs), daemon=True
            )
            watching.start()
            seed, part = time.time_ns(), min(50_000, requests - sent)
            sent += send_mutated(daemon.ports, part, seed)
            alive = daemon.process.poll() is None
            ours.send("seen")
            seen = ours.recv() if alive else None
            failed = daemon.told("http_failed") + daemon.told("subscriber_failed")
            print(  # noqa: T201
                f"{sent} requests, {sent / (time.monotonic() - begun):.0f}/s; seed {seed}: "
                f"alive {alive}, failed connections {failed}, healthy (p50 ms, p99 ms, gaps, cut "
                f"off, messages) {seen}, MB {daemon.status('VmRSS') / 1e6:.0f}, "
                f"descriptors {daemon.descriptors()}, SIGTERM {daemon.end_s()}",
                flush=True,
            )
            watching.kill()
            if not alive or failed:
                raise SystemExit(f"seed {seed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*ATTACKS, *FAULTS]
    parser.add_argument("--only", nargs="*", default=names, help="attacks, by their names")
    parser.add_argument("--seconds", type=float, default=5.0, help="of quiet, and of each attack")
    parser.add_argument("--healthy", type=int, default=50)
    parser.add_argument("--mutated", type=int, default=0, help="so many requests, and no table")
    parser.add_argument("--list", action="store_true", help="the names of the attacks")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (ALL_FILES, ALL_FILES))
    if arguments.list:
        print("\n".join(names))  # noqa: T201
        return
    if arguments.mutated:
        mutated(arguments.mutated, arguments.healthy)
        return
    print("|", " | ".join(COLUMNS), "|\n|" + "---|" * len(COLUMNS))  # noqa: T201
    for name in arguments.only:
        with serving() as urls, folder_for(name) as folder:
            try:
                measure(name, urls, folder, arguments.seconds, arguments.healthy)
            except SystemExit as ended:
                print(f"| {name} | not measured: {ended} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
