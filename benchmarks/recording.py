"""What recording costs: two daemons on one feed, one of which records, turn by turn.

    python benchmarks/recording.py [--games 15] [--rounds 4] [--seconds 20]

Both run at once, so they share whatever else the machine does; from round to round they start in
the other order. Printed is what each tick took from first request to emission, and the processor
time per tick, of the one that records as a ratio of the other's, and what was kept.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from nbad.simulator import simulate_night
from nbad.simulator.server import FeedAddress, FeedClock, serve_feed

_SPEED = 20.0  # of the games: every tick changes most of them
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def daemon(folder: Path, address: FeedAddress, kept: Path | None) -> subprocess.Popen[bytes]:
    """Start a daemon that logs to ``folder/log``."""
    folder.mkdir(exist_ok=True)
    config = folder / "nbad.toml"
    config.write_text(
        f'[feed]\nbase_url = "{address.base_url}"\nschedule_url = "{address.schedule_url}"\n'
        "[poll]\nlive_interval_s = 0.5\nmax_requests_per_s = 200.0\n"
        "[server]\nport = 0\n[http]\nport = 0\n"
        f'[log]\nfile = "{folder / "log"}"\n' + (f'[record]\npath = "{kept}"\n' if kept else "")
    )
    (folder / "log").unlink(missing_ok=True)
    return subprocess.Popen([sys.executable, "-m", "nbad", "run", "--config", str(config)])


def figures(folder: Path, process: subprocess.Popen[bytes]) -> tuple[list[float], float]:
    """Each tick's milliseconds in all stages, and seconds of processor time per tick so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    busy = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    ticks: dict[int, float] = {}
    for line in (folder / "log").read_bytes().splitlines():
        event = json.loads(line)
        if event["event"] == "stage" and event["tick"] > 2:  # the first ones read every game whole
            ticks[event["tick"]] = ticks.get(event["tick"], 0.0) + event["elapsed_ms"]
    return list(ticks.values()), busy / max(1, len(ticks))


async def measure(games: int, rounds: int, seconds: float) -> None:
    """Print the ratios of all rounds together."""
    night = simulate_night(games, 1, tip_offs=[-600.0] * games)
    taken: dict[bool, list[float]] = {False: [], True: []}
    busy: dict[bool, list[float]] = {False: [], True: []}
    with TemporaryDirectory(prefix="nbad-recording-") as name:
        folder = Path(name)
        kept = folder / "kept"
        for turn in range(rounds):
            async with trio.open_nursery() as nursery:
                clock = FeedClock(night.starts_at, _SPEED)
                address = await nursery.start(partial(serve_feed, night, clock=clock))
                running = {}
                for records in sorted((False, True), reverse=bool(turn % 2)):
                    where = folder / str(records)
                    running[records] = daemon(where, address, kept if records else None)
                await trio.sleep(seconds)
                for records, process in running.items():
                    ticks, each = figures(folder / str(records), process)
                    taken[records] += ticks
                    busy[records].append(each)
                    process.terminate()
                    await trio.to_thread.run_sync(process.wait)
                nursery.cancel_scope.cancel()
        size = sum(file.stat().st_size for file in kept.iterdir())
    cuts = {records: statistics.quantiles(values, n=100) for records, values in taken.items()}
    for percent in (50, 95, 99):
        one, other = (cuts[records][percent - 1] for records in (True, False))
        sys.stdout.write(
            f"tick p{percent}: {one:.1f} ms recording, {other:.1f} ms not: {one / other:.2f} x\n"
        )
    one, other = (statistics.median(busy[records]) * 1e3 for records in (True, False))
    sys.stdout.write(f"processor time a tick: {one:.1f} and {other:.1f} ms: {one / other:.2f} x\n")
    sys.stdout.write(f"{len(taken[True])} ticks, {size / 1e6:.1f} MB kept\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A daemon that records beside one that does not.")
    parser.add_argument("--games", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    trio.run(measure, arguments.games, arguments.rounds, arguments.seconds)
