"""Loads the configuration and applies it, at the start and at each reload: all of it, or none of it
and every error is reported."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import structlog
import trio

from nbad.observe.logs import Output, open_output
from nbad.settings.current import Runtime, Settings
from nbad.settings.load import ConfigError, differences
from nbad.settings.schema import Log
from nbad.signals import Signals
from nbad.systemd.notify import Notifier

log = structlog.get_logger()

# A file may be on a dead disk, or be a pipe without a writer.
_PATIENCE_S = 60.0
# How long a reload may still take once another one is requested.
_SUPERSEDED_S = 2.0
# Threads that may be left hanging in such reads; beyond them reloads wait for one to return.
_MOST_HANGING = 4


Read = Callable[[Path | None], Runtime]
"""Reads the configuration at a path, and loads and tries what it names. Raises ConfigError."""


class Reloads:
    """Reads the file at the start and on request: one read at a time, in the background; the newest
    request wins.

    ``read`` loads and checks it. ``done`` is called after each reload, with whether it succeeded.
    """

    def __init__(
        self,
        path: Path | None,
        read: Read,
        notifier: Notifier,
        output: Output,
        done: Callable[[bool], object] = lambda _: None,
    ) -> None:
        self._starting = trio.CancelScope()
        self._scope = trio.CancelScope()
        self._path = path
        self._read = read
        self._notifier = notifier
        self._output = output
        self._done = done
        self._asked = trio.Event()
        self._running: trio.CancelScope | None = None
        self._threads = trio.CapacityLimiter(_MOST_HANGING)

    def obey(self, signals: Signals, process: str, end: Callable[[], object]) -> None:
        """Reload at SIGHUP. At the first SIGTERM or SIGINT stop reloading, notify the service
        manager and the log, and call ``end``. ``process`` names us in the last line if we are cut.
        """

        def stop(signal_name: str) -> None:
            if structlog.is_configured():
                log.info("stopping", signal=signal_name)
            self._notifier.stopping()
            self.cancel()
            end()

        signals.forward_to(end=stop, reload=self.ask, cut=self._output.last_words(process))

    def ask(self) -> None:
        """Reload, after shortening the reload that is under way, if any."""
        self._asked.set()
        if self._running is not None:
            soon = trio.current_time() + _SUPERSEDED_S
            self._running.deadline = min(self._running.deadline, soon)

    def cancel(self) -> None:
        """Cancel what is under way, including the start, and stop reloading."""
        self._starting.cancel()
        self._scope.cancel()

    async def start(self) -> Runtime | None:
        """Load the configuration for the first time and set up the log; None if cancelled.

        Raises :class:`ConfigError`.
        """
        loaded: tuple[Runtime, BinaryIO] | None = None
        with self._starting:
            loaded = await trio.to_thread.run_sync(
                load, self._path, self._read, abandon_on_cancel=True
            )
        if loaded is None:
            return None
        runtime, out = loaded
        self._output.use(runtime.config.log, out)
        return runtime

    async def run(self, settings: Settings, ready: Callable[[], bool]) -> None:
        """Reload ``settings`` when asked, until cancelled.

        The service manager is notified if ``ready``: once the daemon serves.
        """
        with self._scope:
            while True:
                await self._asked.wait()
                self._asked = trio.Event()
                if ready():
                    self._notifier.reloading()
                with trio.move_on_after(_PATIENCE_S) as self._running:
                    self._done(await self._reload(settings))
                if self._running.cancelled_caught:
                    why = "what it names may be a pipe or a dead disk"
                    if self._asked.is_set():
                        why = "another reload was asked for, and follows"
                    problem = f"{self._path}: expected to be read in time, was not: {why}"
                    log.error("reload_rejected", errors=[problem])
                    self._done(False)
                self._running = None
                if ready():
                    self._notifier.ready(f"reloaded, {settings.current.forecaster.name}")

    async def _reload(self, settings: Settings) -> bool:
        old = settings.given
        try:
            # In a thread: the stages go on while files are read and a model is tested.
            new, out = await trio.to_thread.run_sync(
                load, self._path, self._read, abandon_on_cancel=True, limiter=self._threads
            )
        except ConfigError as error:
            await self._reopen_log(old.config.log)
            log.error("reload_rejected", errors=error.problems)  # noqa: TRY400 - they say it all
            return False
        except Exception as error:  # no memory, no thread: no reload is worth what runs
            log.exception("reload_rejected", errors=[f"{self._path}: not read: {error!r}"])
            return False
        self._output.use(new.config.log, out)
        changes = differences(old.config, new.config)
        if old.forecaster.name != new.forecaster.name:
            changes["model"] = {"old": old.forecaster.name, "new": new.forecaster.name}
        settings.replace(new)
        log.info("reloaded", changes=changes)
        return True

    async def _reopen_log(self, in_force: Log) -> None:
        """The signal may be logrotate's, which knows nothing of a file that is faulty by now. Where
        the log cannot be opened, it stays where it is."""
        with contextlib.suppress(OSError):
            out = await trio.to_thread.run_sync(
                open_output, in_force, abandon_on_cancel=True, limiter=self._threads
            )
            self._output.use(in_force, out)


def load(path: Path | None, read: Read) -> tuple[Runtime, BinaryIO]:
    """Load and check the configuration, and open the log that it names. Blocks.

    Raises :class:`ConfigError` with every problem.
    """
    runtime = read(path)
    try:
        return runtime, open_output(runtime.config.log)
    except OSError as error:
        raise ConfigError([f"{path}: log.file: expected a file to write, was: {error}"]) from None
