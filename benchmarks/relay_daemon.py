"""What publishing costs a daemon, and how soon a relay is there: real processes, a simulated night.

    python benchmarks/relay_daemon.py [--rounds 6] [--seconds 10] [--interval 0.2] [--games 10]
                                      [--speed 5] [--subscribers 0] [--starts 5] [--fifo]

The daemon polls every ``--interval`` seconds. [publish] is put into and out of force by SIGHUP,
round by round. With and without: what a tick in which a game changed takes from the feed's bytes
to the last subscriber's socket (all stages behind the poll, and the waits between them), as
quantiles and as their ratio, with an interval of 95 % (bootstrap over the rounds); the processor
time of the process a tick, and of it what the publisher's tasks had (Trio's instruments). Then
relays start on the log that it left: from exec to READY=1. ``--fifo`` gives daemon, feed and broker
real-time priority (root). Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import mmap
import multiprocessing
import os
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from random import Random
from statistics import mean, median, quantiles
from typing import Any, NamedTuple

from fanout import REQUEST, cpu_ns
from relay import HOST, free_port, redis_command, wait_for_redis

NBAD = [sys.executable, "-m", "nbad"]
PATIENCE_S = 60.0
QUANTILES = (50, 90, 99)
_TASKS = struct.Struct("<qqqq")  # publishing, all else: ns, steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--interval", type=float, default=0.2)
    parser.add_argument("--speed", type=float, default=5.0)
    parser.add_argument("--subscribers", type=int, default=0)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--games", type=int, default=10)
    parser.add_argument("--fifo", action="store_true")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run_daemon(*map(Path, arguments.run))
        return
    with ExitStack() as stack:
        print(json.dumps(measure(arguments, stack)))  # noqa: T201 - its output


class Round(NamedTuple):
    """``tasks`` is what the publisher's tasks and all others had, in ms a tick."""

    took_ms: list[float]
    ticks: int
    games: float
    cpu_ms: float
    tasks: tuple[float, float]
    steps: float


