"""What publishing costs a daemon, and how soon a relay is there: real processes, a simulated night.

    python benchmarks/relay_daemon.py [--rounds 6] [--seconds 10] [--starts 5] [--games 10]

The daemon polls five times a second. [publish] is put into and out of force by SIGHUP, round by
round: the processor time of the daemon's process for each tick, and what its stages take from
parse to emit, with and without. Then relays start on the log that it left: from exec to READY=1.
Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median
from typing import Any

from fanout import cpu_ns
from relay import HOST, free_port, redis_command, wait_for_redis

NBAD = [sys.executable, "-m", "nbad"]
PATIENCE_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--games", type=int, default=10)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        print(json.dumps(measure(arguments, stack)))  # noqa: T201 - its output


def measure(arguments: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nbad-relay-")))

    def begin(command: list[str], **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, text=True, **options)
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process

    port = free_port()
    begin(redis_command(port, folder), stdout=subprocess.DEVNULL)
    wait_for_redis(port)
    options = ["--games", str(arguments.games), "--speed", "5", "--seed", "4"]
    feed = begin([*NBAD, "feed", *options], stdout=subprocess.PIPE)
    assert feed.stdout
    base, schedule = (feed.stdout.readline().split()[1] for _ in range(2))
    log, config = folder / "run.log", folder / "run.toml"
    alone = (
        f'[feed]\nbase_url = "{base}"\nschedule_url = "{schedule}"\n'
        "[poll]\nlive_interval_s = 0.2\nidle_interval_s = 1.0\nmax_requests_per_s = 500.0\n"
        f'[server]\nport = 0\n[http]\nport = 0\n[log]\nfile = "{log}"\n'
    )
    publish = f'[publish]\nurl = "redis://{HOST}:{port}/0"\n'
    config.write_text(alone)
    daemon = begin([*NBAD, "run", "--config", str(config)])
    wait_for(log, "ready", 1)
    rounds: dict[str, list[dict[str, float]]] = {"alone": [], "publishing": []}
    for number in range(2 * arguments.rounds):
        name = ("alone", "publishing")[number % 2]
        config.write_text(alone + publish * (number % 2))
        if number:
            daemon.send_signal(signal.SIGHUP)
            wait_for(log, "reloaded", number)
        if number % 2:
            wait_for(log, "leading", number // 2 + 1)
        time.sleep(1.0)
        rounds[name].append(one_round(daemon.pid, log, arguments.seconds))
    figures: dict[str, Any] = {
        name: {key: round(median(each[key] for each in found), 3) for key in found[0]}
        for name, found in rounds.items()
    }
    for key in ("cpu_ms", "took_ms"):
        pairs = zip(rounds["alone"], rounds["publishing"], strict=True)
        figures[f"{key}_more_percent"] = [round(100 * (b[key] / a[key] - 1), 1) for a, b in pairs]
    relay = folder / "relay.toml"
    relay.write_text(f'{publish}[server]\nport = 0\n[http]\nport = 0\n[log]\nfile = "{folder}/r"\n')
    starts = [start(relay) for _ in range(arguments.starts)]
    figures["relay_start_s"] = [round(wall, 2) for wall, _ in starts]
    figures["relay_start_cpu_s"] = [round(cpu, 2) for _, cpu in starts]
    figures["load"] = os.getloadavg()[0]
    return figures


def one_round(pid: int, log: Path, seconds: float) -> dict[str, float]:
    at, used = log.stat().st_size, cpu_ns(pid)
    time.sleep(seconds)
    used = cpu_ns(pid) - used
    with log.open("rb") as lines:
        lines.seek(at)
        events = [json.loads(line) for line in lines if line.endswith(b"\n") and line[:1] == b"{"]
    games: dict[int, int] = {}
    took: dict[int, float] = defaultdict(float)
    for event in events:
        if event["event"] == "stage" and event["stage"] != "poll":
            took[event["tick"]] += event["elapsed_ms"]
            games[event["tick"]] = event["games"]
    return {
        "ticks": len(games),
        "games": mean(games.values()),
        "cpu_ms": used / 1e6 / len(games),
        "took_ms": median(took[tick] for tick, count in games.items() if count),
    }


def wait_for(log: Path, name: str, count: int) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while log.exists() is False or log.read_bytes().count(f'"event":"{name}"'.encode()) < count:
        if time.monotonic() > give_up:
            raise TimeoutError(name)
        time.sleep(0.05)


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
