"""The log: one JSON object a line, or the same for people."""

from __future__ import annotations

import atexit
import io
import logging
import os
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson
import stamina
import structlog

from nbad.observe.sink import Sink
from nbad.settings.schema import Log

# How long an output that hangs may hold up the end.
LAST_LINES_S = 0.3

Count = Callable[[Mapping[str, Any]], None]

# Unbuffered: what is in the buffer of sys.stdout would be waited for at the end.
_STDOUT: BinaryIO = io.FileIO(1, "w", closefd=False)

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# syslog's numbers, by the logger's method.
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}


class Output:
    """Where the process logs to. One for a process, as structlog's configuration is."""

    def __init__(self, count: Count | None = None) -> None:
        """``count`` is told of each event that is written."""
        self._count = count
        self._sink: Sink | None = None

    def use(self, log: Log, out: BinaryIO) -> None:
        """Write events from now on to ``out``, as ``log`` says. What was taken is still written to
        where it went before."""
        old = self._sink
        if old is None or old.out is not out:
            self._sink = Sink(out, _tell_lost)
            if old is not None:
                old.close()
        assert self._sink is not None
        _configure(log, self._sink, self._count)

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


def _configure(log: Log, sink: Sink, count: Count | None) -> None:
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
            *([_with_priority] if sink.out is _STDOUT and to_journal(1) else []),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[log.level]),
        logger_factory=structlog.BytesLoggerFactory(sink),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,  # or a reload would not reach the loggers in use
    )
    # httpx and its kind log every request at info to the standard logger: ours say it better.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # The feed's client says itself that it retries, once where a hundred retries would say it.
    stamina.instrumentation.set_on_retry_hooks([])


def _tell_lost(lines: int) -> bytes:
    told = {"level": "error", "event": "log_lost", "lines": lines}
    return _dumps(_timestamp(None, "", told)) + b"\n"


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
