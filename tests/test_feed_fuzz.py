"""Whatever the feed says costs at most a game's turn, and what is told is as documented."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import orjson
from conftest import make_validators
from fuzz_kit import Fuzz

LIVE = Path(__file__).parents[2] / "shared" / "data" / "live"
PAYLOADS = 600
TIMING = dict.fromkeys(("poll", "parse", "pattern", "predict", "emit", "total"), 0.0)


async def test_no_payload_costs_more_than_a_games_turn(autojump_clock: object) -> None:
    seed = random.randrange(10**9)
    validator = make_validators()["batch"]

    def check(body: bytes) -> None:
        head: dict[str, Any] = {"type": "batch", "epoch": "e", "seq": 1, "tick": 1}
        validator.validate(head | {"messages": [orjson.loads(body)], "timing_ms": TIMING})

    fuzz = Fuzz(seed, LIVE, every=3, check=check)
    for number in range(2):
        await fuzz.round(number, PAYLOADS // 2)
    assert not fuzz.faults, f"seed {seed}: {fuzz.first}"
    assert fuzz.counts["messages checked"] > 20, fuzz.counts
    assert fuzz.counts["schedules"], fuzz.counts
