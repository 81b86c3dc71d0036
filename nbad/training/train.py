"""Training: fits by whole games, and the folder that the daemon loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from nbad.model.forecaster import FACTS, TREES, Forecaster, Matrix
from nbad.model.proof import fingerprints
from nbad.training.fit import ROUNDS, fit
from nbad.training.recorded import RecordedGame
from nbad.training.replay import Rows

FOLDS = 8


def folds_of(games: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Which fold each of ``games`` belongs to, at random, of even sizes."""
    return np.random.default_rng(seed).permutation(games) % FOLDS


def save(
    folder: Path, rows: Rows, games: Sequence[RecordedGame], seed: int, name: str
) -> dict[str, Any]:
    """Fit on all of ``rows`` and write what the daemon loads; the same input, the same bytes.

    Returns what was written to ``model.json``.
    """
    forecaster, booster = fit(rows, seed)
    trees = booster.model_to_string()
    facts = {
        "name": name, **forecaster.facts(), "seed": seed, "rounds": ROUNDS,
        "files": fingerprints({TREES: trees.encode()}),
        "trained_on": " ".join(game.game_id for game in games),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FACTS).write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    (folder / TREES).write_text(trees)
    return facts


def cross_validated(rows: Rows, seed: int) -> Matrix:
    """What the recipe says of every row when fitted on the other folds' games alone: the columns
    of a :class:`~nbad.model.forecaster.Distribution`, shape (5, rows)."""
    fold = folds_of(int(rows.game.max()) + 1, seed)[rows.game]
    parts = np.empty((5, len(rows.game)))
    for held in range(FOLDS):
        forecaster, _ = fit(rows[fold != held], seed)
        parts[:, fold == held] = as_array(forecaster, rows[fold == held])
    return parts


def as_array(forecaster: Forecaster, rows: Rows) -> Matrix:
    """A distribution's five columns, shape (5, rows)."""
    made = forecaster.distribution(rows.matrix)
    return np.array([made.home_win, made.margin, made.margin_sd, made.total, made.total_sd])
