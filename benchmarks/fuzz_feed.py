"""Mutated payloads by the million: what becomes of them, and whether anything leaves its guard.

nice -n 10 python benchmarks/fuzz_feed.py [--payloads 1000000] [--seed N] [--workers 2]; a fault's
round once more: --seed N --round R
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import structlog
import trio
import trio.testing

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from conftest import make_validators  # noqa: E402
from fuzz_kit import ROUND, Fuzz  # noqa: E402

STAGES = ("poll", "parse", "pattern", "predict", "emit", "total")


def fuzz(seed: int, rounds: range) -> Fuzz:
    """Play the rounds, each on a clock of its own that waits for nothing."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    validator = make_validators()["batch"]
    head = {"type": "batch", "epoch": "e", "seq": 1, "tick": 1}
    head["timing_ms"] = dict.fromkeys(STAGES, 0.0)

    def check(body: bytes) -> None:
        validator.validate(head | {"messages": [orjson.loads(body)]})

    found = Fuzz(seed, ROOT.parent / "shared" / "data" / "live", 1, check)
    for number in rounds:
        trio.run(found.round, number, clock=trio.testing.MockClock(autojump_threshold=0))
    return found


def outcome(piece: tuple[int, range]) -> tuple[Counter[str], Counter[str], dict[str, str]]:
    """What a worker hands back of its rounds."""
    found = fuzz(*piece)
    return found.counts, found.faults, found.first


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--payloads", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--round", type=int, help="only this one")
    args = parser.parse_args()
    first_round, end = (args.round, args.round + 1) if args.round else (0, args.payloads // ROUND)
    rounds = range(first_round, end)
    pieces = [(args.seed, rounds[at : at + 20]) for at in range(0, len(rounds), 20)]
    began = time.perf_counter()
    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    first: dict[str, str] = {}
    context = multiprocessing.get_context("spawn")
    with context.Pool(args.workers) as pool:
        for some, wrong, how in pool.imap_unordered(outcome, pieces):
            counts, faults, first = counts + some, faults + wrong, how | first
            sys.stderr.write(f"\r{counts['payloads']:,} payloads, {faults.total()} faults")
    said: dict[str, Any] = {"seed": args.seed, "rounds": len(rounds), "workers": args.workers}
    said |= {"seconds": round(time.perf_counter() - began, 1), "counts": counts}
    said |= {"faults": faults.most_common(20), "first": dict(list(first.items())[:20])}
    print(json.dumps(said, indent=1))  # noqa: T201 - its output
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
