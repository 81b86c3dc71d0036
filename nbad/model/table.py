"""A booster of a few columns as a table: the very numbers it predicts, looked up.

Trees only compare each column with their thresholds, so between two neighbouring thresholds of
every column they always say the same. A small booster has tens of such cells, or hundreds: what its
trees say of each is added up when the model is loaded, in their order, and then never again. For
the few rows of a tick that takes a tenth of the time of a call into LightGBM, and a daemon starts
without the library (docs/performance.md).
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nbad.model.normal import Matrix
from nbad.model.trees import Tree, Trees, UnreadTreesError, read_trees
from nbad.model.unused_imports import without_unused

if TYPE_CHECKING:
    import lightgbm

# Of 8 bytes each. The bundled model has 27 cells.
_MOST_CELLS = 1_000_000
# Of a cell and a tree: some 0.2 s.
_MOST_SUMS = 100_000_000
_NEARLY_0 = 1e-30


class Scores(Protocol):
    """What a booster predicts (raw scores), of rows of so many ``columns``."""

    columns: int

    def __call__(self, rows: Matrix) -> Matrix:
        """The booster's raw scores of ``rows``, shape (rows, columns); shape (rows,)."""


def scores_of(text: str) -> Scores:
    """What predicts as the trees in LightGBM's ``text`` do; LightGBM itself where no table can.

    Raises ValueError where they are no trees at all, or need LightGBM and it is not installed.
    """
    try:
        return ScoreTable(read_trees(text))
    except UnreadTreesError:
        return _Asked(text)


class ScoreTable:
    """What ``trees`` predict, by cell."""

    def __init__(self, trees: Trees) -> None:
        """:class:`UnreadTreesError` where they are too large for a table."""
        self.columns = trees.columns
        found: list[set[float]] = [set() for _ in range(trees.columns)]
        for tree in trees.trees:
            for column, threshold in zip(tree.split_columns, tree.thresholds, strict=True):
                found[column].add(threshold)
        self._thresholds = [np.array(sorted(each)) for each in found]
        shape = [len(each) + 1 for each in self._thresholds]
        cells = math.prod(shape)
        if cells > _MOST_CELLS or cells * len(trees.trees) > _MOST_SUMS:
            raise UnreadTreesError(f"expected trees of at most {_MOST_CELLS} cells, were more")
        self._scores: Matrix = np.zeros(shape)
        for tree in trees.trees:
            self._add(tree)

    def __call__(self, rows: Matrix) -> Matrix:
        """As :class:`Scores` has it."""
        cell = tuple(
            thresholds.searchsorted(rows[:, column])
            for column, thresholds in enumerate(self._thresholds)
        )
        scores: Matrix = self._scores[cell]
        return scores

    def agrees_with(self, booster: lightgbm.Booster) -> bool:
        """Whether ``booster``, asked for a row of each cell, says the very same numbers."""
        rows = self._rows()
        asked = booster.predict(rows, raw_score=True, num_threads=1)
        return booster.num_feature() == self.columns and np.array_equal(self(rows), asked)

    def _rows(self) -> Matrix:
        # One of each cell; a threshold itself belongs to the cell below it.
        inside = [np.append(each, np.inf) for each in self._thresholds]
        # But LightGBM reads what is next to nothing as 0, and parts negatives from it just below.
        for each in inside:
            each[(each < 0) & (each > -_NEARLY_0)] = -_NEARLY_0
        return np.stack(np.meshgrid(*inside, indexing="ij"), axis=-1).reshape(-1, self.columns)

    def _add(self, tree: Tree) -> None:
        """Add what ``tree`` says: each of its leaves is a box of cells."""
        left = [(0, tuple((0, size) for size in self._scores.shape))]
        while left:
            node, box = left.pop()
            if node < 0 or not tree.thresholds:
                self._scores[tuple(slice(*edges) for edges in box)] += tree.leaves[~node]
                continue
            column = tree.split_columns[node]
            at = int(self._thresholds[column].searchsorted(tree.thresholds[node])) + 1
            first, last = box[column]
            for child, edges in (
                (tree.left[node], (first, min(at, last))),
                (tree.right[node], (max(at, first), last)),
            ):
                left.append((child, (*box[:column], edges, *box[column + 1 :])))


def lightgbm_or_none() -> ModuleType | None:
    """LightGBM, a library of 0.3 s that only training and such trees need; None where it, or the
    system's libgomp that it needs, is not installed."""
    try:
        import lightgbm
    except (ModuleNotFoundError, OSError):
        return None
    module: ModuleType = lightgbm
    return module


class _Asked:
    """LightGBM, asked for each tick."""

    def __init__(self, text: str) -> None:
        with without_unused():
            lightgbm = lightgbm_or_none()
        if lightgbm is None:
            raise ValueError(
                "trees that nbad does not read by itself, and no LightGBM to ask;"
                " pip install 'nbad[train]', and libgomp1 of the system"
            )
        try:
            self._booster = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(str(error)) from None
        self.columns = self._booster.num_feature()

    def __call__(self, rows: Matrix) -> Matrix:
        # One thread: on a busy machine LightGBM's default is 8 times slower for few rows.
        return np.asarray(self._booster.predict(rows, raw_score=True, num_threads=1))
