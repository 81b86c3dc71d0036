"""Refused for ten minutes while eight games are live: what `nbad run` asks, says, and how soon it
is back.

    python benchmarks/refused.py [--statuses 403,429,503] [--minutes 10] [--games 8]

For each status the real daemon follows the simulated feed server, which after twenty seconds
refuses every request for so long, and then answers again. Requests are those the server saw, lines
those in the daemon's log but for the stages' own; back is when a document was had again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio

from nbad.bench.scenario import slate
from nbad.simulator.faults import Fault, Faults, Struck
from nbad.simulator.server import FeedAddress, FeedClock, serve_feed

GOOD_S, AFTER_S = 20.0, 40.0


@dataclass
class Outage:
    """When all is refused, on the wall clock, and what was asked for when."""

    begins: float = math.inf
    ends: float = math.inf
    asked: list[tuple[float, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Refusing(Faults):
    """Every request is refused with ``status`` during the ``outage``."""

    status: int = 403
    outage: Outage = field(default_factory=Outage)

    def decide(self, path: str, count: int) -> Struck | None:
        now = time.time()
        self.outage.asked.append((now, path))
        refused = self.outage.begins <= now < self.outage.ends
        return Struck(Fault("status", 1.0, "", self.status), 0.0) if refused else None


async def measure(status: int, minutes: float, games: int, results: list[dict[str, Any]]) -> None:
    """One daemon refused with one status."""
    night = slate(games)
    outage = Outage()
    feed = Refusing((Fault("status"),), 1, status, outage)
    async with trio.open_nursery() as nursery:
        clock = FeedClock(night.starts_at)
        serve = partial(serve_feed, night, clock=clock, faults=feed)
        address: FeedAddress = await nursery.start(serve)
        with TemporaryDirectory(prefix="nbad-refused-") as name:
            folder = Path(name)
            await start(nursery, address, folder)
            while b'"event":"ready"' not in await log_of(folder):  # noqa: ASYNC110 - another process
                await trio.sleep(0.5)
            outage.begins = time.time() + GOOD_S
            outage.ends = outage.begins + 60 * minutes
            await trio.sleep(outage.ends + AFTER_S - time.time())
            lines = (await log_of(folder)).splitlines()
        nursery.cancel_scope.cancel()
    results.append(figures(status, outage, [json.loads(line) for line in lines if line]))


async def log_of(folder: Path) -> bytes:
    """What the daemon has said so far."""
    path = trio.Path(folder / "log")
    return await path.read_bytes() if await path.exists() else b""


async def start(nursery: trio.Nursery, address: FeedAddress, folder: Path) -> None:
    """``nbad run`` as it comes, but for the feed's address."""
    config = folder / "nbad.toml"
    config.write_text(
        f'[feed]\nbase_url = "{address.base_url}"\nschedule_url = "{address.schedule_url}"\n'
        "[server]\nport = 0\n[http]\nport = 0\n[log]\nfile = " + json.dumps(str(folder / "log"))
    )
    environment = {name: value for name, value in os.environ.items() if name[:5] != "NBAD_"}
    command = [sys.executable, "-m", "nbad", "run", "--config", str(config)]
    run = partial(trio.run_process, command, check=False, env=environment)
    await nursery.start(partial(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def figures(status: int, outage: Outage, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Requests and lines by minute of the refusal, and when each document was had again."""

    def by_minute(moments: list[float]) -> list[int]:
        count = Counter(int((at - outage.begins) // 60) for at in moments if at < outage.ends)
        last = round((outage.ends - outage.begins) / 60)
        return [count[minute] for minute in range(last)]

    said = [
        (datetime.fromisoformat(event["timestamp"]).timestamp(), event)
        for event in events
        if event["event"] not in ("stage", "over_budget")
    ]
    back: dict[str, float] = {}
    for at, path in outage.asked:
        if at >= outage.ends and "schedule" not in path:
            back.setdefault(path, at - outage.ends)
    states = [
        (round(at - outage.ends, 1), event["state"])
        for at, event in said
        if event["event"] == "feed_state" and at > outage.begins
    ]
    good = [at for at, _ in outage.asked if outage.begins - GOOD_S < at < outage.begins]
    return {
        "status": status,
        "before_requests_s": round(len(good) / GOOD_S, 2),
        "requests": by_minute([at for at, _ in outage.asked]),
        "lines": by_minute([at for at, _ in said if at >= outage.begins]),
        "events": Counter(
            e["event"] for at, e in said if outage.begins <= at < outage.ends + AFTER_S
        ),
        "documents_back": len(back),
        "first_back_s": round(min(back.values()), 1),
        "last_back_s": round(max(back.values()), 1),
        "feed_state": states,
    }


async def measure_all(statuses: list[int], minutes: float, games: int) -> list[dict[str, Any]]:
    """All at once: each waits for nearly all of the time."""
    results: list[dict[str, Any]] = []
    async with trio.open_nursery() as nursery:
        for status in statuses:
            nursery.start_soon(measure, status, minutes, games, results)
    return sorted(results, key=lambda result: int(result["status"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--statuses", default="403,429,503", help="each by a daemon of its own")
    parser.add_argument("--minutes", type=float, default=10.0, help="of refusal")
    parser.add_argument("--games", type=int, default=8, help="in play")
    args = parser.parse_args()
    statuses = [int(status) for status in args.statuses.split(",")]
    for result in trio.run(measure_all, statuses, args.minutes, args.games):
        print(json.dumps(result))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
