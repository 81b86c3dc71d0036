"""A bug in reading one game of the board costs that game; a game is read once in the same words."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from feed_kit import ONE, TWO, entry
from hypothesis import given
from hypothesis import strategies as st

from nbad.domain import Listing, Scoreboard
from nbad.feed import scoreboard
from nbad.feed.decode import BadData


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


def board_of(games: list[Any], time: int = 0, spaced: bool = False) -> bytes:
    whole = {"meta": {"time": str(time)}, "scoreboard": {"leagueId": "00", "games": games}}
    return json.dumps(whole, separators=(", ", ": ") if spaced else (",", ":")).encode()


def outcome(body: bytes, last: Scoreboard | None) -> tuple[Any, Scoreboard | None]:
    """What is read, or why nothing is; and the board, the last one where there is none."""
    try:
        made = scoreboard.parse_scoreboard(body, last)
    except BadData as error:
        return str(error), last
    return made, made


ODD: list[Any] = [
    {}, {"period": True}, {"period": 1.0}, {"gameClock": None}, {"gameStatus": 9}, {"gameId": "x"},
    {"gameStatusText": 'a ",{"gameId" of words]}}'}, {"series": [{"gameId": ONE}, {"gameId": TWO}]},
    {"homeTeam": None}, {"gameStatusText": "PPD"},
]  # fmt: skip
GAMES = st.lists(
    st.builds(
        lambda game_id, points, odd: entry(game_id, score=(points, 0)) | odd,
        st.sampled_from([ONE, TWO]), st.integers(0, 2), st.sampled_from(ODD),
    ),
    max_size=4,
)  # fmt: skip


@given(st.lists(st.tuples(GAMES, st.booleans(), st.integers(0, 9)), max_size=6))
def test_a_board_read_after_another_is_read_as_by_itself(
    boards: list[tuple[list[Any], bool, int]],
) -> None:
    last: Scoreboard | None = None
    for time, (games, spaced, cut) in enumerate(boards):
        body = board_of(games, time, spaced)
        body = body if cut else body[: len(body) * 2 // 3] + b"]}}"
        whole, _ = outcome(body, None)
        after, last = outcome(body, last)
        assert after == whole


@pytest.mark.parametrize(
    "other",
    [
        b'{"meta":{"games":[%b]},"scoreboard":{"games":[]}}',
        b'{"scoreboard":{"games":[%b],"games":[]}}',
        b'{"scoreboard":{"games":[[%b]]}}',
        b'{"scoreboard":{"games":[%b]}} ',
        b'{"scoreboard":{"x":"\\"games\\":[","games":[%b]}}',
        b'{"games":[%b]}',
    ],
)
def test_what_only_looks_like_a_board_is_read_as_what_it_is(other: bytes) -> None:
    said = b",".join(orjson.dumps(entry(game_id)) for game_id in (ONE, TWO))
    last = scoreboard.parse_scoreboard(b'{"scoreboard":{"games":[%b]}}' % said)
    assert len(last.texts) == 2
    assert outcome(other % said, last)[0] == outcome(other % said, None)[0]


@pytest.mark.parametrize(
    "head", [b'{"night":{"games":[', b'{"x":[],"games":[', b'{"y":{"z":"games":[']
)
def test_games_of_something_else_are_no_board(head: bytes) -> None:
    with pytest.raises(BadData):
        scoreboard.parse_scoreboard(head + orjson.dumps(entry(ONE)) + b"]}}")


def test_only_a_game_that_is_said_otherwise_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read, parsed = scoreboard.parse_listing, []

    def parse(game: Any) -> Listing:
        parsed.append(game["gameId"])
        return read(game)

    monkeypatch.setattr(scoreboard, "parse_listing", parse)
    last = scoreboard.parse_scoreboard(board_of([entry(ONE), entry(TWO)], 1))
    parsed.clear()
    scoreboard.parse_scoreboard(board_of([entry(ONE), entry(TWO, score=(2, 0))], 2), last)
    assert parsed == [TWO]
