"""Two lists of plays compared, case by case: what is newer, what is older, and from where on."""

from __future__ import annotations

import pytest

from nbad.domain import Play
from nbad.feed.playbyplay import compare


def play(number: int, edited: str = "10:00:00", home: int = 0, order: int = 0) -> Play:
    order = order or 10 * number
    return Play(number, order, 1, 600.0, home, 0, "2pt", "", 1, 1, "", "", edited)


ONE, TWO, THREE = play(1), play(2, "10:00:05"), play(3, "10:00:09")


@pytest.mark.parametrize(
    ("known", "plays", "unchanged", "corrected", "older"),
    [
        ([], [ONE, TWO], 0, False, False),
        ([ONE, TWO], [ONE, TWO], 2, False, False),
        ([ONE], [ONE, TWO], 1, False, False),
        # An edit, be it in the very second of the one before.
        ([ONE, TWO], [ONE, play(2, "10:00:09", 2)], 1, True, False),
        ([ONE, TWO], [ONE, play(2, "10:00:05", 2)], 1, True, False),
        # As it was before its last edit: a state from before.
        ([ONE, TWO], [ONE, play(2, "10:00:04", 2)], 1, True, True),
        # The newest is gone: a state from before, or taken back; only time tells.
        ([ONE, TWO, THREE], [ONE, TWO], 2, True, True),
        # One in the middle is gone, the newest is there: taken back.
        ([ONE, TWO, THREE], [ONE, THREE], 1, True, False),
        # Put in before what is known.
        ([ONE, THREE], [ONE, TWO, THREE], 1, True, False),
        # The newest is gone, and another has come.
        ([ONE, TWO], [ONE, THREE], 1, True, False),
        ([ONE, TWO], [], 0, True, True),
    ],
)
def test_how_a_document_stands_to_the_one_before(
    known: list[Play], plays: list[Play], unchanged: int, corrected: bool, older: bool
) -> None:
    judged = compare(tuple(known), tuple(plays))
    assert (judged.unchanged, judged.corrected, judged.older) == (unchanged, corrected, older)
