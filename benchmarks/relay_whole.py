"""A daemon alone, relays, and what the hop adds: the first table of docs/performance-relay.md.

    python benchmarks/relay_whole.py [--subscribers 20000] [--workers 4] [--batches 40] [--daemon]

Three parts, each in processes of its own, with the machine's load before it: all subscribers at the
daemon alone, all of them at the relays, one at each for what the hop adds. With --daemon also what
publishing costs a daemon's tick (relay_daemon.py, one minute more). A gap or a repetition in any
subscriber's `seq` ends the run with an error. Prints each part as JSON, then a table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from typing import Any

import relay
import relay_daemon


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--daemon", action="store_true")
    arguments = parser.parse_args()
    began = time.monotonic()
    alone = part("alone", arguments, alone=True)
    relays = part("relays", arguments)
    hop = part("hop", arguments, hop=True, workers=1, batches=150, pace=0.05)
    if arguments.daemon:
        with ExitStack() as stack:
            rounds = argparse.Namespace(rounds=3, seconds=5.0, starts=5, games=10)
            say(json.dumps({"daemon": relay_daemon.measure(rounds, stack)}))
    say(f"\n{arguments.subscribers} subscribers, {arguments.batches} batches, no gap")
    say(f"| | daemon alone | {arguments.workers} workers |\n|---|---|---|")
    for name, key in (("the first has it", "first_ms"), ("the last has it", "last_ms")):
        row = (f"p50 {each[key]['p50']}, p99 {each[key]['p99']} ms" for each in (alone, relays))
        say(f"| {name} | {' | '.join(row)} |")
    for name, key in (
        ("all are there after, s", "joined_s"),
        ("CPU a delivery, us", "cpu_us_per_delivery"),
        ("share of a core", "cpu_share"),
        ("memory, MB", "mb"),
    ):
        say(f"| {name} | {told(alone[key])} | {told(relays[key])} |")
    say(f"| the hop adds | - | p50 {hop['hop_ms']['p50']}, p99 {hop['hop_ms']['p99']} ms |")
    say(f"{time.monotonic() - began:.0f} s in all")


def part(name: str, arguments: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """One of the three, its figures."""
    given = {**vars(arguments), "alone": False, "hop": False, "asleep": False, **more}
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        figures = relay.measure(argparse.Namespace(**given), stack)
    say(json.dumps({name: figures | {"load_before": round(load, 1)}}))
    return figures


def told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return str(value)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
