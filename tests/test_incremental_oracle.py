"""The reader of play-by-plays beside json, dict and sorted, which share nothing with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbad.feed.decode import BadData
from nbad.feed.incremental import Reading, read

Told = tuple[int, int, int]


def action(number: int, order: int, home: int = 0) -> dict[str, Any]:
    return {
        "actionNumber": number, "clock": "PT05M00.00S", "period": 1, "actionType": "2pt",
        "orderNumber": order, "scoreHome": str(home), "scoreAway": "0", "edited": "",
    }  # fmt: skip


def document(actions: list[dict[str, Any]], spaced: bool = False) -> bytes:
    whole = {"meta": {"version": 1}, "game": {"gameId": "0022500001", "actions": actions}}
    return json.dumps(whole, separators=(", ", ": ") if spaced else (",", ":")).encode()


def told(body: bytes) -> list[Told]:
    """Number, order and score of each play, in order; of a number that comes twice the last."""
    last = {a["actionNumber"]: a for a in json.loads(body)["game"]["actions"]}
    inorder = sorted(last.values(), key=lambda a: (a["orderNumber"], a["actionNumber"]))
    return [(a["actionNumber"], a["orderNumber"], int(a["scoreHome"])) for a in inorder]


def plays(reading: Reading) -> list[Told]:
    return [(play.number, play.order, play.home) for play in reading.plays]


def read_all(*documents: list[dict[str, Any]]) -> None:
    """Read one after the other, each with what was read before: always what the oracle says."""
    last = None
    for actions in documents:
        body = document(actions)
        last = read(body, last)
        assert plays(last) == told(body)


# Few numbers and orders, so that they meet: a play said again, edited, or put in anywhere.
ACTIONS = st.builds(action, st.integers(1, 12), st.integers(1, 8), st.integers(0, 3))
EDITS = st.tuples(
    st.sampled_from(["append", "append", "replace", "insert", "delete", "cut"]),
    st.integers(0, 12),
    st.lists(ACTIONS, min_size=1, max_size=2),
)


@given(st.lists(ACTIONS, max_size=6), st.lists(EDITS, max_size=8), st.booleans())
def test_documents_that_follow_each_other_are_read_as_each_by_itself(
    actions: list[dict[str, Any]], edits: list[tuple[str, int, list[dict[str, Any]]]], spaced: bool
) -> None:
    last = read(document(actions, spaced))
    for edit, place, new in edits:
        if edit == "append":
            actions = actions + new
        elif edit == "replace":
            actions = actions[:place] + new[:1] + actions[place + 1 :]
        elif edit == "insert":
            actions = actions[:place] + new + actions[place:]
        elif edit == "delete":
            actions = actions[:place] + actions[place + 1 :]
        else:
            actions = actions[:place]
        body = document(actions, spaced)
        last = read(body, last)
        assert plays(last) == told(body)


def test_of_two_plays_with_one_order_the_lower_number_comes_first() -> None:
    first, second, third = action(1, 10), action(20, 20), action(7, 30)
    read_all([first, second, third], [first, second, action(7, 20)])


def test_a_play_said_again_after_two_more_documents_is_there_once() -> None:
    actions = [action(number, 10 * number) for number in range(1, 6)]
    read_all(actions[:3], actions[:4], actions, [*actions, action(2, 60, 2)])
    # The largest number is not the last one said.
    actions = [action(1, 10), action(100, 20), action(3, 30)]
    read_all(actions[:2], actions, [*actions, action(100, 60, 2)])


@pytest.mark.parametrize(
    "other",
    [
        b'{"game":{"gameId":"0022500001"},"x":{"actions":[%b]}}',
        b'{"x":{"gameId":"0022500001","actions":[%b]}}',
    ],
)
def test_a_list_of_another_object_is_not_the_games(other: bytes) -> None:
    alone = json.dumps(action(1, 10), separators=(",", ":")).encode()
    for last in (None, read(document([action(1, 10)]))):
        with pytest.raises(BadData):
            read(other % alone, last)
