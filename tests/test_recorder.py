"""The recorder: what a failing disk, a failing stage and old nights cost."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from test_recording import arrivals
from trio.testing import MockClock

from nbad.model.forecaster import Forecaster
from nbad.recording import format as recording
from nbad.recording import recorder as module
from nbad.recording.format import Recording
from nbad.recording.recorder import Recorder
from nbad.recording.retention import delete_old
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Config


def make_recorder(folder: Path, **record: Any) -> Recorder:
    section = Config().record.model_copy(update={"path": folder, **record})
    config = Config().model_copy(update={"record": section})
    return Recorder(Settings(Runtime(config, Forecaster.load())))


class StageFailedError(Exception):
    pass


@pytest.mark.parametrize("wait_s", [0.0, 0.1, 0.25, 0.251])
async def test_what_waits_is_written_when_a_stage_fails(tmp_path: Path, wait_s: float) -> None:
    recorder = make_recorder(tmp_path)

    async def fail(wait_s: float) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.run)
            for arrival in arrivals(5):
                recorder.put(arrival)
            await trio.sleep(wait_s)  # with 0.25 s the thread is right at it
            raise StageFailedError

    with pytest.raises(ExceptionGroup) as raised:
        await fail(wait_s)
    assert raised.group_contains(StageFailedError)
    assert len(Recording(tmp_path).entries) == 5


async def test_a_payload_is_on_the_disk_within_half_a_second(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    recorder = make_recorder(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        for number, arrival in enumerate(arrivals(4), 1):
            recorder.put(arrival)
            await trio.sleep(0.4)
            await trio.testing.wait_all_tasks_blocked()
            async with recorder._thread:
                pass  # the thread's own time is real
            assert len(Recording(tmp_path).entries) == number
        nursery.cancel_scope.cancel()


async def test_any_fault_of_writing_costs_payloads_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a bug")

    recorder = make_recorder(tmp_path)
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.run)
            with monkeypatch.context() as patch:
                patch.setattr(recording, "_append", fail)
                recorder.put(arrivals(1)[0])
                await recorder._write_all()
                recorder.put(arrivals(1)[0])
                await recorder._write_all()
            recorder.put(arrivals(1)[0])
            nursery.cancel_scope.cancel()
    told = [log["event"] for log in logs]
    assert told == ["record_failed", "record_lost"]
    assert logs[1]["payloads"] == 2
    assert len(Recording(tmp_path).entries) == 1


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    writer = recording.Writer(tmp_path / "feed")
    writer.write(arrivals(2))
    shutil.rmtree(tmp_path / "feed")
    writer.write(arrivals(1))
    assert len(Recording(tmp_path / "feed").entries) == 1


def test_a_full_disk_leaves_neither_empty_files_nor_torn_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = recording.Writer(tmp_path)
    real = os.fsync

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for _ in range(50):
        with pytest.raises(OSError, match="No space"):
            writer.write(arrivals(3))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "fsync", real)
    writer.write(arrivals(2))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        writer.write(arrivals(3))
    monkeypatch.setattr(os, "fsync", real)
    writer.write(arrivals(1))
    assert len(list(tmp_path.glob("*.rec"))) == 1
    (file,) = tmp_path.glob("*.idx")
    assert len(Recording(tmp_path).entries) == 3
    file.unlink()
    assert len(Recording(tmp_path).entries) == 3


async def test_memory_is_bounded_in_all_also_while_a_disk_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 10_000)
    monkeypatch.setattr(module, "_LAST_S", 0.05)
    hung = threading.Event()
    monkeypatch.setattr(recording, "_append", lambda *_: hung.wait(60))
    recorder = make_recorder(tmp_path)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.run)
            for arrival in arrivals(1000):
                recorder.put(arrival)
            nursery.start_soon(recorder._write_all)  # these are in memory as long as it hangs
            await trio.testing.wait_all_tasks_blocked()
            assert not recorder._waiting
            for arrival in arrivals(1000):
                recorder.put(arrival)
            assert recorder._bytes <= 10_000
            assert not recorder._waiting
            assert recorder._lost >= 1000
            nursery.cancel_scope.cancel()  # and the end does not wait for the disk
    finally:
        hung.set()
        gc.collect()


def old_files(folder: Path, days: list[float], size: int) -> list[str]:
    names = []
    for number, age in enumerate(days):
        for suffix in (".rec", ".idx"):
            file = folder / f"{number}{suffix}"
            file.write_bytes(b"x" * (size // 2))
            moment = time.time() - age * 86_400
            os.utime(file, (moment, moment))
        names.append(f"{number}.rec")
    return names


def left(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.rec"))


def test_nothing_is_deleted_unless_it_is_asked_for(tmp_path: Path) -> None:
    names = old_files(tmp_path, [400, 3, 0], 1000)
    assert delete_old(tmp_path, 0, 0) == []
    assert left(tmp_path) == names


def test_the_oldest_go_first_with_their_index_and_what_is_written_to_stays(tmp_path: Path) -> None:
    old_files(tmp_path, [40, 20, 3, 2, 0], 1000)
    gone = delete_old(tmp_path, 30, 0)
    assert [(each.file.name, each.size, each.reason) for each in gone] == [
        ("0.rec", 1000, "older than 30 days")
    ]
    assert not (tmp_path / "0.idx").exists()
    gone = delete_old(tmp_path, 0, 2500 / 1e9)
    assert [(each.file.name, each.reason) for each in gone] == [
        ("1.rec", "more than 2.5e-06 GB"), ("2.rec", "more than 2.5e-06 GB"),
    ]  # fmt: skip
    delete_old(tmp_path, 1e-9, 1e-9)
    assert left(tmp_path) == ["4.rec"]


@pytest.mark.parametrize(("headers", "kept"), [({"date": -60.0}, 1), ({"date": 1.0}, 0), ({}, 0)])
async def test_a_clock_that_jumped_ahead_of_the_feeds_makes_no_recording_old(
    tmp_path: Path, headers: dict[str, float], kept: int
) -> None:
    old_files(tmp_path, [40], 1000)
    dates = {name: formatdate(time.time() + days * 86_400) for name, days in headers.items()}
    recorder = make_recorder(tmp_path, keep_days=30.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        for arrival in arrivals(2):
            recorder.put(arrival._replace(headers=dates))
        nursery.cancel_scope.cancel()
    assert len(left(tmp_path)) == kept + 1


async def test_the_recorder_says_what_it_deletes(tmp_path: Path) -> None:
    old_files(tmp_path, [40, 20], 1000)
    recorder = make_recorder(tmp_path, keep_days=30.0)
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.run)
            recorder.put(arrivals(1)[0])
            nursery.cancel_scope.cancel()
    told = [log for log in logs if log["event"] == "record_deleted"]
    assert [(log["file"], log["bytes"]) for log in told] == [(str(tmp_path / "0.rec"), 1000)]
    assert len(left(tmp_path)) == 2
