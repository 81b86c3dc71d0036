"""Records payloads in the background: accepts them at once, writes them in a thread.

A failing disk never affects the pipeline; lost payloads are counted.
"""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path

import structlog
import trio

from nbad.feed.client import Arrival
from nbad.feed.times import http_date_s
from nbad.recording.format import Writer
from nbad.recording.retention import delete_old
from nbad.settings.current import Settings
from nbad.settings.schema import Record

log = structlog.get_logger()

# A kill loses what came in the last half second: a payload waits half of it for others to be
# written with, and the other half is for writing them.
_WAIT_S = 0.25
# What is written at once.
_PART_BYTES = 16 * 1024 * 1024
# What may be in memory for a disk that is slow: some minutes of a full night. Past it payloads are
# lost, counted and told of: the pipeline comes first.
_MOST_BYTES = 256 * 1024 * 1024
# A stage that fails takes the recorder down with it, which still writes what it holds.
_LAST_S = 2.0
_SWEEP_S = 60.0


class Recorder:
    """Keeps what it is given in ``[record] path`` as it is now; where that is empty, nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: deque[Arrival] = deque()
        self._bytes = 0  # of all that is in memory, what is being written included
        self._lost = 0
        self._failed = False
        self._news = trio.Event()
        self._writer: Writer | None = None
        # One thread at a time, also where one that hangs was left behind.
        self._thread = trio.CapacityLimiter(1)
        self._sweep_at = -math.inf

    def put(self, arrival: Arrival) -> None:
        """Take a payload; costs a list's append."""
        record = self._settings.current.config.record
        if record.path is None or not record.payloads:
            return
        if self._bytes + len(arrival.body) > _MOST_BYTES:
            self._lost += 1
            return
        self._waiting.append(arrival)
        self._bytes += len(arrival.body)
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled; then what still waits, as far as that takes no longer than 2 s."""
        try:
            while True:
                await self._news.wait()
                self._news = trio.Event()
                await trio.sleep(_WAIT_S)
                await self._write_all()
        finally:
            with trio.move_on_after(_LAST_S, shield=True):
                await self.finish()

    async def finish(self) -> None:
        """Write what waits. Returns once it is on the disk, and what :meth:`run` was writing."""
        await self._write_all()
        async with self._thread:
            pass

    async def _write_all(self) -> None:
        while self._waiting:
            part, size = [], 0
            while self._waiting and size < _PART_BYTES:
                part.append(self._waiting.popleft())
                size += len(part[-1].body)
            await self._write(part)
            self._bytes -= size

    async def _write(self, part: list[Arrival]) -> None:
        record = self._settings.current.config.record
        if record.path is None:
            return
        sweep = trio.current_time() >= self._sweep_at
        if sweep:
            self._sweep_at = trio.current_time() + _SWEEP_S
        try:
            await trio.to_thread.run_sync(
                self._in_thread, record, record.path, part, sweep,
                abandon_on_cancel=True, limiter=self._thread,
            )  # fmt: skip
        except Exception as error:
            # Of any kind: no payload is worth the pipeline. Told once per trouble: a full disk
            # would otherwise fill the log as well.
            if not self._failed:
                log.exception("record_failed", path=str(record.path), error=str(error))
            self._failed = True
            self._lost += len(part)
            return
        self._failed = False
        if self._lost:
            log.error("record_lost", payloads=self._lost)
            self._lost = 0

    def _in_thread(self, record: Record, folder: Path, part: list[Arrival], sweep: bool) -> None:
        if sweep:  # before: it may make the room
            _delete_old(record, folder, _feed_time(part))
        if self._writer is None or self._writer.folder != folder:
            self._writer = Writer(folder)
        self._writer.write(part)


def _feed_time(part: list[Arrival]) -> float:
    """The feed's clock, as its newest answer has it; infinity where none says."""
    dates = (http_date_s(arrival.headers.get("date")) for arrival in part)
    return max((date for date in dates if date is not None), default=math.inf)


def _delete_old(record: Record, folder: Path, feed_time: float) -> None:
    """Delete what is old or too much; where that fails, payloads are still written."""
    try:
        deleted = delete_old(folder, record.keep_days, record.max_gb, feed_time)
    except Exception as error:
        log.exception("record_failed", path=str(folder), error=str(error))
        return
    for each in deleted:
        log.info("record_deleted", file=str(each.file), bytes=each.size, reason=each.reason)
