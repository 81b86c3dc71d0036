"""A model proved before it is let in: its files are whole, and its trees load without harm.

LightGBM reads trees with C++ that trusts them: cut or garbled ones end the process that loads them.
So trees that are not the bundled ones are first loaded by a child process, with a bound on its time
and its memory. There LightGBM is asked, too, whether it says of every cell what their table does:
where a model is made, and wherever else it is installed.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

# A season's model has 13 KB of trees; one of 10,000 trees some 30 MB.
MOST_BYTES = 64 * 1024 * 1024
_PATIENCE_S = 30
_MOST_MEMORY = 2 * 1024 * 1024 * 1024
_REFUSED = 3


class UnprovedError(Exception):
    """A model that is not whole or does no good; the message says what was expected and found."""


def read(file: Path) -> bytes:
    """A file of a model. Raises OSError, and :class:`UnprovedError` where it is too large."""
    with file.open("rb") as source:
        content = source.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UnprovedError(f"{file}: expected at most {MOST_BYTES} bytes, was more")
    return content


def fingerprints(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What ``model.json`` says of the files beside it, by name."""
    return {
        name: {"bytes": len(content), "sha256": sha256(content).hexdigest()}
        for name, content in files.items()
    }


def check_whole(folder: Path, told: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Hold ``files`` to what ``model.json`` told of them, a model of old told nothing.

    Raises :class:`UnprovedError`.
    """
    found = fingerprints(files)
    for name, expected in told.items():
        was = found[name]
        if was["bytes"] != expected["bytes"]:
            raise UnprovedError(
                f"{folder}/{name}: expected {expected['bytes']} bytes, was {was['bytes']}:"
                " it was not copied whole"
            )
        if was["sha256"] != expected["sha256"]:
            raise UnprovedError(
                f"{folder}/{name}: expected the file that model.json is of, was another:"
                " it was changed, or is of another model"
            )


def try_in_child(folder: Path) -> None:
    """Have a child process load the model in ``folder`` and try it. Blocks.

    Raises :class:`UnprovedError` where it ends in any way but well.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "nbad.model.proof", str(folder.absolute())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        raise UnprovedError(
            f"{folder}: expected a model that loads, took more than {_PATIENCE_S} s"
        ) from None
    if done.returncode == _REFUSED:
        raise UnprovedError(done.stdout.decode(errors="replace"))
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise UnprovedError(
            f"{folder}: expected a model that loads, was broken: it ends what loads it ({name})"
        )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise UnprovedError(f"{folder}: expected a model that loads, was broken: {last}")


def _main(folder: str) -> int:
    """The child: load, and say why it cannot be used where that is known."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the daemon's threads have signals blocked
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_PATIENCE_S, _PATIENCE_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from nbad.model.unused_imports import without_unused

    with without_unused():
        from nbad.model.forecaster import TREES, Forecaster, ModelError
        from nbad.model.table import ScoreTable, lightgbm_or_none

        lightgbm = lightgbm_or_none()

    try:
        scores = Forecaster.load(Path(folder), proved=True).scores
    except ModelError as error:
        sys.stdout.write(str(error))
        return _REFUSED
    if lightgbm is None or not isinstance(scores, ScoreTable):
        return 0
    booster = lightgbm.Booster(model_file=str(Path(folder) / TREES))
    if not scores.agrees_with(booster):
        sys.stdout.write(f"{folder}/{TREES}: expected trees read as LightGBM does, were not")
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
