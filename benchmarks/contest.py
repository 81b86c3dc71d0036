"""All contestants on all loads, in turns: the table of docs/performance.md.

    make bench BENCH="--help"   (once, for what the rivals need)
    python benchmarks/contest.py [--minutes 20] [--games 1,15,30] [--subscribers 1,100,1000]
                                 [--quarters 1,4] [--polls 6]
                                 [--rivals "expert twice,expert,tuned,plain"] [--tls]

Goes through all rows, a run of each contestant in each, then again in the other order, as often as
it fits into the time. Says for each row the median CPU and time of a tick in ms with the spread
of nbad's rounds, and for each rival the median of the rounds' ratios to nbad's. With ``--tls`` the
feed is asked over TLS, as the real one is. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import sys
import time
from pathlib import Path

import trio
from certificates import certificate

from nbad.bench.runner import (
    Contestant,
    ContestError,
    PreparedFeed,
    Run,
    leaves,
    measure,
    prepared_feed,
)

BASELINES = Path(__file__).parent / "baselines"
Row = tuple[int, int, int]
Figures = tuple[float, float]
"""CPU and time of a tick, in ms."""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def figures(run: Run) -> Figures:
    return run.cpu_ms, statistics.median(cost["total"] for cost in run.costs)


def cells(ours: list[Figures], theirs: list[Figures] | None = None) -> str:
    """Medians of CPU and time; with ``theirs`` those, and how many times nbad's they are."""
    shown = theirs or ours
    cpu, tick = (statistics.median(each) for each in zip(*shown, strict=True))
    if theirs is None:
        least, most = min(one for one, _ in ours), max(one for one, _ in ours)
        return f"{cpu:.1f} ({least:.1f} to {most:.1f}) / {tick:.1f}"
    pairs = list(zip(theirs, ours, strict=False))
    leads = [statistics.median(one[at] / our[at] for one, our in pairs) for at in (0, 1)]
    return f"{cpu:.1f} / {tick:.1f} | {leads[0]:.1f} × / {leads[1]:.1f} ×"


async def attempt(
    one: Contestant, feed: PreparedFeed, games: int, polls: int, subscribers: int
) -> Run | None:
    """Its run; None where it could not be had, which is said."""
    run: Run | None = None
    try:
        run = await measure(one, feed, games, polls, subscribers)
    except* ContestError as group:
        for error in leaves(group):
            say(f"{one.name}: {error}")
    return run


async def main(
    rows: list[Row],
    contestants: list[Contestant],
    polls: int,
    minutes: float,
    server: Path | None = None,
) -> dict[Row, dict[str, list[Figures]]]:
    """What each took in each row, once a round, over TLS where ``server`` is the feed's
    certificate."""
    taken: dict[Row, dict[str, list[Figures]]] = {
        row: {one.name: [] for one in contestants} for row in rows
    }
    ends = time.monotonic() + minutes * 60
    async with contextlib.AsyncExitStack() as stack:
        feeds = {
            load: await stack.enter_async_context(prepared_feed(*load, server))
            for load in dict.fromkeys((games, quarter) for games, _, quarter in rows)
        }
        for number in itertools.count():
            for games, subscribers, quarter in rows:
                for one in contestants if number % 2 == 0 else contestants[::-1]:
                    if number and time.monotonic() > ends:
                        return taken
                    run = await attempt(one, feeds[games, quarter], games, polls, subscribers)
                    if run is None:
                        continue
                    taken[games, subscribers, quarter][one.name].append(figures(run))
                    told = "{:.1f} / {:.1f}".format(*figures(run))
                    say(f"{games} x {subscribers}, Q{quarter}: {one.name} {told}")
    raise AssertionError("unreachable: the rounds end with the time")


def table(taken: dict[Row, dict[str, list[Figures]]]) -> str:
    """As Markdown."""
    rivals = [name for name in next(iter(taken.values())) if name != "nbad"]
    heads = "".join(f" {name} | nbad's lead |" for name in rivals)
    lines = [
        f"| games × subscribers | rounds | nbad |{heads}",
        "|---|---|---|" + "---|---|" * len(rivals),
    ]
    for (games, subscribers, quarter), each in taken.items():
        ours = each["nbad"]
        if not ours:
            continue
        beside = "".join(
            f" {cells(ours, each[name])} |" if each[name] else "  |  |" for name in rivals
        )
        lines.append(
            f"| {games} × {subscribers:,}, Q{quarter} | {len(ours)} | {cells(ours)} |{beside}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of which the first is setup")
    parser.add_argument("--games", default="1,15,30")
    parser.add_argument("--subscribers", default="1,100,1000")
    parser.add_argument("--quarters", default="1,4")
    parser.add_argument("--rivals", default="expert twice,expert,tuned,plain")
    parser.add_argument("--polls", type=int, default=6, help="ticks in each run")
    parser.add_argument("--tls", action="store_true", help="over TLS (needs trustme)")
    arguments = parser.parse_args()
    of = [
        tuple(map(int, given.split(",")))
        for given in (arguments.games, arguments.subscribers, arguments.quarters)
    ]
    others = [
        Contestant(name, (sys.executable, str(BASELINES / f"{name.split()[0]}.py"), *options))
        for name in arguments.rivals.split(",")
        for options in [["--twice"] if name.endswith(" twice") else []]
    ]
    loads: list[Row] = [(games, count, quarter) for games, count, quarter in itertools.product(*of)]
    everyone = [Contestant("nbad"), *others]
    with certificate(wanted=arguments.tls) as server:
        say(table(trio.run(main, loads, everyone, arguments.polls, arguments.minutes, server)))
