"""The daemon does not pay for imports that it does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbad.model.unused_imports import UNUSED, without_unused


def test_run_imports_neither_lightgbm_nor_what_it_would_bring(tmp_path: Path) -> None:
    config = tmp_path / "nbad.toml"
    config.write_text("[unheard_of]\n")  # it ends at once, but with all imported
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nbad", "run", "--config", str(config)],
        capture_output=True, text=True, timeout=60, check=False, env=os.environ,
    )  # fmt: skip
    assert ended.returncode == 78
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert {"numpy", "trio", "nba_api.stats.static"} <= imported
    never = (*UNUSED, "lightgbm", "scipy")
    # A name is listed where an import of it failed, too; what it would import is not.
    imported.discard("rich.console")
    assert not [name for name in imported if name.startswith(tuple(f"{n}." for n in never))]


def test_what_is_hidden_can_be_imported_again_afterwards() -> None:
    before = dict(sys.modules)
    with without_unused(), pytest.raises(ImportError):
        __import__(next(name for name in UNUSED if name not in before))
    assert sys.modules == before
