"""nbad and *expert* beside the floor: what no pipeline in Python goes below (baselines/floor.py).

    make bench BENCH="--help"   (once, for what the rivals need)
    python benchmarks/floor.py [--minutes 10] [--subscribers 1,100,1000] [--quarters 1,4]

15 games, all of them changed in each round, in turns as ``contest.py`` has it, at real-time
priority where that may be had: CPU and time of a round in ms, medians of the rounds, and how many
times the floor's they are. *twice* is the floor, or *expert*, that tells the board at once, as nbad
does, and so writes to each subscriber twice a round.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
import sys

import trio
from contest import BASELINES, Figures, Row, main, say

from nbad.bench.runner import Contestant

GAMES = 15
FLOOR = "floor"


def contestant(name: str, *options: str) -> Contestant:
    return Contestant(name, (sys.executable, str(BASELINES / f"{name.split()[0]}.py"), *options))


def cell(shown: list[Figures], floor: list[Figures]) -> str:
    """Median CPU and time, and of CPU the median of the rounds' ratios to the floor, and spread."""
    cpu, tick = (statistics.median(of) for of in zip(*shown, strict=True))
    times = [one / least for (one, _), (least, _) in zip(shown, floor, strict=False)]
    spread = f"{statistics.median(times):.1f} × ({min(times):.1f} to {max(times):.1f})"
    return f"{cpu:.1f} / {tick:.1f} | {spread}"


def table(taken: dict[Row, dict[str, list[Figures]]]) -> str:
    """As Markdown."""
    names = list(next(iter(taken.values())))
    lines = [
        "| subscribers | rounds |" + "".join(f" {name} | of the floor |" for name in names),
        "|---|---|" + "---|---|" * len(names),
    ]
    for (_, subscribers, quarter), each in taken.items():
        if all(each.values()):
            cells = "".join(f" {cell(each[name], each[FLOOR])} |" for name in names)
            rounds = len(each[FLOOR])
            lines.append(f"| {subscribers:,}, Q{quarter} | {rounds} |{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--subscribers", default="1,100,1000")
    parser.add_argument("--quarters", default="1,4")
    parser.add_argument("--polls", type=int, default=12, help="rounds of the feed in each run")
    arguments = parser.parse_args()
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    quarters, counts = (
        [int(number) for number in given.split(",")]
        for given in (arguments.quarters, arguments.subscribers)
    )
    rows = [(GAMES, count, quarter) for quarter, count in itertools.product(quarters, counts)]
    everyone = [
        contestant(FLOOR), contestant("floor twice", "--twice"), Contestant("nbad"),
        contestant("expert"), contestant("expert twice", "--twice"),
    ]  # fmt: skip
    say(table(trio.run(main, rows, everyone, arguments.polls, arguments.minutes)))
