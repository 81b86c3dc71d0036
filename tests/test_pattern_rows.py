"""A short game worked out by hand: what the fold must say after each of its plays."""

from __future__ import annotations

import pytest

from nbad.domain import Play
from nbad.pattern.features import INDEX
from nbad.pattern.history import GameHistory
from nbad.pattern.rating import Expectation

HOME, AWAY = 1, 2


def play(number: int, period: int, clock_s: float, home: int, away: int, team: int = HOME) -> Play:
    return Play(
        number, number, period, clock_s, home, away, "3pt", "", team, team, "", "", ""
    )  # fmt: skip


# Game seconds elapsed, differential, points, run, lead changes, possession: as on a scoresheet.
WORKED = [
    (play(1, 1, 690.0, 3, 0), (30, 3, 3, 3, 0, -1)),
    (play(2, 1, 660.0, 3, 3, AWAY), (60, 0, 6, -3, 0, 1)),
    (play(3, 1, 600.0, 3, 6, AWAY), (120, -3, 9, -6, 1, 1)),
    # Recorded late: its clock says 1:30, when 2:00 were played. Time does not run back.
    (play(4, 1, 630.0, 6, 6), (120, 0, 12, 3, 1, -1)),
    (play(5, 1, 570.0, 9, 6), (150, 3, 15, 6, 2, -1)),
    # A miss scores nothing and keeps the run; the ball is still theirs until the rebound.
    (play(6, 1, 540.0, 9, 6), (180, 3, 15, 6, 2, 1)),
    (play(7, 2, 720.0, 9, 9, AWAY), (720, 0, 18, -3, 2, 1)),
]
NAMES = ("elapsed_s", "differential", "points", "run", "lead_changes", "possession")


def history() -> GameHistory:
    return GameHistory(HOME, AWAY, Expectation(3.0, 220.0), 720.0)


@pytest.mark.parametrize("many", range(1, len(WORKED) + 1))
def test_the_row_after_each_play(many: int) -> None:
    game = history()
    game.fold([played for played, _ in WORKED[:many]])
    row = game.current()
    assert tuple(row[INDEX[name]] for name in NAMES) == WORKED[many - 1][1]
    assert row[INDEX["remaining_s"]] == 2880 - row[INDEX["elapsed_s"]]


def test_the_moments_of_the_series_and_their_rows() -> None:
    points = history().fold([played for played, _ in WORKED])
    # Every 30 s before the last play, each once and in order; a play at the moment itself counts.
    assert [at for at, _ in points] == [30.0 * number for number in range(24)]
    differentials = [row[INDEX["differential"]] for _, row in points]
    assert differentials == [0, 3, 0, 0, 0, 3, *[3] * 18]
    assert [row[INDEX["elapsed_s"]] for _, row in points] == [at for at, _ in points]


def test_the_grid_and_the_swings_look_back_in_game_time() -> None:
    game = history()
    game.fold([played for played, _ in WORKED[:6]])
    row = game.current()
    # At 3:00 of the game: a point of the grid every 30 s, what was before tip-off is 0.
    assert list(game.grid()) == [*[0] * 17, 0, 3, 0, 0, 0, 3, 3]
    assert row[INDEX["swing_60"]] == 3 - 0  # 2:00: level, after the late play
    assert row[INDEX["swing_120"]] == 3 - 0  # 1:00: 3–3
    assert row[INDEX["swing_300"]] == 3 - 0  # before tip-off
