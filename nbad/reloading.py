"""Reloads: what the file now says put in force, whole; or nothing, and every error logged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import structlog
import trio

from nbad.observe.logs import Output, open_output
from nbad.observe.metrics import Metrics
from nbad.settings.current import Runtime, Settings
from nbad.settings.load import ConfigError, differences
from nbad.settings.runtime import read
from nbad.systemd.notify import Notifier

log = structlog.get_logger()

# What is read may be on a disk that is gone, or a pipe that nobody writes to.
_PATIENCE_S = 60.0
# A reload that another one waits for is given so long to end.
_SUPERSEDED_S = 2.0
# Threads that may hang in such reads, forgotten. Then reloads wait for one to come back.
_MOST_HANGING = 4


class Reloads:
    """Reloads one at a time, beside everything else; the newest wins. ``scope`` cancels them."""

    def __init__(
        self, path: Path | None, notifier: Notifier, metrics: Metrics, output: Output
    ) -> None:
        self.scope = trio.CancelScope()
        self._path = path
        self._notifier = notifier
        self._metrics = metrics
        self._output = output
        self._asked = trio.Event()
        self._running: trio.CancelScope | None = None
        self._threads = trio.CapacityLimiter(_MOST_HANGING)

    def ask(self) -> None:
        """Reload once the one that is under way has ended, which it then soon does."""
        self._asked.set()
        if self._running is not None:
            soon = trio.current_time() + _SUPERSEDED_S
            self._running.deadline = min(self._running.deadline, soon)

    async def run(self, settings: Settings, ready: Callable[[], bool]) -> None:
        """Reload ``settings`` when asked, until ``scope`` is cancelled.

        The service manager is told where ``ready`` says that it knows of a daemon that serves.
        """
        with self.scope:
            while True:
                await self._asked.wait()
                self._asked = trio.Event()
                if ready():
                    self._notifier.reloading()
                with trio.move_on_after(_PATIENCE_S) as self._running:
                    self._metrics.reloaded(ok=await self._reload(settings))
                if self._running.cancelled_caught:
                    problem = f"{self._path}: expected to be read in time, was not: what it names"
                    log.error("reload_rejected", errors=[f"{problem} may be a pipe or a dead disk"])
                    self._metrics.reloaded(ok=False)
                self._running = None
                if ready():
                    self._notifier.ready(f"reloaded, {settings.current.forecaster.name}")

    async def _reload(self, settings: Settings) -> bool:
        old = settings.given
        try:
            # In a thread: the stages go on while files are read and a model is tried.
            new, out = await trio.to_thread.run_sync(
                load, self._path, abandon_on_cancel=True, limiter=self._threads
            )
        except ConfigError as error:
            log.error("reload_rejected", errors=error.problems)  # noqa: TRY400 - they say it all
            return False
        self._output.use(new.config.log, out)
        changes = differences(old.config, new.config)
        if old.forecaster.name != new.forecaster.name:
            changes["model"] = {"old": old.forecaster.name, "new": new.forecaster.name}
        settings.replace(new)
        log.info("reloaded", changes=changes)
        return True


def load(path: Path | None) -> tuple[Runtime, BinaryIO]:
    """What the file says, loaded and tried, and the log that it names, opened. Blocks.

    Raises :class:`ConfigError` with all that is wrong.
    """
    runtime = read(path)
    try:
        return runtime, open_output(runtime.config.log)
    except OSError as error:
        raise ConfigError([f"{path}: log.file: expected a file to write, was: {error}"]) from None
