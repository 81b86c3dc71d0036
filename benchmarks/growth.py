"""How a tick's CPU and the memory grow: with games, plays, subscribers and filters.

    python benchmarks/growth.py --only games --rows growth.jsonl     (a minute)
    python benchmarks/growth.py --only plays --rows growth.jsonl     (20 s)
    python benchmarks/growth.py --only subscribers --rows growth.jsonl
    python benchmarks/growth.py --only filters --rows growth.jsonl
    python benchmarks/growth.py --rows growth.jsonl --plot docs/images/growth.png

Games and plays by the stages in one process (`hotpath.py`), all games changed, gzip bodies of the
last quarter; subscribers and filters by the stage that serves them (`fanout.py`), batches of 5
games, logging on. CPU is a median; "× linear" is how much more each unit costs than at the row
before, where 1 is in proportion and less is better. The rows are added to a file, of which the
last command draws all.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import itertools
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
from fanout import measure, rss_kb
from hotpath import Pipeline

from nbad.bench.scenario import LARGEST, Documents, changes, slate

GAMES = (1, 30, 100, 300)
PLAYS = (100, 200, 400, 800)
# As many as there may be descriptors in a process, and some for all else.
_MOST = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 500
SUBSCRIBERS = (1, 100, 1000, 5000, 10_000, min(20_000, _MOST))
FILTERS = (1, 30, 256, 1024, 4096)
KINDS = {"games": GAMES, "plays": PLAYS, "subscribers": SUBSCRIBERS, "filters": FILTERS}
_TICKS, _WARM_UP = 8, 3
Row = tuple[str, int, float, float]


def many(games: int) -> Iterator[Documents]:
    """As many games as wanted: those of a slate again and again, by other ids."""
    night = slate(min(games, LARGEST))
    for said in changes(night, 4):
        board = orjson.loads(said.board)
        entries, plays = [], {}
        for number in range(games):
            entry = board["scoreboard"]["games"][number % LARGEST]
            old, new = entry["gameId"], f"00225{number:05}"
            entries.append(entry | {"gameId": new})
            plays[new] = said.plays[old].replace(old.encode(), new.encode())
        board["scoreboard"]["games"] = entries
        yield Documents(orjson.dumps(board), plays)


def long(plays: int) -> Iterator[Documents]:
    """Fifteen games that have so many plays, and one more each time: overtimes are put on."""
    night = slate(15)
    last = next(iter(changes(night, 4)))
    for step in range(_TICKS + _WARM_UP):
        made = {}
        for game_id, body in last.plays.items():
            document = orjson.loads(body)
            actions = document["game"]["actions"]
            late = [one for one in actions if one["period"] == 3]
            size = plays + step
            while len(actions) < size:
                place = len(actions)
                clone = late[place % len(late)] | {"period": 5, "clock": "PT01M00.00S"}
                clone |= {"actionNumber": 10_000 + place, "orderNumber": 10**9 + place}
                clone |= {"scoreHome": "120", "scoreAway": "120"}
                actions.append(clone)
            document["game"]["actions"] = actions[:size]
            made[game_id] = orjson.dumps(document)
        yield Documents(last.board, made)


def stages(kind: str, size: int) -> tuple[float, float]:
    """CPU of a tick in ms, and what the stages hold in MB. In a process of its own."""
    pipeline = Pipeline()
    documents = many(size) if kind == "games" else long(size)
    costs, before_kb = [], 0
    for number, said in enumerate(itertools.islice(documents, _TICKS + _WARM_UP)):
        packed = {game_id: gzip.compress(body, 1) for game_id, body in said.plays.items()}
        board = gzip.compress(said.board, 1)
        gc.collect()
        time.sleep(0.05)
        before_kb = before_kb or rss_kb(os.getpid())
        taken, _ = pipeline.tick(number, board, packed)
        if number >= _WARM_UP:
            costs.append(taken[-1])
    return statistics.median(costs), (rss_kb(os.getpid()) - before_kb) / 1024


def rows(only: str) -> Iterator[Row]:
    """What, how much of it, CPU in ms and memory in MB."""
    context = multiprocessing.get_context("spawn")
    for kind, sizes in KINDS.items():
        for size in sizes if only in ("", kind) else ():
            if kind == "subscribers":
                yield kind, size, *served(size, 0)
            elif kind == "filters":
                yield kind, size, *served(5000, size)
            else:
                with context.Pool(1) as pool:
                    yield kind, size, *pool.apply(stages, (kind, size))


def served(subscribers: int, filters: int) -> tuple[float, float]:
    """CPU of a batch in ms, and what the subscribers take in MB."""
    made = measure("nbad", subscribers, max(8, min(100, 40_000 // subscribers)), filters)
    delivered = float(made["cpu_us"]) * subscribers / 1e3
    return delivered, float(made["kb_per_subscriber"]) * subscribers / 1024


def draw(found: list[Row], path: Path) -> None:
    """Each kind in a picture of its own."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    kinds = list(dict.fromkeys(kind for kind, *_ in found))
    figure, axes = pyplot.subplots(1, len(kinds), figsize=(3 * len(kinds), 3), layout="constrained")
    for one, kind in zip(axes, kinds, strict=True):
        sizes = [size for name, size, _, _ in found if name == kind]
        costs = [cost for name, _, cost, _ in found if name == kind]
        one.plot(sizes, costs, marker="o")
        one.plot(sizes, [costs[-1] * size / sizes[-1] for size in sizes], ls=":", c="grey")
        one.set(title=kind, xscale="log", yscale="log")
        one.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=90)
        marks = [
            mark
            for mark in (0.1, 0.5, 2, 5, 10, 20, 50, 100)
            if min(costs) / 2 < mark < max(costs) * 2
        ]
        one.set_yticks(marks, [f"{mark:g}" for mark in marks])
        one.minorticks_off()
        one.set_ylim(min(costs) / 2, max(costs) * 2)
        one.grid(alpha=0.3)
    axes[0].set_ylabel("CPU a tick, ms (dotted: in proportion)")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", choices=("", *KINDS))
    parser.add_argument("--rows", type=Path, help="a file that each row is added to, in JSON")
    parser.add_argument("--plot", type=Path, help="draw the rows of that file, and measure nothing")
    arguments = parser.parse_args()
    if arguments.plot:
        draw(
            [orjson.loads(line) for line in arguments.rows.read_bytes().splitlines()],
            arguments.plot,
        )
        return
    before: Row | None = None
    sys.stdout.write("| what | how many | CPU, ms a tick | × linear | memory, MB |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    for row in rows(arguments.only):
        kind, size, cost, memory = row
        linear = ""
        if before is not None and before[0] == kind:
            linear = f"{cost / before[2] / (size / before[1]):.2f}"
        before = row
        sys.stdout.write(f"| {kind} | {size:,} | {cost:.2f} | {linear} | {memory:.0f} |\n")
        sys.stdout.flush()
        if arguments.rows:
            with arguments.rows.open("ab") as file:
                file.write(orjson.dumps(row) + b"\n")


if __name__ == "__main__":
    main()
