"""The table of a booster says what the booster says, to the last bit."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import orjson
import pytest

from nbad.model.forecaster import BUNDLED, COLUMNS, FACTS, RATINGS, TREES, Forecaster, ModelError
from nbad.model.proof import fingerprints
from nbad.model.table import ScoreTable


def rows_about(booster: lightgbm.Booster, seed: int) -> np.ndarray:
    """Random rows, and rows at each threshold and the nearest numbers on both sides of it."""
    random = np.random.default_rng(seed)
    rows = [random.normal(0, 3, (2000, booster.num_feature()))]
    table = ScoreTable(booster)
    for column, thresholds in enumerate(table._thresholds):
        for at in (thresholds, np.nextafter(thresholds, -np.inf), np.nextafter(thresholds, np.inf)):
            some = random.normal(0, 1, (len(at), booster.num_feature()))
            some[:, column] = at
            rows.append(some)
    return np.concatenate(rows)


def grown(columns: int, seed: int = 3) -> lightgbm.Booster:
    random = np.random.default_rng(seed)
    known = random.normal(0, 1, (3000, columns))
    won = (known.sum(axis=1) + random.normal(0, 1, 3000) > 0).astype(float)
    settings = {"objective": "binary", "num_leaves": 7, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(settings, lightgbm.Dataset(known, won), num_boost_round=12)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_it_says_what_the_booster_says(columns: int) -> None:
    booster = grown(columns)
    rows = rows_about(booster, 1)
    assert (ScoreTable(booster)(rows) == booster.predict(rows, raw_score=True)).all()


def test_the_bundled_model_is_looked_up() -> None:
    booster = lightgbm.Booster(model_file=str(BUNDLED / TREES))
    rows = rows_about(booster, 2)
    assert rows.shape[1] == len(COLUMNS)
    assert (ScoreTable(booster)(rows) == booster.predict(rows, raw_score=True)).all()


def test_trees_without_a_split_say_one_thing() -> None:
    data = lightgbm.Dataset(np.zeros((100, 2)), np.tile([0.0, 1.0, 1.0, 1.0], 25))
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(settings, data, num_boost_round=2)
    rows = np.random.default_rng(4).normal(0, 1, (10, 2))
    assert (ScoreTable(booster)(rows) == booster.predict(rows, raw_score=True)).all()


def test_a_booster_too_large_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="expected trees of at most 1000000 cells, was"):
        ScoreTable(grown(6))


@pytest.mark.parametrize("columns", [1, 4])
def test_trees_of_another_model_are_refused(columns: int, tmp_path: Path) -> None:
    trees = grown(columns).model_to_string()
    ratings = (BUNDLED / RATINGS).read_bytes()
    facts = orjson.loads((BUNDLED / FACTS).read_bytes())
    facts["files"] = fingerprints({TREES: trees.encode(), RATINGS: ratings})
    (tmp_path / FACTS).write_bytes(orjson.dumps(facts))
    (tmp_path / TREES).write_text(trees)
    (tmp_path / RATINGS).write_bytes(ratings)
    with pytest.raises(ModelError, match=rf"{TREES}: expected trees of 3 columns, was {columns}"):
        Forecaster.load(tmp_path)
