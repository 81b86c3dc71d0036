"""The example that writes the log to Parquet: each forecast once, and on from where it was."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from broker_kit import MemoryBroker
from process_kit import start
from redis_kit import Redis, needs_redis
from relay_kit import until
from test_relay_reader import Night

from nbad.publish.broker import Broker, with_broker
from nbad.settings.schema import Publish

pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")

pytestmark = needs_redis

EXAMPLE = Path(__file__).parent.parent / "examples" / "log_to_parquet.py"


@pytest.mark.slow
def test_each_forecast_is_written_once_and_a_restart_goes_on(tmp_path: Path) -> None:
    redis, folder = Redis(tmp_path), tmp_path / "nights"

    def write(entries: MemoryBroker) -> None:
        async def work(broker: Broker) -> None:
            lease = await broker.acquire("test")
            assert lease is not None
            for _, fields in entries.entries:
                told = {name.decode(): value for name, value in fields.items()}
                await broker.write("test", lease.fence, told)

        trio.run(with_broker, Publish(url=redis.url), work)
        entries.entries.clear()

    def rows() -> list[Any]:
        files = sorted(folder.glob("*.parquet"))
        return [row for file in files for row in pq.read_table(file).to_pylist()]

    def run_until(count: int) -> None:
        command = [sys.executable, str(EXAMPLE), redis.url, str(folder)]
        process = start(command, stdout=subprocess.DEVNULL)
        until(lambda: len(rows()) >= count, "nothing was written")
        process.terminate()
        process.wait()

    log = MemoryBroker()
    late, night = Night(log), Night(log, "d1", 2)
    late.play(2)
    night.play(3)
    late.play(1)  # without the lease
    log.entries.append(log.entries[-2])  # twice
    write(log)
    run_until(3)
    night.play(2)
    night.beat()
    write(log)
    run_until(5)
    # The first batch of each is in a snapshot, which this example passes over.
    assert [(row["epoch"], row["seq"]) for row in rows()] == [
        ("d0", 2), ("d1", 2), ("d1", 3), ("d1", 4), ("d1", 5)
    ]  # fmt: skip
    assert [row["home_score"] for row in rows()] == [1, 1, 2, 3, 4]
    first = rows()[0]
    assert (first["home"], first["away"], first["status"]) == ("ATL", "BOS", "live")
    assert 0 < first["home_win"] < 1
    assert first["margin_p10"] < first["margin_p90"]


def test_it_goes_on_behind_the_newest_file_that_is_whole(tmp_path: Path) -> None:
    """Ids are numbers: 10 is behind 9. A file that was cut while it was written does not count."""
    for name in ("99-9.parquet", "99-10.parquet", "100-0.parquet.part"):
        (tmp_path / name).touch()
    assert runpy.run_path(str(EXAMPLE))["last_entry"](tmp_path) == "99-10"
