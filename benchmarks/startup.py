"""How long the daemon takes from the start of its process to `ready`, with live games to rebuild.

    python benchmarks/startup.py [--games 15] [--starts 7]

The feed serves gzipped bodies of games that stand in their fourth quarter. Beside the time, what
the process held in memory once it was ready.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from nbad.simulator import simulate_night
from nbad.simulator.server import FeedAddress, FeedClock, serve_feed

# After tip-off, on the wall clock: the fourth quarter.
_LATE_S = 7_000.0


async def start(config: Path) -> tuple[float, int, float]:
    """Seconds from start to ``ready``, the games then known, and the resident memory in MB."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "nbad", "run", "--config", str(config)]
    async with trio.open_nursery() as nursery:
        daemon: trio.Process = await nursery.start(
            partial(trio.run_process, command, stdout=subprocess.PIPE, check=False)
        )
        assert daemon.stdout
        said = b""
        async for chunk in daemon.stdout:
            *lines, said = (said + bytes(chunk)).split(b"\n")
            for event in map(json.loads, lines):
                if event["event"] == "ready":
                    took = time.perf_counter() - begun
                    status = await trio.Path(f"/proc/{daemon.pid}/status").read_text()
                    resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
                    nursery.cancel_scope.cancel()
                    return took, event["games"], resident
    raise SystemExit("expected the event `ready`, was the end of the log")


async def measure(games: int, starts: int) -> None:
    """Print the median and the extremes of ``starts`` starts."""
    night = simulate_night(games, 1, tip_offs=[-_LATE_S] * games)
    async with trio.open_nursery() as nursery:
        clock = FeedClock(night.starts_at, 1.0)
        address: FeedAddress = await nursery.start(partial(serve_feed, night, clock=clock))
        with TemporaryDirectory(prefix="nbad-startup-") as folder:
            config = Path(folder) / "nbad.toml"
            await trio.Path(config).write_text(
                f'[feed]\nbase_url = "{address.base_url}"\n'
                f'schedule_url = "{address.schedule_url}"\n[server]\nport = 0\n'
            )
            await start(config)  # the files are in the page cache, the bodies compressed
            taken = [await start(config) for _ in range(starts)]
        nursery.cancel_scope.cancel()
    seconds, known, resident = zip(*taken, strict=True)
    middle, memory = statistics.median(seconds), statistics.median(resident)
    sys.stdout.write(
        f"{starts} starts, {min(known)} games to rebuild: ready after {middle:.2f} s"
        f" ({min(seconds):.2f} to {max(seconds):.2f}), {memory:.0f} MB\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="From process start to `ready`.")
    parser.add_argument("--games", type=int, default=15)
    parser.add_argument("--starts", type=int, default=7)
    arguments = parser.parse_args()
    trio.run(measure, arguments.games, arguments.starts)
