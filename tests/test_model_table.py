"""The table of a booster says what LightGBM says, to the last bit."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import orjson
import pytest

from nbad.model.forecaster import BUNDLED, COLUMNS, FACTS, RATINGS, TREES, Forecaster, ModelError
from nbad.model.proof import fingerprints
from nbad.model.table import Scores, ScoreTable, scores_of
from nbad.model.trees import Tree, Trees, UnreadTreesError, read_trees


def table_of(booster: lightgbm.Booster) -> ScoreTable:
    return ScoreTable(read_trees(booster.model_to_string()))


def rows_about(booster: lightgbm.Booster, seed: int) -> np.ndarray:
    """Random rows, and rows at each threshold and the nearest numbers on both sides of it."""
    random = np.random.default_rng(seed)
    rows = [random.normal(0, 3, (2000, booster.num_feature()))]
    table = table_of(booster)
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
    assert (table_of(booster)(rows) == booster.predict(rows, raw_score=True)).all()
    assert table_of(booster).agrees_with(booster)
    assert not table_of(booster).agrees_with(grown(columns, seed=4))


def test_the_bundled_model_is_looked_up() -> None:
    booster = lightgbm.Booster(model_file=str(BUNDLED / TREES))
    rows = rows_about(booster, 2)
    assert rows.shape[1] == len(COLUMNS)
    assert (table_of(booster)(rows) == booster.predict(rows, raw_score=True)).all()


def test_trees_without_a_split_say_one_thing() -> None:
    data = lightgbm.Dataset(np.zeros((100, 2)), np.tile([0.0, 1.0, 1.0, 1.0], 25))
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(settings, data, num_boost_round=2)
    rows = np.random.default_rng(4).normal(0, 1, (10, 2))
    assert (table_of(booster)(rows) == booster.predict(rows, raw_score=True)).all()


def asked(scores: Scores, booster: lightgbm.Booster) -> None:
    """See that it is LightGBM that answers, and right."""
    rows = np.random.default_rng(5).normal(0, 3, (50, booster.num_feature()))
    assert not isinstance(scores, ScoreTable)
    assert scores.columns == booster.num_feature()
    assert (scores(rows) == booster.predict(rows, raw_score=True)).all()


def test_a_booster_too_large_for_a_table_is_asked_itself() -> None:
    booster = grown(6)
    with pytest.raises(UnreadTreesError, match="at most 1000000 cells, were more"):
        table_of(booster)
    asked(scores_of(booster.model_to_string()), booster)


@pytest.mark.parametrize(
    "more",
    [
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"linear_tree": True},
        {"max_cat_to_onehot": 1},
        {"zero_as_missing": True},
        {"objective": "multiclass", "num_class": 2},
    ],
    ids=["averaged", "linear", "categories", "zero is missing", "two sums"],
)
def test_trees_of_another_kind_are_read_by_lightgbm_alone(more: dict[str, object]) -> None:
    random = np.random.default_rng(3)
    known = random.integers(0, 6, (2000, 2)).astype(float)
    won = (known[:, 0] % 2 + random.normal(0, 0.3, 2000) > 0.5).astype(float)
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 4, **more}
    data = lightgbm.Dataset(
        known, won, categorical_feature=[0] if "max_cat_to_onehot" in more else []
    )
    booster = lightgbm.train(settings, data, num_boost_round=3)
    text = booster.model_to_string()
    with pytest.raises(UnreadTreesError):
        read_trees(text)
    if "num_class" not in more:  # which no model of nbad is
        asked(scores_of(text), booster)


TEXT = """tree
version=v4
num_class=1
num_tree_per_iteration=1
max_feature_idx=2

Tree=0
num_leaves=4
num_cat=0
split_feature=0 2 0
threshold=750.5 -0.5 570
decision_type=2 2 0
left_child=2 -2 -1
right_child=1 -3 -4
leaf_value=1 2 4 8
is_linear=0

end of trees
"""


def test_a_text_is_read_as_it_says() -> None:
    table = ScoreTable(read_trees(TEXT))
    rows = np.array([[500, 0, 0], [570, 0, 0], [600, 0, 0], [751, 0, -0.5], [751, 0, 0]], float)
    assert table(rows).tolist() == [1, 1, 8, 2, 4]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("left_child=2", "left_child=0"),  # a circle
        ("left_child=2 -2", "left_child=2 -3"),  # a leaf of two nodes
        ("num_leaves=4", "num_leaves=3"),
        ("split_feature=0", "split_feature=3"),
        ("split_feature=0", "split_feature=-1"),
        ("threshold=750.5", "threshold=x"),
        ("leaf_value=", "leaf_value=1 "),
        ("decision_type=2 2 0", "decision_type=2 2 8"),
        ("num_cat=0", "num_cat=1"),
        ("is_linear=0", "is_linear=1"),
        ("is_linear=0", ""),
        ("max_feature_idx=2", ""),
        ("version=v4", "version=v5"),
        ("version=v4", "version=v4\naverage_output"),
    ],
)
def test_a_text_that_is_not_understood_is_not_guessed_at(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(UnreadTreesError):
        read_trees(TEXT.replace(old, new, 1))


def test_more_cells_than_a_float_can_count_are_too_many() -> None:
    one = [Tree([column] * 7, [*map(float, range(7))], [], [], []) for column in range(400)]
    with pytest.raises(UnreadTreesError):
        ScoreTable(Trees(400, one))


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
