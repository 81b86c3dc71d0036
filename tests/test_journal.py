"""The priority that the journal is told, by a process whose standard output is the journal's."""

from __future__ import annotations

import os
import subprocess
import sys

_SCRIPT = """
import os
stat = os.fstat(1)
os.environ["JOURNAL_STREAM"] = os.environ.get("FAKE") or f"{stat.st_dev}:{stat.st_ino}"
import structlog
from nbad.settings.schema import Log
from nbad.observe import logs
logs.configure(Log())
log = structlog.get_logger()
log.info("one")
log.warning("two")
log.error("three")
log.critical("four")
"""


def told(**environ: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        capture_output=True, text=True, check=True, env={**os.environ, **environ},
    )  # fmt: skip
    return [line.partition("{")[0] for line in done.stdout.splitlines()]


def test_lines_for_the_journal_carry_their_priority() -> None:
    assert told() == ["<6>", "<4>", "<3>", "<2>"]


def test_lines_for_others_carry_none() -> None:
    assert told(FAKE="1:2") == [""] * 4
