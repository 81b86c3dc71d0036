"""A model that is cut, garbled or endless is refused in words, and ends nobody but a child."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from daemon_kit import Daemon, serving

from nbad.model import proof
from nbad.model.forecaster import BUNDLED, TREES, Forecaster, ModelError

WHOLE = (BUNDLED / TREES).read_bytes()
CUT = WHOLE[: WHOLE.index(b"leaf_value") + 30]


def make(folder: Path, trees: bytes, *, told: bool = True, sealed: bool = False) -> Path:
    """A model of these trees; ``told``: model.json says what they should be, ``sealed``: are."""
    shutil.copytree(BUNDLED, folder, dirs_exist_ok=True)
    (folder / TREES).write_bytes(trees)
    facts = orjson.loads((folder / "model.json").read_bytes())
    if sealed:
        facts["files"] = proof.fingerprints({TREES: trees})
    elif not told:
        del facts["files"]
    (folder / "model.json").write_bytes(orjson.dumps(facts))
    return folder


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(folder: Path) -> None:
        raise AssertionError("a child was started")

    monkeypatch.setattr("nbad.model.forecaster.try_in_child", forbid)


@pytest.mark.usefixtures("no_child")
def test_the_bundled_one_is_known_and_costs_no_child(tmp_path: Path) -> None:
    for folder in (None, make(tmp_path, WHOLE)):
        assert Forecaster.load(folder).name.startswith("nbad-")


@pytest.mark.usefixtures("no_child")
def test_one_cut_anywhere_is_told_by_its_length(tmp_path: Path) -> None:
    for size in range(0, len(WHOLE), 500):
        with pytest.raises(
            ModelError, match=f"expected {len(WHOLE)} bytes, was {size}: it was not"
        ):
            Forecaster.load(make(tmp_path, WHOLE[:size]))


@pytest.mark.usefixtures("no_child")
def test_one_changed_byte_is_told_by_the_digest(tmp_path: Path) -> None:
    for at in range(0, len(WHOLE), 1000):
        changed = WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :]
        with pytest.raises(ModelError, match="was another: it was changed"):
            Forecaster.load(make(tmp_path, changed))


@pytest.mark.parametrize(
    ("trees", "sealed"),
    [
        (CUT, True),
        (CUT, False),
        (WHOLE.replace(b"num_leaves=", b"num_leaves=-"), True),
        (b"\xff" * 99, False),
    ],
    ids=["cut, and sealed so", "cut", "negative", "no text"],
)
def test_one_that_would_end_what_loads_it_ends_a_child(
    tmp_path: Path, trees: bytes, sealed: bool
) -> None:
    make(tmp_path, trees, told=False, sealed=sealed)
    with pytest.raises(ModelError, match=f"{tmp_path}: expected a model that loads, was broken"):
        Forecaster.load(tmp_path)


def test_one_that_lightgbm_reads_otherwise_is_refused(tmp_path: Path) -> None:
    """Where Python reads 1, in the first column's place."""
    trees = re.sub(rb"(?<=split_feature=)\d+", b"0_1", WHOLE, count=1)
    with pytest.raises(ModelError, match="expected trees read as LightGBM does, were not"):
        Forecaster.load(make(tmp_path, trees, sealed=True))


def test_one_made_anew_is_let_in(tmp_path: Path) -> None:
    assert Forecaster.load(make(tmp_path, WHOLE + b"\n", sealed=True)).name.startswith("nbad-")


def test_one_that_takes_for_ever_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "_PATIENCE_S", 0.2)
    make(tmp_path, WHOLE + b"\n", told=False)
    with pytest.raises(ModelError, match=r"took more than 0\.2 s"):
        Forecaster.load(tmp_path)


def test_one_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, WHOLE)
    monkeypatch.setattr(proof, "MOST_BYTES", 13_000)
    with pytest.raises(ModelError, match="expected at most 13000 bytes, was more"):
        Forecaster.load(tmp_path)


def test_a_reload_with_one_that_aborts_changes_nothing(tmp_path: Path) -> None:
    mine = make(tmp_path / "mine", CUT, told=False)
    with serving("--games", "2", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        daemon.wait_for("ready")
        daemon.config.write_text(daemon.text + f'[model]\npath = "{mine}"\n')
        daemon.process.send_signal(signal.SIGHUP)
        (error,) = daemon.wait_for("reload_rejected")["errors"]
        assert f"model.path: {mine}: expected a model that loads" in error
        os.kill(daemon.process.pid, 0)
        assert daemon.end() == 0


@pytest.mark.parametrize(
    "missing",
    ["ModuleNotFoundError('No module', name='lightgbm')", "OSError('libgomp.so.1: cannot open')"],
)
def test_without_lightgbm_what_nbad_reads_by_itself_is_let_in(tmp_path: Path, missing: str) -> None:
    """As the core is installed: a model made elsewhere loads, one that needs LightGBM says so."""
    (tmp_path / "lightgbm.py").write_text(f"raise {missing}\n")
    environ = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}

    def check(trees: bytes) -> subprocess.CompletedProcess[str]:
        model = make(tmp_path / "mine", trees, sealed=True)
        return subprocess.run(
            [sys.executable, "-P", "-m", "nbad", "check"], text=True, capture_output=True,
            check=False, env=environ | {"NBAD_MODEL__PATH": str(model)},
        )  # fmt: skip

    assert "\nmodel nbad-" in check(WHOLE + b"\n").stdout
    refused = check(WHOLE.replace(b"is_linear=0", b"is_linear=1", 1))
    assert refused.returncode == 78
    assert refused.stderr.rstrip().endswith("pip install 'nbad[train]', and libgomp1 of the system")
    assert refused.stderr.count("\n") == 1
