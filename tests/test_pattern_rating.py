"""Ratings: regressed early, surer with results, carried over the summer, learnt once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from nbad.domain import Result
from nbad.pattern.calendar import game_day
from nbad.pattern.players import GameLines
from nbad.pattern.rating import (
    HOME_POINTS,
    TIRED_POINTS,
    UNKNOWN_FIVES_SD,
    Ratings,
)
from nbad.pattern.tracker import PlayedGame, RatingsTracker


def result(number: int, home: int, away: int, margin: int, year: str = "25") -> Result:
    start = f"2025-11-{number // 4 + 1:02}T23:30:00Z"
    return Result(f"002{year}{number:05}", start, home, away, 110 + margin, 110)


def league(count: int) -> list[Result]:
    """Four teams in turn, of which team 1 wins by 12 at home and by 6 away."""
    pairs = [(1, 2), (3, 4), (4, 1), (2, 3), (1, 3), (4, 2)]
    margins = {(1, 2): 12, (4, 1): -6, (1, 3): 12}
    return [result(n, *pairs[n % 6], margins.get(pairs[n % 6], 3)) for n in range(count)]


def rated(results: list[Result]) -> Ratings:
    ratings = Ratings()
    for one in results:
        ratings.learn(one)
    return ratings


def test_one_result_moves_little_and_many_move_all_the_way() -> None:
    first = rated(league(1)).expect(1, 2).margin - HOME_POINTS
    assert 0 < first < 4 < 12 - HOME_POINTS
    assert 9 < rated(league(96)).expect(1, 2).margin < 12


def test_doubt_falls_with_results() -> None:
    doubts = [rated(league(count)).expect(1, 2).margin_sd for count in (0, 6, 24, 96)]
    assert doubts == sorted(doubts, reverse=True)
    assert doubts[0] > 8 > 4.5 > doubts[-1] > UNKNOWN_FIVES_SD


def test_a_summer_regresses_to_the_mean() -> None:
    results = league(96)
    before = rated(results).expect(1, 2)
    later = rated([*results, result(0, 3, 4, 3, year="26")]).expect(1, 2)
    assert HOME_POINTS < later.margin < before.margin
    assert later.margin_sd > before.margin_sd


def test_the_covariance_stays_one() -> None:
    ratings = rated([*league(96), result(0, 3, 4, 3, year="26"), *league(40)])
    for kept in (ratings._margin._covariance, ratings._total._covariance):
        assert np.allclose(kept, kept.T)
        assert np.linalg.eigvalsh(kept).min() > 0


def test_who_played_the_night_before_is_tired() -> None:
    ratings = Ratings()
    ratings.learn(result(0, 1, 2, 3), day=50)
    fresh = ratings.expect(1, 3, day=53).margin
    assert ratings.expect(1, 3, day=51).margin == pytest.approx(fresh - TIRED_POINTS)
    rested = ratings.expect(3, 1, day=53).margin
    assert ratings.expect(3, 1, day=51).margin == pytest.approx(rested + TIRED_POINTS)
    assert ratings.expect(1, 2, day=51).margin == ratings.expect(1, 2, day=53).margin
    assert ratings.expect(1, 3, day=None).margin == fresh


def test_a_day_is_americas() -> None:
    late = game_day("2026-01-02T03:30:00Z")  # half past ten at night in New York
    assert late == game_day("2026-01-01T17:00:00Z") == game_day("2026-01-01T12:00:00-05:00")
    assert game_day("2026-01-02T17:00:00Z") == (late or 0) + 1
    assert game_day("") is game_day("tomorrow") is None


def test_ratings_kept_say_what_they_said() -> None:
    lines = GameLines(
        (1, 2, 3, 4, 5), (6, 7, 8, 9, 10), {1: (1, (30.0, 9.0, 4.0, 1.0, 0.0, 2.0, 3.0))}
    )
    ratings = rated(league(60))
    ratings.learn(result(60, 1, 2, 9), day=739_000, lines=lines)
    kept = Ratings.from_json(orjson.loads(orjson.dumps(ratings.to_json())))
    for home, away in ((1, 2), (3, 4), (4, 9)):
        before, after = ratings.expect(home, away, 739_001), kept.expect(home, away, 739_001)
        assert after.margin == pytest.approx(before.margin, abs=1e-4)
        assert after.margin_sd == pytest.approx(before.margin_sd, abs=1e-4)
        assert after.total == pytest.approx(before.total, abs=1e-4)
    # What was kept once is kept the same again, and counts no game twice.
    assert kept.to_json() == Ratings.from_json(kept.to_json()).to_json()
    assert kept.learnt == ratings.learnt
    again = RatingsTracker(kept, [PlayedGame(result(0, 1, 2, 40))])
    assert again.expect(1, 2, "2026-01-01T00:00:00Z").margin == kept.expect(1, 2, None).margin


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: kept["margin"]["mean"].pop(),
        lambda kept: kept["margin"]["covariance"][0].__setitem__(0, float("nan")),
        lambda kept: kept["players"]["players"]["1"].pop(),
        lambda kept: kept.pop("season"),
        lambda kept: kept.update(total=None),
    ],
)
def test_ratings_that_cannot_be_read_are_refused(spoil: Callable[[dict[str, Any]], object]) -> None:
    lines = GameLines(lines={1: (1, (30.0, 9.0, 4.0, 1.0, 0.0, 2.0, 3.0))})
    ratings = rated(league(6))
    ratings.learn(result(7, 1, 2, 3), lines=lines)
    kept = ratings.to_json()
    spoil(kept)
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        Ratings.from_json(kept)


def test_a_team_whose_best_player_does_not_start_is_expected_to_score_less() -> None:
    star = (30.0, 9.0, 5.0, 2.0, 1.0, 3.0, 2.0)
    plain = (8.0, 5.0, 4.0, 0.5, 0.2, 1.0, 2.0)
    five, other = (11, 12, 13, 14, 15), (21, 22, 23, 24, 25)
    lines = GameLines(five, other, {p: (1, star if p == 11 else plain) for p in five})
    ratings = Ratings()
    for number in range(20):
        ratings.learn(result(number, 1, 2, 5), lines=lines)
    usual = ratings.expect(1, 2, fives=(five, other))
    without = ratings.expect(1, 2, fives=((16, *five[1:]), other))
    assert usual.margin - without.margin > 3
    # Where nobody says who starts, it is who started last, and there is more doubt.
    untold = ratings.expect(1, 2)
    assert untold.margin == pytest.approx(usual.margin)
    assert untold.margin_sd > usual.margin_sd
    # What the others are beside their team's strength is not forgotten with him: he is back.
    ratings.learn(result(21, 1, 2, -9), lines=replace(lines, home_five=(16, *five[1:]), lines={}))
    assert ratings.expect(1, 2, fives=(five, other)).margin > without.margin


def test_the_bubble_has_no_home() -> None:
    ratings = rated(league(24))
    there, here = ratings.expect(1, 2, court=0.0).margin, ratings.expect(1, 2).margin
    assert here - there == pytest.approx(ratings._margin.common)
    assert ratings.expect(1, 2, court=0.0).margin == pytest.approx(
        -ratings.expect(2, 1, court=0.0).margin
    )


def test_the_table_is_best_first_about_the_mean() -> None:
    table = rated(league(96)).table()
    assert [team.points for team in table] == sorted((t.points for t in table), reverse=True)
    assert table[0].team_id == 1
    assert sum(team.points for team in table) == pytest.approx(0.0)
    assert all(0 < team.sd < 6 for team in table)
