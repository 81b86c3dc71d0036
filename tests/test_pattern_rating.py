"""Ratings: regressed early, surer with results, carried over the summer, learnt once."""

from __future__ import annotations

import numpy as np
import pytest

from nbad.domain import Result
from nbad.pattern import rating
from nbad.pattern.rating import (
    HOME_POINTS,
    TIRED_POINTS,
    WIN_POINTS,
    Ratings,
    RatingsTracker,
    game_day,
)


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
    # The average of what team 1 shows, and nearly all that its every win says beyond that.
    assert 10 < rated(league(96)).expect(1, 2).margin < 12 + WIN_POINTS


def test_a_win_says_more_than_its_margin() -> None:
    lost, won = (rated([result(0, 1, 2, margin)]).expect(1, 2).margin for margin in (-1, 1))
    more = rated([result(0, 1, 2, 3)]).expect(1, 2).margin
    assert won - lost == pytest.approx((2 + 2 * WIN_POINTS) / 2 * (more - won))


def test_doubt_falls_with_results() -> None:
    doubts = [rated(league(count)).expect(1, 2).margin_sd for count in (0, 6, 24, 96)]
    assert doubts == sorted(doubts, reverse=True)
    assert doubts[0] > 5.5 > 3 > doubts[-1] > 0


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
    assert ratings.expect(1, 3, day=51).margin == fresh - TIRED_POINTS
    assert ratings.expect(3, 1, day=51).margin == ratings.expect(3, 1, day=53).margin + TIRED_POINTS
    assert ratings.expect(1, 2, day=51).margin == ratings.expect(1, 2, day=53).margin
    assert ratings.expect(1, 3, day=None).margin == fresh


def test_a_day_is_americas() -> None:
    late = game_day("2026-01-02T03:30:00Z")  # half past ten at night in New York
    assert late == game_day("2026-01-01T17:00:00Z") == game_day("2026-01-01T12:00:00-05:00")
    assert game_day("2026-01-02T17:00:00Z") == (late or 0) + 1
    assert game_day("") is game_day("tomorrow") is None


def test_a_result_counts_once_its_game_is_surely_over() -> None:
    early, tonight = result(0, 1, 2, 30), result(1, 3, 4, 30)
    book = RatingsTracker([early, tonight])
    # Both tipped off at 23:30: two hours later neither may have moved what is expected.
    assert book.expect(1, 2, "2025-11-02T01:30:00Z") == RatingsTracker().expect(
        1, 2, "2025-11-02T01:30:00Z"
    )
    assert book.expect(1, 2, "2025-11-02T03:30:00Z").margin > HOME_POINTS


def test_a_book_learns_what_is_new_and_says_what_a_fresh_one_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = league(96)
    old = RatingsTracker(results[:80])
    old.before("2025-11-30T00:00:00Z")
    learnt: list[Result] = []
    learn = Ratings.learn

    def counted(self: Ratings, result: Result, day: int | None = None) -> None:
        learnt.append(result)
        learn(self, result, day)

    monkeypatch.setattr(rating.Ratings, "learn", counted)
    new = RatingsTracker(results, old)
    later = "2025-12-30T00:00:00Z"
    again = new.expect(1, 2, later)
    assert len(learnt) == 16
    assert again == RatingsTracker(results).expect(1, 2, later)
    # A result that was corrected is not what was learnt: everything after it is learnt anew.
    changed = [results[0], result(1, 3, 4, -40), *results[2:]]
    corrected = RatingsTracker(changed, new)
    assert corrected.expect(3, 4, later) == RatingsTracker(changed).expect(3, 4, later)
    assert corrected.expect(3, 4, later) != new.expect(3, 4, later)
