"""The trees of a booster, read from LightGBM's own text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# What may stand there for the sum of the trees' leaves to be all that the booster says.
_PLAIN = {"version": "v4", "num_class": "1", "num_tree_per_iteration": "1"}
# A comparison of numbers, none missing; whatever is missing goes to the right, or to the left.
_COMPARISONS = {"0", "2"}


class UnreadTreesError(ValueError):
    """Trees that are read by LightGBM alone."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Where a row's ``split_columns[node]`` is at most ``thresholds[node]``, ``left[node]`` is
    next, else ``right[node]``: a node, from 0, or the complement (``~``) of a leaf.
    """

    split_columns: list[int]
    thresholds: list[float]
    left: list[int]
    right: list[int]
    leaves: list[float]


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees over so many ``columns``: what they say of a row is the sum of its leaves."""

    columns: int
    trees: list[Tree]


def read_trees(text: str) -> Trees:
    """Read what :meth:`lightgbm.Booster.model_to_string` wrote. :class:`UnreadTreesError` where
    they are trees of another kind than comparisons of numbers, or no trees."""
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    facts = _facts(head)
    if {name: facts.get(name) for name in _PLAIN} != _PLAIN or "average_output" in head.split("\n"):
        raise UnreadTreesError("expected a booster of one sum of trees")
    try:
        columns = int(facts["max_feature_idx"]) + 1
        return Trees(columns, [_tree(_facts(block), columns) for block in blocks])
    except (KeyError, ValueError, IndexError) as error:
        raise UnreadTreesError(f"expected trees, was: {error!r}") from None


def _facts(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.split("\n") if "=" in line)


def _tree(facts: Mapping[str, str], columns: int) -> Tree:
    def numbers(name: str) -> list[str]:
        return facts.get(name, "").split()

    tree = Tree(
        [int(each) for each in numbers("split_feature")],
        [float(each) for each in numbers("threshold")],
        [int(each) for each in numbers("left_child")],
        [int(each) for each in numbers("right_child")],
        [float(each) for each in numbers("leaf_value")],
    )
    splits = int(facts["num_leaves"]) - 1
    lengths = {len(each) for each in (tree.split_columns, tree.thresholds, tree.left, tree.right)}
    if lengths != {splits} or len(tree.leaves) != splits + 1:
        raise ValueError("num_leaves")
    if facts["num_cat"] != "0" or facts["is_linear"] != "0":
        raise ValueError("num_cat, is_linear")
    if not set(numbers("decision_type")) <= _COMPARISONS:
        raise ValueError("decision_type")
    reached = sorted([*tree.left, *tree.right])
    # Each node but the first, and each leaf, comes after one node: the first leads to no circle.
    if splits and reached != [*range(-splits - 1, 0), *range(1, splits)]:
        raise ValueError("left_child, right_child")
    if not all(0 <= each < columns for each in tree.split_columns):
        raise ValueError("split_feature")
    return tree
