"""The log: one JSON object a line, or the same for people."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson
import stamina
import structlog

from nbad.settings.schema import Log

Count = Callable[[Mapping[str, Any]], None]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# syslog's numbers, by the logger's method.
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}


def configure(log: Log, count: Count | None = None) -> None:
    """Write events from now on as ``log`` says; opens its file anew, so logrotate works.

    ``count`` is told of each event that is written.
    ``OSError`` where the file cannot be opened; then nothing changes.
    """
    out = log.file.open("ab", buffering=0) if log.file else sys.stdout.buffer
    renderer: Any = structlog.processors.JSONRenderer(serializer=_dumps)
    if log.format == "console":
        renderer = _Console()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            *([_counted(count)] if count else []),
            _timestamp,
            structlog.processors.ExceptionRenderer(),
            renderer,
            *([_with_priority] if out is sys.stdout.buffer and to_journal(1) else []),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[log.level]),
        logger_factory=structlog.BytesLoggerFactory(Sink(out)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,  # or a reload would not reach the loggers in use
    )
    # httpx and its kind log every request at info to the standard logger: ours say it better.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # The feed's client says itself that it retries, once where a hundred retries would say it.
    stamina.instrumentation.set_on_retry_hooks([])


class Sink:
    """A file that takes the log's lines whole, and never raises.

    A full disk must not end the daemon: lines that cannot be written are counted, and the event
    ``log_lost`` says how many once there is room again.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lost = 0
        self._torn = b""

    def write(self, line: bytes) -> None:
        """Write a line, which ends in a line break."""
        if self._lost:
            told = {"level": "error", "event": "log_lost", "lines": self._lost}
            notice = _dumps(_timestamp(None, "", told)) + b"\n"
            if not self._put(self._torn + notice):
                self._lost += 1
                return
            self._lost, self._torn = 0, b""
        if not self._put(line):
            self._lost = 1

    def flush(self) -> None:
        """Nothing is held back."""

    def _put(self, line: bytes) -> bool:
        written: int | None = 0
        try:
            written = self._out.write(line)
            self._out.flush()
        except OSError:
            return False
        if written == len(line):
            return True
        self._torn = b"\n"  # what was begun is ended before the next
        return False


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


def _counted(count: Count) -> structlog.typing.Processor:
    def tell(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        count(event)
        return event

    return tell


def _timestamp(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    rest = {key: value for key, value in event.items() if key not in ("level", "event")}
    return {
        "timestamp": now.replace("+00:00", "Z"),
        "level": event["level"],
        "event": event["event"],
        **rest,
    }


def _dumps(event: Mapping[str, Any], default: Any = str, **_: Any) -> bytes:
    return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS)


class _Console:
    """structlog's renderer for people, encoded: the log is written in bytes."""

    def __init__(self) -> None:
        self._render = structlog.dev.ConsoleRenderer(colors=False)

    def __call__(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> bytes:
        return str(self._render(logger, name, event)).encode()
