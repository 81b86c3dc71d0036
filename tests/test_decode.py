"""Numbers of the feed that no game has: refused where they are read, with the field's name."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbad.feed.decode import BadData, integer
from nbad.feed.playbyplay import parse_play
from nbad.feed.scoreboard import parse_scoreboard

ACTION = {
    "actionNumber": 7, "orderNumber": 70000, "period": 2, "clock": "PT07M11.25S",
    "scoreHome": "30", "scoreAway": "28", "actionType": "2pt", "teamId": 1610612738,
    "possession": 1610612738, "personId": 1628369,
}  # fmt: skip
ABSURD = [-1, 40_000, 10**17, "9" * 5000, "-3", 1e300, True, [], "١٢٣٤٥"]


@pytest.mark.parametrize("value", ABSURD, ids=lambda value: str(value)[:9])
@pytest.mark.parametrize("name", ["scoreHome", "scoreAway", "period"])
def test_an_absurd_number_of_a_play_is_named(name: str, value: Any) -> None:
    with pytest.raises(BadData, match=f"action 7: {name}: expected a whole number"):
        parse_play(ACTION | {name: value})


@pytest.mark.parametrize("value", ["9" * 5000, 1e300, 2**60, [1]], ids=lambda value: str(value)[:9])
@pytest.mark.parametrize("name", ["teamId", "possession", "personId"])
def test_an_absurd_id_is_named(name: str, value: Any) -> None:
    with pytest.raises(BadData, match=f"action 7: {name}: expected a whole number"):
        parse_play(ACTION | {name: value})


def test_an_absurd_game_of_the_board_is_skipped_and_the_others_are_not() -> None:
    side = {"teamId": 1, "teamTricode": "BOS", "score": 0}
    game = {
        "gameId": "0022500001", "gameStatus": 2, "period": 1, "gameClock": "PT10M00.00S",
        "gameTimeUTC": "2026-01-15T02:00:00Z", "homeTeam": side, "awayTeam": side,
    }  # fmt: skip
    bad = [game | {"period": "9" * 5000}, game | {"homeTeam": side | {"score": 40_000}}]
    body = orjson.dumps({"scoreboard": {"gameDate": "2026-01-14", "games": [*bad, game]}})
    board = parse_scoreboard(body)
    assert len(board.entries) == 1
    assert [skipped.split(":")[1].strip() for skipped in board.skipped] == ["period", "score"]


@given(st.one_of(st.integers(), st.text(), st.floats(), st.none(), st.booleans()))
def test_what_is_read_is_in_bounds_and_all_else_is_bad_data(value: Any) -> None:
    try:
        read = integer({"n": value}, "n", 999)
    except BadData:
        return
    assert 0 <= read <= 999
    assert read == int(value)
