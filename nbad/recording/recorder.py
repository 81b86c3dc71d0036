"""The recorder beside the pipeline: takes payloads at once, writes them in a thread."""

from __future__ import annotations

from pathlib import Path

import structlog
import trio

from nbad.feed.client import Arrival
from nbad.recording.format import Writer
from nbad.settings.current import Settings

log = structlog.get_logger()

# A kill loses what came since the last flush: at most this, and the time to write it.
_FLUSH_S = 0.5
# What may wait for a disk that is slow: some minutes of a full night. Past it payloads are lost,
# counted and told of: the pipeline comes first.
_MOST_WAITING = 256 * 1024 * 1024


class Recorder:
    """Keeps what it is given in ``[record] path``, as it is in force; where that is empty, nothing.

    ``ended`` is set once :meth:`run` was told to end and everything is on the disk.
    """

    def __init__(self, settings: Settings) -> None:
        self.ended = trio.Event()
        self._settings = settings
        self._waiting: list[Arrival] = []
        self._bytes = 0
        self._lost = 0
        self._failed = False

    def put(self, arrival: Arrival) -> None:
        """Take a payload; costs a list's append."""
        if self._settings.current.config.record.path is None:
            return
        if self._bytes + len(arrival.body) > _MOST_WAITING:
            self._lost += 1
            return
        self._waiting.append(arrival)
        self._bytes += len(arrival.body)

    async def run(self, *, task_status: trio.TaskStatus[trio.Event]) -> None:
        """Write until the event that it is started with is set, then what still waits."""
        end = trio.Event()
        task_status.started(end)
        writer: Writer | None = None
        while True:
            with trio.move_on_after(_FLUSH_S):
                await end.wait()
            writer = await self._flush(writer)
            if end.is_set():
                break
        self.ended.set()

    async def _flush(self, writer: Writer | None) -> Writer | None:
        folder = self._settings.current.config.record.path
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if folder is None or not waiting:
            return writer
        try:
            writer = await trio.to_thread.run_sync(_write, writer, folder, waiting)
            self._failed = False
            if self._lost:
                log.error("record_lost", payloads=self._lost)
                self._lost = 0
        except OSError as error:
            # Told once per trouble: a full disk would otherwise fill the log as well.
            if not self._failed:
                log.error("record_failed", path=str(folder), error=str(error))  # noqa: TRY400
            self._failed = True
            self._lost += len(waiting)
        return writer


def _write(writer: Writer | None, folder: Path, arrivals: list[Arrival]) -> Writer:
    if writer is None or writer.folder != folder:
        writer = Writer(folder)
    writer.write(arrivals)
    return writer
