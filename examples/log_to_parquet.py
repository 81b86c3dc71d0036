"""Writes every forecast in the log to Parquet, a file for every 10,000 rows.

Any Redis client can read the log: docs/scaling.md says what an entry holds. This one needs
`pip install pyarrow coredis trio`. It resumes where its last file ended.

python examples/log_to_parquet.py redis://127.0.0.1:6379/0 FOLDER [STREAM]
"""

import json
import sys
from pathlib import Path
from typing import Any

import coredis
import pyarrow as pa
import pyarrow.parquet as pq
import trio

ROWS = 10_000
AS_THEY_ARE = ("game_id", "status", "period", "clock_s", "corrected", "received_at")
SCHEMA = pa.schema(
    [
        ("entry", pa.string()), ("epoch", pa.string()), ("seq", pa.int64()),
        ("game_id", pa.string()), ("status", pa.string()), ("period", pa.int16()),
        ("clock_s", pa.float32()), ("home", pa.string()), ("away", pa.string()),
        ("home_score", pa.int16()), ("away_score", pa.int16()), ("corrected", pa.bool_()),
        ("home_win", pa.float32()), ("margin_p10", pa.float32()), ("margin_p50", pa.float32()),
        ("margin_p90", pa.float32()), ("total_p50", pa.float32()), ("model", pa.string()),
        ("received_at", pa.string()),
    ]
)  # fmt: skip


def rows(entry: str, batch: Any) -> list[dict[str, Any]]:
    """A row for each game of a batch."""
    found = []
    for game in batch["messages"]:
        forecast = game["forecast"] or {}
        margin, total = forecast.get("margin", {}), forecast.get("total", {})
        found.append(
            {
                "entry": entry, "epoch": batch["epoch"], "seq": batch["seq"],
                "home": game["home"]["tricode"], "away": game["away"]["tricode"],
                "home_score": game["home"]["score"], "away_score": game["away"]["score"],
                "home_win": forecast.get("home_win"), "model": forecast.get("model"),
                "margin_p10": margin.get("p10"), "margin_p50": margin.get("p50"),
                "margin_p90": margin.get("p90"), "total_p50": total.get("p50"),
                **{key: game[key] for key in AS_THEY_ARE},
            }
        )  # fmt: skip
    return found


def last_entry(folder: Path) -> str:
    """Where the last file ended: each is named by its last entry, milliseconds-number."""
    folder.mkdir(parents=True, exist_ok=True)
    ends = (file.stem for file in folder.glob("*.parquet"))
    return max(ends, key=lambda entry: [int(part) for part in entry.split("-")], default="0-0")


async def main(url: str, folder: Path, stream: str) -> None:
    after = last_entry(folder)
    fence, seen, waiting = 0, ("", 0), []
    async with coredis.Redis.from_url(url) as redis:
        while True:
            found = await redis.xread({stream: after}, count=500, block=1000) or {}
            for entry in next(iter(found.values()), ()):
                after = entry.identifier.decode()
                told = entry.field_values
                body = json.loads(told[b"body"])
                # Skip a daemon that has lost its lease, and repetitions.
                if int(told[b"fence"]) < fence or body["type"] != "batch":
                    continue
                fence = int(told[b"fence"])
                epoch, seq = body["epoch"], body["seq"]
                if epoch == seen[0] and seq <= seen[1]:
                    continue
                seen = epoch, seq
                waiting += rows(after, body)
            if len(waiting) >= ROWS or (waiting and not found):
                # Under another name until it is whole: a reader, and a restart, find no half file.
                name, part = folder / f"{after}.parquet", folder / "unfinished"
                pq.write_table(pa.Table.from_pylist(waiting, SCHEMA), part)
                part.replace(name)
                print(f"{name}: {len(waiting)} rows", flush=True)
                waiting = []


if __name__ == "__main__":
    trio.run(main, sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "nbad")
