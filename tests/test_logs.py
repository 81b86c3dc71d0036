"""The log never ends the daemon: what cannot be written is counted, and told of later."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import pytest
import structlog
from daemon_kit import Daemon, get, serving, until_status

from nbad.observe.logs import Output, _dumps, _tell_lost, open_output
from nbad.observe.sink import Sink
from nbad.settings.schema import Log


class Disk(io.RawIOBase):
    """A disk with room for so many bytes more."""

    def __init__(self) -> None:
        self.written = b""
        self.room = 10_000

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = data[: self.room]
        self.room -= len(taken)
        self.written += taken
        return len(taken)


def test_a_full_disk_costs_lines_and_no_more() -> None:
    disk = Disk()
    sink = Sink(disk, _tell_lost)  # type: ignore[arg-type]
    sink.write(b'{"event":"one"}\n')
    assert sink.drain(60)
    disk.room = 5
    for _ in range(3):
        sink.write(b'{"event":"lost"}\n')
    assert sink.drain(60)
    disk.room = 10_000
    sink.write(b'{"event":"two"}\n')
    sink.write(b'{"event":"three"}\n')
    sink.close()
    assert sink.drain(60)
    first, torn, told, *rest = disk.written.splitlines()
    assert (json.loads(first)["event"], torn) == ("one", b'{"eve')
    assert (json.loads(told)["event"], json.loads(told)["lines"]) == ("log_lost", 3)
    assert [json.loads(line)["event"] for line in rest] == ["two", "three"]


def test_a_pipe_that_nobody_reads_costs_lines_and_no_time() -> None:
    read, write = os.pipe()
    with open(write, "wb", buffering=0) as out, open(read, "rb") as reader:  # noqa: PTH123
        sink = Sink(out, _tell_lost, most_bytes=100_000)
        line = b'{"event":"x"}' + b" " * 986 + b"\n"
        for _ in range(1000):
            sink.write(line)
        assert not sink.drain(0.01)
        got = b""
        while b"log_lost" not in got:
            got += reader.read1(100_000)
            sink.write(line)
        told = [json.loads(text) for text in got.splitlines() if b"log_lost" in text]
        assert told[0]["lines"] >= 1000 - 100 - 66  # less what it may hold, and what a pipe does
        sink.close()


def test_a_pipe_that_was_closed_costs_lines() -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb", buffering=0) as out:  # noqa: PTH123
        sink = Sink(out, _tell_lost)
        for _ in range(10):
            sink.write(b"{}\n")
        assert sink.drain(60)
        sink.close()


@pytest.mark.slow
def test_the_daemon_serves_without_room_for_its_log(tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        port = daemon.wait_for("listening")["port"]
        assert daemon.end() == 0
        text = daemon.text.replace(str(daemon.log), "/dev/full")
        daemon.config.write_text(text.replace("[http]\nport = 0", f"[http]\nport = {port}"))
        daemon.start()
        for _ in range(200):
            try:
                until_status(f"http://127.0.0.1:{port}/readyz", 200)
                break
            except OSError:
                assert daemon.process.poll() is None
                daemon.pause()
        assert get(f"http://127.0.0.1:{port}/livez")[0] == 200
        assert daemon.end() == 0


def test_what_a_bound_logger_says_after_a_reload_goes_where_all_else_goes(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    output = Output()
    with open_output(Log(file=before)) as old, open_output(Log(file=after)) as new:
        output.use(Log(file=before), old)
        bound = structlog.get_logger().bind()  # a tick is under way
        output.use(Log(file=after), new)
        bound.info("stage", stage="emit")
        output.drain(60)
    structlog.reset_defaults()
    assert [json.loads(line)["stage"] for line in after.read_text().splitlines()] == ["emit"]
    assert not before.read_text()


def test_a_sink_that_ended_holds_nobody_up() -> None:
    disk = Disk()
    sink = Sink(disk, _tell_lost)  # type: ignore[arg-type]
    sink.write(b"{}\n")
    sink.close()
    assert sink.drain(60)
    assert disk.written == b"{}\n"
    assert sink.drain(60)


def test_a_file_whose_name_is_not_utf_8_is_told_all_the_same() -> None:
    line = _dumps({"event": "record_failed", "path": os.fsdecode(b"/r\xff"), "of": {1: "x"}})
    assert json.loads(line) == {"event": "record_failed", "path": "/r\udcff", "of": {"1": "x"}}
    assert line.endswith(b"\n")
