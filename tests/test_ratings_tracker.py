"""Results as they are learnt: once each, in the order of play, whoever tells them; and bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pattern_rating import league, result

from nbad.domain import Result
from nbad.model.forecaster import Forecaster
from nbad.pattern import tracker
from nbad.pattern.players import GameLines
from nbad.pattern.rating import HOME_POINTS, Ratings
from nbad.pattern.tracker import PlayedGame, RatingsTracker

LATER = "2025-12-30T00:00:00Z"
STAR = GameLines(
    (11, 12, 13, 14, 15), (21, 22, 23, 24, 25), {11: (1, (40.0, 9.0, 9.0, 3.0, 2.0, 1.0, 1.0))}
)


def played(results: list[Result]) -> list[PlayedGame]:
    return [PlayedGame(one) for one in results]


def test_a_result_counts_once_its_game_is_surely_over() -> None:
    early, tonight = result(0, 1, 2, 30), result(1, 3, 4, 30)
    book = RatingsTracker(games=played([early, tonight]))
    # Both tipped off at 23:30: two hours later neither may have moved what is expected.
    assert book.expect(1, 2, "2025-11-02T01:30:00Z") == RatingsTracker().expect(
        1, 2, "2025-11-02T01:30:00Z"
    )
    assert book.expect(1, 2, "2025-11-02T03:30:00Z").margin > HOME_POINTS


def test_it_learns_what_is_new_and_says_what_a_fresh_one_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = league(96)
    book = RatingsTracker(games=played(results[:80]))
    book.before("2025-11-30T00:00:00Z")
    learnt: list[Result] = []
    learn = Ratings.learn

    def counted(self: Ratings, result: Result, *arguments: Any, **named: Any) -> None:
        learnt.append(result)
        learn(self, result, *arguments, **named)

    monkeypatch.setattr(Ratings, "learn", counted)
    assert book.hear(results)
    again = book.expect(1, 2, LATER)
    assert len(learnt) == 16
    assert again == RatingsTracker(games=played(results)).expect(1, 2, LATER)
    assert not book.hear(results)
    # A result that was corrected is not what was learnt: everything after it is learnt anew.
    changed = [results[0], result(1, 3, 4, -40), *results[2:]]
    before = book.expect(3, 4, LATER)
    assert book.hear(changed)
    assert book.expect(3, 4, LATER) == RatingsTracker(games=played(changed)).expect(3, 4, LATER)
    assert book.expect(3, 4, LATER) != before


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_in_whatever_order_it_is_told_it_rates_as_one_told_at_once(data: st.DataObject) -> None:
    results = league(24)
    book = RatingsTracker()
    known: dict[str, PlayedGame] = {}
    for number in data.draw(st.permutations(range(24))):
        one = results[number]
        lines = STAR if data.draw(st.booleans()) else None
        match data.draw(st.sampled_from(["schedule", "final", "wrong first", "taken back", "ask"])):
            case "schedule":
                book.hear([one])
                known[one.game_id] = PlayedGame(one)
            case "final":
                assert book.learn(PlayedGame(one, lines))
                known[one.game_id] = PlayedGame(one, lines)
            case "wrong first":
                book.learn(PlayedGame(replace(one, home_score=99), lines))
                book.learn(PlayedGame(one, lines))
                known[one.game_id] = PlayedGame(one, lines)
            case "taken back":
                book.learn(PlayedGame(one, lines))
                assert book.forget(one.game_id)
            case "ask":
                book.before(one.start_utc)
                book.newest()
    fresh = RatingsTracker(games=known.values())
    assert book.games == fresh.games
    for at in ("2025-11-03T23:30:00Z", LATER):
        assert book.expect(1, 2, at) == fresh.expect(1, 2, at)
    assert book.newest().to_json() == fresh.newest().to_json()


def test_a_final_is_learnt_at_once_and_the_schedule_adds_nothing_to_it() -> None:
    one = result(0, 1, 2, 30)
    book = RatingsTracker()
    assert book.learn(PlayedGame(one, STAR))
    assert not book.learn(PlayedGame(one, STAR))
    with_star = book.expect(1, 2, LATER)
    assert with_star.margin > RatingsTracker(games=played([one])).expect(1, 2, LATER).margin
    version = book.version
    assert not book.hear([one])
    assert book.version == version
    # The schedule's own start of it stands, and who played is kept.
    late = replace(one, start_utc="2025-11-01T23:40:00Z")
    assert book.hear([late])
    assert not book.learn(PlayedGame(one, STAR))
    assert book.games == (PlayedGame(late, STAR),)


def test_it_goes_on_from_the_models_ratings_and_learns_no_game_of_theirs_again() -> None:
    results = league(60)
    base = Ratings()
    for one in results[:40]:
        base.learn(one)
    book = RatingsTracker(base, played(results))
    assert book.learnt == 20
    old = replace(result(0, 1, 2, -50, year="24"), start_utc="2024-11-01T23:30:00Z")
    assert book.hear([old])  # of a season before the model's
    assert book.learnt == 20
    whole = RatingsTracker(games=played(results))
    assert book.start_from(Ratings())
    assert not book.start_from(book._base)
    assert book.learnt == 61
    assert book.forget(old.game_id)
    assert book.expect(1, 2, LATER) == whole.expect(1, 2, LATER)


def test_opening_night_is_no_blank() -> None:
    """Ratings carried over a summer: of the model's own data, and of what was learnt since."""
    model = Forecaster.load().ratings
    teams = [rated.team_id for rated in model.table()]
    book = RatingsTracker(model)
    opening = "2024-10-22T23:30:00Z"
    best_at_home = book.expect(teams[0], teams[-1], opening)
    assert best_at_home.margin > 7
    # Twelve points of every game of a season that the model has not seen.
    season = [
        Result(f"00224{n:05}", f"2024-11-{n // 4 + 1:02}T00:00:00Z", teams[-1], teams[0], 130, 100)
        for n in range(60)
    ]
    book.hear(season)
    assert book.learnt == 60
    turned = book.expect(teams[0], teams[-1], "2025-10-21T23:30:00Z")
    assert turned.margin < best_at_home.margin - 5
    assert turned.margin_sd > book.expect(teams[0], teams[-1], "2025-03-01T00:00:00Z").margin_sd


@pytest.mark.parametrize(
    "absurd",
    [
        replace(result(7, 1, 2, 30), game_id="0027000007"),
        replace(result(7, 1, 2, 30), start_utc="2099-01-01T00:00:00Z"),
        replace(result(7, 1, 2, 30), start_utc="yesterday"),
        replace(result(7, 1, 2, 30), start_utc=""),
    ],
)
def test_a_result_that_cannot_be_of_its_season_is_not_believed(absurd: Result) -> None:
    book = RatingsTracker(games=played(league(6)))
    before = book.newest().to_json()
    assert not book.hear([absurd])
    assert not book.learn(PlayedGame(absurd))
    assert book.newest().to_json() == before


def test_a_feed_of_ever_more_teams_and_games_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    book = RatingsTracker()
    book.hear(result(n, 2 * n, 2 * n + 1, 3) for n in range(100))
    assert len(book.games) == 32
    monkeypatch.setattr(tracker, "MOST_GAMES", 40)
    monkeypatch.setattr(tracker, "MOST_WITH_PLAYERS", 10)
    book = RatingsTracker()
    for one in league(96):
        book.learn(PlayedGame(one, STAR))
        book.before(one.start_utc)
    assert [game.result for game in book.games] == league(96)[-40:]
    assert [game.lines is not None for game in book.games] == [False] * 30 + [True] * 10
    assert len(book._kept) <= 12
