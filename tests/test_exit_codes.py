"""How a process that cannot go on says so."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from nbad.exit_codes import FAILED, USAGE, crash, end


def failure(cause: Exception) -> BaseExceptionGroup:
    return BaseExceptionGroup("of a nursery", [cause])


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (MemoryError(), "out of memory"),
        (KeyError("x"), "a bug: KeyError('x')"),
    ],
)
def test_a_crash_is_logged_with_its_cause_and_said_in_a_line(
    cause: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    group = failure(cause)
    structlog.configure()
    with capture_logs() as events:
        assert crash("run", group, cause) == FAILED
    [event] = events
    assert (event["event"], event["log_level"], event["exc_info"]) == ("crashed", "critical", group)
    assert capsys.readouterr().err == f"nbad run: {said}; the log's event `crashed` tells more\n"


def test_before_there_is_a_log_the_traceback_is_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    structlog.reset_defaults()
    cause = MemoryError()
    assert crash("run", failure(cause), cause) == FAILED
    said = capsys.readouterr().err.splitlines()
    assert "MemoryError" in "\n".join(said[:-1])
    assert said[-1] == "nbad run: out of memory"


def test_a_systems_error_is_told_in_words_without_its_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = FileNotFoundError(2, "No such file or directory", "/nope")
    assert end("stats", USAGE, f"/nope: expected a log to read, was: {error}") == USAGE
    told = "nbad stats: /nope: expected a log to read, was: No such file or directory: '/nope'\n"
    assert capsys.readouterr().err == told
