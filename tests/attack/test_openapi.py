"""Schemathesis holds the HTTP side to its OpenAPI document, with a fresh seed each time."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from daemon_kit import Daemon, serving

SCHEMATHESIS = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
FAST = "[server]\nport = 0\n[http]\nport = 0\nmax_requests_per_s = 100000.0\n"


@pytest.mark.skipif(SCHEMATHESIS is None, reason="schemathesis is not installed: make dev")
@pytest.mark.slow
@pytest.mark.parametrize("examples", [1, pytest.param(6, marks=pytest.mark.soak)])
def test_every_answer_is_one_that_the_document_tells_of(examples: int, tmp_path: Path) -> None:
    assert SCHEMATHESIS is not None
    with serving("--games", "3", "--seed", "2", "--speed", "5") as urls:
        daemon = Daemon(tmp_path, *urls, server=FAST)
        daemon.wait_for("ready")
        document = f"http://127.0.0.1:{daemon.port('http')}/v1/openapi.json"
        # Random ones; by hand also --phases coverage, of the schema's edges, which takes minutes.
        options = ["--phases", "fuzzing", "--max-examples", str(examples), "--no-color"]
        told = subprocess.run(
            [SCHEMATHESIS, "run", document, *options, "--seed", str(time.time_ns() % 2**32)],
            cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stdout[-6000:]
        assert not daemon.events("http_failed")
        assert daemon.end() == 0
