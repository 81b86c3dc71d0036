"""Mutated payloads by the million: what becomes of them, and whether anything leaves its guard.

nice -n 10 python benchmarks/fuzz_feed.py [--payloads 1000000] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from pathlib import Path

import orjson
import structlog
import trio
import trio.testing

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from conftest import make_validators  # noqa: E402
from fuzz_kit import Fuzz, corpus  # noqa: E402

STAGES = ("poll", "parse", "pattern", "predict", "emit", "total")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--payloads", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    validator = make_validators()["batch"]
    head = {"type": "batch", "epoch": "e", "seq": 1, "tick": 1}
    head["timing_ms"] = dict.fromkeys(STAGES, 0.0)
    fuzz = Fuzz(corpus(ROOT.parent / "shared" / "data" / "live", 1), args.seed, every=100)
    began = time.perf_counter()
    try:
        trio.run(
            fuzz.run,
            args.payloads,
            lambda body: validator.validate(head | {"messages": [orjson.loads(body)]}),
            clock=trio.testing.MockClock(autojump_threshold=0),  # a pause that is asked for is none
        )
    finally:
        said = {"seed": args.seed, "seconds": round(time.perf_counter() - began, 1)}
        said |= {"counts": fuzz.counts, "faults": fuzz.faults.most_common(20)}
        print(json.dumps(said, indent=1))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
