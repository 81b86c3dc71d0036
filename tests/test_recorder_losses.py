"""The recorder on a disk that is slow, full or failing: the pipeline goes on, losses are told."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from structlog.testing import capture_logs

from nbad.feed.client import Arrival
from nbad.recording import recorder as recording
from nbad.recording.format import Recording, Writer
from nbad.recording.recorder import Recorder
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Config

EVENING = 1_795_471_200.0  # 2026-11-23T22:00Z
MB = 1024 * 1024


def arrivals(count: int, first: int = 0) -> list[Arrival]:
    return [
        Arrival(f"http://feed/{n}.json", 200, {}, b'{"n": %d}' % n, EVENING + n)
        for n in range(first, first + count)
    ]


def kept(folder: Path) -> list[str]:
    return [entry.url for entry in Recording(folder).entries]


def settings(folder: Path) -> Settings:
    record = Config().record.model_copy(update={"path": folder})
    return Settings(Runtime(Config().model_copy(update={"record": record}), cast(Any, None)))


async def keep(recorder: Recorder, given: list[Arrival]) -> None:
    """Give it ``given`` and let it write all that it has."""
    async with trio.open_nursery() as nursery:
        for arrival in given:
            recorder.put(arrival)
        nursery.start_soon(recorder.run)
        await recorder.finish()
        nursery.cancel_scope.cancel()


async def test_what_waits_for_a_slow_disk_is_bounded_and_the_rest_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [limit] = [name for name, value in vars(recording).items() if value == 256 * MB]
    given = arrivals(6)
    monkeypatch.setattr(recording, limit, 4 * len(given[0].body))
    with capture_logs() as logs:
        await keep(Recorder(settings(tmp_path)), given)
    assert kept(tmp_path) == [arrival.url for arrival in given[:4]]
    assert [log["payloads"] for log in logs if log["event"] == "record_lost"] == [2]


async def test_room_is_free_again_once_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [limit] = [name for name, value in vars(recording).items() if value == 256 * MB]
    monkeypatch.setattr(recording, limit, 4 * len(arrivals(1)[0].body))
    recorder = Recorder(settings(tmp_path))
    with capture_logs() as logs:
        for first in (0, 3, 6):
            await keep(recorder, arrivals(3, first))
    assert len(kept(tmp_path)) == 9
    assert not [log for log in logs if log["event"] == "record_lost"]


async def test_what_a_failing_disk_lost_is_told_once_it_writes_again(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.write_text("a file where the folder should be")
    recorder = Recorder(settings(folder))
    with capture_logs() as logs:
        await keep(recorder, arrivals(3))
        await keep(recorder, arrivals(2, 3))
        folder.unlink()
        await keep(recorder, arrivals(1, 5))
    assert kept(folder) == ["http://feed/5.json"]
    told = [log["event"] for log in logs]
    assert told.count("record_failed") == 1  # once per trouble, not once per flush
    assert [log["payloads"] for log in logs if log["event"] == "record_lost"] == [5]


async def test_a_recording_that_cannot_be_deleted_costs_no_payload(tmp_path: Path) -> None:
    old = tmp_path / "20200101T000000.000000Z.rec"
    old.mkdir()  # which no unlink takes
    os.utime(old, (0, 0))
    limited = settings(tmp_path)
    record = limited.current.config.record.model_copy(update={"keep_days": 1.0})
    config = limited.current.config.model_copy(update={"record": record})
    limited.replace(Runtime(config, cast(Any, None)))
    with capture_logs() as logs:
        await keep(Recorder(limited), arrivals(3))
    old.rmdir()
    assert len(kept(tmp_path)) == 3
    told = [log["event"] for log in logs]
    assert told.count("record_failed") == 1
    assert "record_lost" not in told


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As a disk that is full there: a write past ``size`` stops in its middle, and fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_follows_a_torn_write_can_be_read(tmp_path: Path) -> None:
    """A reader stops where a member is torn: what was appended behind it would be lost."""
    writer = Writer(tmp_path)
    writer.write(arrivals(3))
    [file] = tmp_path.glob("*.rec")
    with largest_file(file.stat().st_size + 20), pytest.raises(OSError, match="large"):
        writer.write(arrivals(3, 3))
    writer.write(arrivals(3, 6))
    assert sorted(kept(tmp_path)) == sorted(a.url for a in [*arrivals(3), *arrivals(3, 6)])
