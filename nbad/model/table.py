"""A booster of a few columns as a table: the very numbers it predicts, looked up.

Trees only compare each column with their thresholds, so between two neighbouring thresholds of
every column they always say the same. A small booster has tens of such cells, or hundreds: it is
asked once for each when the model is loaded, and then never again. For the few rows of a tick that
takes a tenth of the time of a call into LightGBM (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
# Of 8 bytes each. The bundled model has 27 cells.
_MOST_CELLS = 1_000_000
_NEARLY_0 = 1e-30


class ScoreTable:
    """What ``booster`` predicts (raw scores), by cell."""

    def __init__(self, booster: lightgbm.Booster) -> None:
        """``ValueError`` where the booster is no numeric trees, or too large for a table."""
        dumped = booster.dump_model()
        found: list[set[float]] = [set() for _ in range(booster.num_feature())]
        for tree in dumped["tree_info"]:
            for column, threshold in _splits(tree["tree_structure"]):
                found[column].add(threshold)
        self._thresholds = [np.array(sorted(each)) for each in found]
        shape = [len(each) + 1 for each in self._thresholds]
        cells = int(np.prod(shape, dtype=np.int64))
        if cells > _MOST_CELLS:
            raise ValueError(f"expected trees of at most {_MOST_CELLS} cells, was {cells}")
        # A threshold itself belongs to the cell below it.
        inside = [np.append(each, np.inf) for each in self._thresholds]
        # But LightGBM reads what is next to nothing as 0, and parts negatives from it just below.
        for each in inside:
            each[(each < 0) & (each > -_NEARLY_0)] = -_NEARLY_0
        rows = np.stack(np.meshgrid(*inside, indexing="ij"), axis=-1).reshape(cells, len(shape))
        # One thread: on a busy machine LightGBM's default is 8 times slower for few rows.
        scores = np.asarray(booster.predict(rows, raw_score=True, num_threads=1))
        self._scores: Matrix = scores.reshape(shape)

    def __call__(self, rows: Matrix) -> Matrix:
        """The booster's raw scores of ``rows``, shape (rows, columns); shape (rows,)."""
        cell = tuple(
            thresholds.searchsorted(rows[:, column])
            for column, thresholds in enumerate(self._thresholds)
        )
        scores: Matrix = self._scores[cell]
        return scores


def _splits(node: dict[str, Any]) -> Iterator[tuple[int, float]]:
    """The column and the threshold of every split of a tree."""
    if "split_feature" not in node:
        if "leaf_coeff" in node:
            raise ValueError("expected leaves of one number each, was linear trees")
        return
    if node["decision_type"] != "<=" or node["missing_type"] != "None":
        raise ValueError(f"expected splits of numbers, was {node['decision_type']}")
    yield node["split_feature"], node["threshold"]
    yield from _splits(node["left_child"])
    yield from _splits(node["right_child"])
