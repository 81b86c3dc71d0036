"""A bug in reading one game of the board costs that game."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from feed_kit import ONE, TWO, entry

from nbad.domain import Listing
from nbad.feed import scoreboard


def test_the_games_behind_it_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = scoreboard.parse_listing

    def parse(game: Any) -> Listing:
        if game["gameId"] == ONE:
            raise RecursionError("a bug")
        return read(game)

    monkeypatch.setattr(scoreboard, "parse_listing", parse)
    board = orjson.dumps({"scoreboard": {"games": [entry(ONE), entry(TWO)]}})
    made = scoreboard.parse_scoreboard(board)
    assert [game.game_id for game in made.games] == [TWO]
    assert made.skipped == ((ONE, "a bug: RecursionError('a bug')"),)
