"""The log: one JSON object a line, or the same for people."""

from __future__ import annotations

import atexit
import io
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, BinaryIO, Self

import orjson
import stamina
import structlog
from structlog.typing import Processor

from nbad.observe.sink import Sink
from nbad.settings.schema import Log

# How long an output that hangs may hold up the end.
LAST_LINES_S = 0.3

Count = Callable[[Mapping[str, Any]], None]

# Unbuffered: what is in the buffer of sys.stdout would be waited for at the end.
_STDOUT: BinaryIO = io.FileIO(1, "w", closefd=False)

_explain = structlog.processors.ExceptionRenderer()

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# syslog's numbers, by the logger's method.
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}


class Output:
    """Where the process logs to. One for a process, as structlog's configuration is."""

    def __init__(self, count: Count | None = None) -> None:
        """``count`` is told of each event that is written."""
        self._count = count
        self._sink: Sink | None = None
        # Those of all loggers, also of those that were bound before a reload: what they are still
        # to write goes where all else goes.
        self._logger = _Logger()
        self._processors: list[Processor] = []

    def use(self, log: Log, out: BinaryIO) -> None:
        """Write events from now on to ``out``, as ``log`` says. What was taken is still written to
        where it went before."""
        old = self._sink
        if old is None or old.out is not out:
            self._sink = self._logger.sink = Sink(out, _tell_lost)
            if old is not None:
                old.close()
        lines = _ConsoleLines if log.format == "console" else _Lines
        prefix = [_with_priority] if out is _STDOUT and to_journal(1) else []
        self._processors[:] = [lines(self._count), *prefix]
        structlog.configure(
            processors=self._processors,
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[log.level]),
            logger_factory=self._logger,
            cache_logger_on_first_use=False,  # or a changed level would not reach those in use
        )
        # httpx and its kind log every request at info to the standard logger: ours say it better.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        # The feed's client says itself that it retries, once where a hundred retries would say it.
        stamina.instrumentation.set_on_retry_hooks([])

    def last_words(self, service: str) -> Callable[[str, str], None]:
        """What tells, in another thread and as the very last, that ``service`` was cut, and why."""

        def tell(event: str, reason: str) -> None:
            if self._sink is None:
                return
            log = structlog.get_logger()
            if event == "aborted":
                log.warning("aborted", reason=reason)
            else:
                log.error("drain_cut", service=service, reason=reason)
            self._sink.drain(LAST_LINES_S)

        return tell

    def drain(self, seconds: float = LAST_LINES_S) -> None:
        """Wait until all is written, for ``seconds`` at most: right before an end."""
        if self._sink is not None:
            self._sink.drain(seconds)


def open_output(log: Log) -> BinaryIO:
    """What ``log`` is to be written to; its file opened anew: logrotate works. Raises OSError."""
    return log.file.open("ab", buffering=0) if log.file else _STDOUT


def configure(log: Log) -> Output:
    """Write events from now on as ``log`` says, and all of them before the process ends.

    ``OSError`` where its file cannot be opened.
    """
    output = Output()
    output.use(log, open_output(log))
    atexit.register(output.drain, 1.0)
    return output


class _Logger:
    """structlog's logger, and what makes it: whole lines go to the sink, which has its own lock."""

    sink: Sink

    def __init__(self) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.msg

    def __call__(self, *_: Any) -> Self:
        return self

    def msg(self, line: bytes) -> None:
        """Take a line, which ends in a line break."""
        self.sink.write(line)


class _Lines:
    """Makes an event a line of JSON: one processor, for five lines a tick go through it."""

    def __init__(self, count: Count | None) -> None:
        self._count = count
        self._second = -1
        self._shown_second = ""

    def __call__(self, logger: Any, level: str, event: MutableMapping[str, Any]) -> bytes:
        level = "error" if level == "exception" else level
        if "exc_info" in event:
            event = _explain(logger, level, event)
        what = event.pop("event")
        told = {"timestamp": self._now(), "level": level, "event": what, **event}
        if self._count is not None:
            self._count(told)
        return self._render(logger, level, told)

    def _render(self, _: Any, __: str, told: MutableMapping[str, Any]) -> bytes:
        return _dumps(told)

    def _now(self) -> str:
        """Now in RFC 3339, UTC, to the microsecond."""
        second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._second = second
            self._shown_second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._shown_second}.{nanoseconds // 1000:06}Z"


class _ConsoleLines(_Lines):
    """The same for people."""

    _shown = structlog.dev.ConsoleRenderer(colors=False)

    def _render(self, logger: Any, level: str, told: MutableMapping[str, Any]) -> bytes:
        return str(self._shown(logger, level, told)).encode() + b"\n"


def _tell_lost(lines: int) -> bytes:
    event = {"level": "error", "event": "log_lost", "lines": lines}
    return _Lines(None)(None, "error", event)


def to_journal(stream: int, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the descriptor ``stream`` is the journal's (systemd's ``JOURNAL_STREAM``)."""
    try:
        stat = os.fstat(stream)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def _with_priority(_: Any, level: str, line: Any) -> bytes:
    """The line with the prefix that the journal takes for its priority, and takes off."""
    return b"<%d>%b" % (_PRIORITIES.get(level, 6), line)


def _dumps(event: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a key within it that is no text, or a file's name that is not UTF-8
        return json.dumps(event, default=str, skipkeys=True).encode() + b"\n"
