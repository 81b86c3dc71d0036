"""``nbad check``: what is in force, where it came from, and whether the feed answers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from daemon_kit import serving

from nbad.model.forecaster import BUNDLED, TREES

_NBAD = [sys.executable, "-m", "nbad"]


def check(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_NBAD, "check", *options], capture_output=True, text=True, check=False, timeout=60
    )


def test_it_shows_each_value_and_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "nbad.toml"
    path.write_text("[server]\nport = 9999\n")
    monkeypatch.setenv("NBAD_POLL__LIVE_INTERVAL_S", "2")
    done = check("--config", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"port = 9999  # {path}" in done.stdout
    assert "live_interval_s = 2.0  # NBAD_POLL__LIVE_INTERVAL_S" in done.stdout
    assert "queue = 8  # default" in done.stdout
    assert 'file = ""  # default' in done.stdout
    assert "http2 = false  # default" in done.stdout
    assert done.stdout.endswith(" loads\n")


def test_it_says_when_the_certificate_expires(tmp_path: Path) -> None:
    path, pem = tmp_path / "nbad.toml", tmp_path / "pem"
    path.write_text(f'[server]\ntls_cert = "{pem}"\n')
    for year, said in ((2020, "expired"), (2049, "expires")):
        issued = trustme.CA().issue_cert("nbad", not_after=datetime(year, 5, 1, 12, tzinfo=UTC))
        issued.private_key_and_cert_chain_pem.write_to_path(str(pem))
        done = check("--config", str(path))
        assert done.returncode == 0
        assert done.stdout.endswith(f"certificate {said} at {year}-05-01T12:00:00.000000Z\n")


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "nbad.toml"
    path.write_text('[log]\nfile = "/nowhere/nbad.log"\n')
    done = check("--config", str(path))
    assert done.returncode == 78
    assert f"{path}: log.file: expected a file to write, was '/nowhere/nbad.log': " in done.stderr


def test_a_model_that_was_not_copied_whole_is_told_in_words(tmp_path: Path) -> None:
    model = shutil.copytree(BUNDLED, tmp_path / "model")
    whole = (model / TREES).read_bytes()
    (model / TREES).write_bytes(whole[:500])
    path = tmp_path / "nbad.toml"
    path.write_text(f'[model]\npath = "{model}"\n')
    done = check("--config", str(path))
    assert done.returncode == 78
    assert done.stderr == (
        f"{path}: model.path: {model}/{TREES}: expected {len(whole)} bytes, was 500: "
        "it was not copied whole\n"
    )


@pytest.mark.slow
def test_it_tries_the_feed(tmp_path: Path) -> None:
    path = tmp_path / "nbad.toml"
    with serving("--games", "4") as urls:
        path.write_text(
            f'[feed]\nbase_url = "{urls[0]}"\nschedule_url = "{urls[1]}"\nretries = 0\n'
        )
        good = check("--config", str(path), "--network")
    assert (good.returncode, good.stderr) == (0, "")
    assert ": 4 games, 0 unreadable, " in good.stdout
    assert " plays, " in good.stdout
    assert " results, " in good.stdout

    gone = check("--config", str(path), "--network")
    assert gone.returncode == 69
    assert gone.stderr.startswith(f"nbad check: the feed: {urls[0]}/scoreboard/")
    assert len(gone.stderr.splitlines()) == 1