def measure(arguments: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nbad-relay-")))
    first = ["chrt", "--fifo", "1"] if arguments.fifo else []

    def begin(command: list[str], **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(first + command, text=True, **options)
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process

    port = free_port()
    begin(redis_command(port, folder), stdout=subprocess.DEVNULL)
    wait_for_redis(port)
    options = ["--games", str(arguments.games), "--speed", str(arguments.speed), "--seed", "4"]
    feed = begin([*NBAD, "feed", *options], stdout=subprocess.PIPE)
    assert feed.stdout
    base, schedule = (feed.stdout.readline().split()[1] for _ in range(2))
    log, config, counts = folder / "run.log", folder / "run.toml", folder / "tasks"
    alone = (
        f'[feed]\nbase_url = "{base}"\nschedule_url = "{schedule}"\n'
        f"[poll]\nlive_interval_s = {arguments.interval}\nidle_interval_s = 1.0\n"
        "max_requests_per_s = 500.0\n"
        "[server]\nport = 0\nmax_connects_per_s_per_address = 100000.0\n"
        "max_handshakes_per_address = 100000\nmax_waiting_per_address = 100000\n"
        "ping_interval_s = 3600.0\n"
        f'[http]\nport = 0\n[log]\nfile = "{log}"\n'
    )
    publish = f'[publish]\nurl = "redis://{HOST}:{port}/0"\n'
    config.write_text(alone)
    counts.write_bytes(bytes(_TASKS.size))
    daemon = begin([sys.executable, __file__, "--run", str(config), str(counts)])
    wait_for(log, "ready", 1)
    if arguments.subscribers:
        events = map(json.loads, log.read_bytes().splitlines())
        at = next(each["port"] for each in events if each.get("service") == "stream")
        joined = multiprocessing.get_context("spawn").Semaphore(0)
        drain = multiprocessing.get_context("spawn").Process(
            target=subscribe, args=(at, arguments.subscribers, joined), daemon=True
        )
        drain.start()
        stack.callback(drain.kill)
        assert joined.acquire(timeout=PATIENCE_S), "the subscribers did not get in"
    rounds: dict[str, list[Round]] = {"alone": [], "publishing": []}
    for number in range(2 * arguments.rounds):
        name = ("alone", "publishing")[number % 2]
        config.write_text(alone + publish * (number % 2))
        if number:
            daemon.send_signal(signal.SIGHUP)
            wait_for(log, "reloaded", number)
        if number % 2:
            wait_for(log, "leading", number // 2 + 1)
        time.sleep(1.0)
        rounds[name].append(one_round(daemon.pid, log, counts, arguments.seconds))
    figures: dict[str, Any] = {name: summary(found) for name, found in rounds.items()}
    figures["took_ratio"] = ratios(rounds["alone"], rounds["publishing"])
    pairs = list(zip(rounds["alone"], rounds["publishing"], strict=True))
    figures["cpu_more_percent"] = [round(100 * (b.cpu_ms / a.cpu_ms - 1), 1) for a, b in pairs]
    publishing, rest = (median(each.tasks[part] for _, each in pairs) for part in (0, 1))
    figures["publishing_percent"] = round(100 * publishing / rest, 1)
    relay = folder / "relay.toml"
    relay.write_text(f'{publish}[server]\nport = 0\n[http]\nport = 0\n[log]\nfile = "{folder}/r"\n')
    starts = [start(relay) for _ in range(arguments.starts)]
    figures["relay_start_s"] = [round(wall, 2) for wall, _ in starts]
    figures["relay_start_cpu_s"] = [round(cpu, 2) for _, cpu in starts]
    figures["load"] = os.getloadavg()[0]
    return figures


def one_round(pid: int, log: Path, counts: Path, seconds: float) -> Round:
    at, used, tasks = log.stat().st_size, cpu_ns(pid), _TASKS.unpack(counts.read_bytes())
    time.sleep(seconds)
    used, after = cpu_ns(pid) - used, _TASKS.unpack(counts.read_bytes())
    with log.open("rb") as lines:
        lines.seek(at)
        events = [json.loads(line) for line in lines if line.endswith(b"\n") and line[:1] == b"{"]
    games: dict[int, int] = {}
    took: dict[int, float] = defaultdict(float)
    for event in events:
        if event["event"] == "stage" and event["stage"] != "poll":
            took[event["tick"]] += event["elapsed_ms"] + event["waited_ms"]
            if event["stage"] == "emit":
                games[event["tick"]] = event["games"]
    ticks = max(1, len(games))
    ours, others = ((after[part] - tasks[part]) / 1e6 / ticks for part in (0, 2))
    return Round(
        [took[tick] for tick, count in games.items() if count],
        ticks,
        mean(games.values()),
        used / 1e6 / ticks,
        (ours, others),
        (after[1] - tasks[1]) / ticks,
    )


def summary(rounds: list[Round]) -> dict[str, float]:
    took = [each for found in rounds for each in found.took_ms]
    return {
        "ticks": sum(found.ticks for found in rounds),
        "with_a_change": len(took),
        "games": round(median(found.games for found in rounds), 2),
        **{f"took_ms_p{share}": round(cut(took, share), 3) for share in QUANTILES},
        "cpu_ms": round(median(found.cpu_ms for found in rounds), 3),
        "publishing_ms": round(median(found.tasks[0] for found in rounds), 3),
        "other_tasks_ms": round(median(found.tasks[1] for found in rounds), 3),
        "publishing_steps": round(median(found.steps for found in rounds), 2),
    }


def ratios(alone: list[Round], publishing: list[Round]) -> dict[str, list[float]]:
    """Of each quantile: publishing / alone, and the interval."""
    found = {}
    for share in QUANTILES:
        chance = Random(share)
        drawn = []
        for _ in range(1000):
            picked = [chance.randrange(len(alone)) for _ in alone]
            drawn.append(
                _ratio([alone[at] for at in picked], [publishing[at] for at in picked], share)
            )
        drawn.sort()
        whole = _ratio(alone, publishing, share)
        found[f"p{share}"] = [round(each, 3) for each in (whole, drawn[25], drawn[974])]
    return found


def _ratio(alone: list[Round], publishing: list[Round], share: int) -> float:
    left, right = (
        [each for found in part for each in found.took_ms] for part in (alone, publishing)
    )
    return cut(right, share) / cut(left, share)


def cut(values: list[float], share: int) -> float:
    return quantiles(values, n=100, method="inclusive")[share - 1]


def wait_for(log: Path, name: str, count: int) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while log.exists() is False or log.read_bytes().count(f'"event":"{name}"'.encode()) < count:
        if time.monotonic() > give_up:
            raise TimeoutError(name)
        time.sleep(0.05)


def subscribe(port: int, count: int, joined: Any) -> None:
    """So many who read all and look at nothing."""
    poll = select.epoll()
    sockets = {}
    for _ in range(count):
        sock = socket.create_connection((HOST, port))
        sock.sendall((REQUEST % "" + "\r\n").encode())
        assert sock.recv(65_536)
        sockets[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
    joined.release()
    room = bytearray(1 << 18)
    while True:
        for number, _ in poll.poll():
            sockets[number].recv_into(room)


def run_daemon(config: Path, counts: Path) -> None:
    """The daemon's process: ``counts`` is told what its tasks have of the processor."""
    from nbad.signals import Signals

    signals = Signals()  # before any thread
    import trio

    from nbad.daemon import run_daemon as run

    file = counts.open("r+b")
    shared = mmap.mmap(file.fileno(), _TASKS.size)

    class ByTask(trio.abc.Instrument):
        def __init__(self) -> None:
            self._publishing: dict[trio.lowlevel.Task, bool] = {}
            self._told = [0, 0, 0, 0]
            self._began = 0

        def task_spawned(self, task: trio.lowlevel.Task) -> None:
            nursery = task.parent_nursery
            parent = nursery is not None and self._publishing.get(nursery.parent_task, False)
            self._publishing[task] = parent or "Publisher.run" in task.name

        def task_exited(self, task: trio.lowlevel.Task) -> None:
            self._publishing.pop(task, None)

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self._began = time.thread_time_ns()

        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            part = 0 if self._publishing.get(task) else 2
            self._told[part] += time.thread_time_ns() - self._began
            self._told[part + 1] += 1
            _TASKS.pack_into(shared, 0, *self._told)

    plain = trio.run

    def instrumented(*given: Any, **named: Any) -> Any:
        return plain(*given, instruments=[ByTask()], **named)

    trio.run = instrumented
    sys.exit(run(config, signals))


def start(config: Path) -> tuple[float, float]:
    """From exec to ``READY=1``: in s of the clock, and of the processor."""
    name = f"\0nbad-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as words:
        words.bind(name)
        words.settimeout(PATIENCE_S)
        environ = {**os.environ, "NOTIFY_SOCKET": f"@{name[1:]}"}
        began = time.monotonic()
        relay = subprocess.Popen([*NBAD, "relay", "--config", str(config)], env=environ)
        while b"READY=1" not in words.recv(4096):
            pass
        took_s, used_s = time.monotonic() - began, cpu_ns(relay.pid) / 1e9
        relay.terminate()
        relay.wait()
    return took_s, used_s


if __name__ == "__main__":
    main()
