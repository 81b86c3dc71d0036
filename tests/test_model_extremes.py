"""Forecasts stay sane, monotone and exact at the end, also where no game has been."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nbad.domain import Forecast, Play
from nbad.feed.incremental import read
from nbad.model.forecaster import Forecaster
from nbad.pattern.features import FEATURES, INDEX
from nbad.pattern.history import GameHistory
from nbad.pattern.rating import Expectation
from nbad.simulator import simulate_night

Row = NDArray[np.float64]


@cache
def model() -> Forecaster:
    return Forecaster.load()


def state(remaining: float, differential: float, **values: float) -> Row:
    """A state of regulation of a game that scores as expected."""
    row = np.zeros(len(FEATURES))
    elapsed = 2880.0 - remaining
    total = values.get("expected_total", 226.0)
    known = {
        "remaining_s": remaining, "elapsed_s": elapsed, "differential": differential,
        "expected_total": total, "expected_margin_sd": 4.0, "points": round(total * elapsed / 2880),
        "pace": total / 2880,
    } | values  # fmt: skip
    for name, value in known.items():
        row[INDEX[name]] = value
    return row


def possible(
    remaining: float, differential: int, tempo: float, expected_total: float, **values: float
) -> Row:
    """A state of a game of any tempo; nobody leads by more than all that was scored."""
    points = round(tempo * expected_total * (2880.0 - remaining) / 2880.0)
    differential = min(max(differential, -points), points)
    return state(
        remaining, differential, expected_total=expected_total, points=points,
        pace=points / max(2880.0 - remaining, 1.0), **values,
    )  # fmt: skip


states = st.builds(
    possible,
    # The feed's clock ticks in hundredths of a second; at the horn a tie is another game.
    st.integers(1, 288_000).map(lambda hundredths: hundredths / 100),
    st.integers(-70, 70),
    tempo=st.floats(0.5, 1.6),
    expected_margin=st.floats(-25, 25),
    expected_margin_sd=st.floats(0.5, 7),
    expected_total=st.floats(150, 320),
    possession=st.sampled_from([-1.0, 0.0, 1.0]),
    swing_120=st.integers(-15, 15),
    swing_300=st.integers(-25, 25),
    overtime=st.sampled_from([0.0, 1.0]),
)


def one(row: Row) -> Forecast:
    return model().forecast(row[np.newaxis])[0]


@settings(max_examples=200, deadline=None)
@given(states)
def test_every_forecast_is_a_distribution(row: Row) -> None:
    said = one(row)
    assert 0 <= said.home_win <= 1
    for quantiles in (said.margin, said.total):
        values = (quantiles.p10, quantiles.p50, quantiles.p90)
        assert np.isfinite(values).all()
        assert quantiles.p10 <= quantiles.p50 <= quantiles.p90
        assert quantiles.p90 - quantiles.p10 < 90
    assert said.total.p50 >= row[INDEX["points"]] - 1e-9
    # One distribution says both: the margin's sign and its chance agree.
    assert (said.home_win - 0.5) * said.margin.p50 >= -1e-6
    assert (said.home_win >= 0.9) == (said.margin.p10 >= 0) or abs(said.home_win - 0.9) < 1e-4


@settings(max_examples=200, deadline=None)
@given(states, st.integers(1, 4), st.sampled_from([1, -1]))
def test_points_never_harm_the_side_that_made_them(row: Row, points: int, side: int) -> None:
    """A basket moves everything that the model sees of it, not the differential alone."""
    better = row.copy()
    better[INDEX["points"]] += points
    for name in ("differential", "swing_60", "swing_120", "swing_300"):
        better[INDEX[name]] += side * points
    before, after = one(row), one(better)
    assert side * (after.home_win - before.home_win) >= -1e-9
    # In the last seconds a likelier overtime also widens the margin, and its middle with that.
    if row[INDEX["remaining_s"]] > 10:
        assert side * (after.margin.p50 - before.margin.p50) >= -1e-9


@settings(max_examples=100, deadline=None)
@given(states, st.floats(0.1, 10))
def test_a_better_team_and_the_ball_never_harm(row: Row, margin: float) -> None:
    better = row.copy()
    better[INDEX["expected_margin"]] += margin
    assert one(better).home_win >= one(row).home_win - 1e-9
    ball, none = row.copy(), row.copy()
    ball[INDEX["possession"]], none[INDEX["possession"]] = 1.0, -1.0
    assert one(ball).home_win >= one(none).home_win - 1e-9


@given(st.integers(1, 60), st.sampled_from([2880.0, 3180.0, 3480.0]))
@settings(max_examples=30, deadline=None)
def test_the_end_is_the_score(lead: int, elapsed: float) -> None:
    for sign in (1, -1):
        row = state(0.0, sign * lead, elapsed_s=elapsed, points=211.0)
        assert 0 < one(row).home_win < 1  # nobody has said yet that it is over
        row[INDEX["over"]] = 1.0
        said = one(row)
        assert said.home_win == (1.0 if sign > 0 else 0.0)
        assert said.margin.p10 == said.margin.p50 == said.margin.p90 == sign * lead
        assert said.total.p10 == said.total.p50 == said.total.p90 == 211.0


@pytest.mark.parametrize("expected", [-12.0, 0.0, 3.0, 12.0])
def test_a_tie_at_the_buzzer_is_the_overtime_that_follows(expected: float) -> None:
    buzzer = one(state(0.0, 0, expected_margin=expected, points=200.0))
    tip = one(
        state(300.0, 0, expected_margin=expected, points=200.0, elapsed_s=2880.0, overtime=1.0)
    )
    assert buzzer.home_win == pytest.approx(tip.home_win, abs=0.02)
    assert 0.5 <= buzzer.home_win < 0.75 if expected >= 0 else 0.25 < buzzer.home_win < 0.5
    assert buzzer.total.p10 > 200
    # The last second before it already knows.
    close = one(state(0.05, 0, expected_margin=expected, points=200.0))
    assert close.home_win == pytest.approx(buzzer.home_win, abs=0.03)


def test_a_game_is_forecast_among_others_as_by_itself() -> None:
    """Where none is near its end, some of the arithmetic is left out."""
    rows = [
        state(remaining, differential, over=over)
        for remaining in (2880.0, 700.0, 10.0, 9.9, 0.4, 0.0)
        for differential in (-12.0, 0.0, 3.0)
        for over in (0.0, 1.0)
        if not over or (remaining == 0 and differential)
    ]
    assert model().forecast(np.array(rows)) == [model().forecast(row[None])[0] for row in rows]


def test_a_close_end_has_an_overtime_in_its_margin() -> None:
    for left in (1.0, 5.0, 24.0):
        tied, decided = one(state(left, 0)), one(state(left, 12))
        assert tied.margin.p90 - tied.margin.p10 > 5
        assert decided.margin.p90 - decided.margin.p10 < 6
        assert tied.total.p90 > tied.total.p50 + 5


def test_the_clock_decides_a_lead() -> None:
    wins = [one(state(left, 3)).home_win for left in (1200, 600, 120, 24, 5, 0.5)]
    assert wins == sorted(wins)
    assert wins[-1] > 0.999
    assert one(state(300.0, 25)).home_win > 0.9999
    assert 0.55 < one(state(2880.0, 0, expected_margin=3.0)).home_win < 0.65
    assert 0.9 < one(state(2880.0, 0, expected_margin=20.0)).home_win < 0.99


def test_a_season_that_scores_more_is_less_certain_of_a_lead() -> None:
    old, new = (one(state(1440.0, 10, expected_total=total)) for total in (200.0, 240.0))
    assert 0.7 < new.home_win < old.home_win
    assert new.margin.p90 - new.margin.p10 > old.margin.p90 - old.margin.p10


@cache
def plays() -> tuple[Play, ...]:
    night = simulate_night(1, 5)
    resource = night.play_by_play(night.game_ids[0], night.ends_at + 60)
    assert resource is not None
    return read(resource.body).plays


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(1, 60), st.sampled_from(["home", "away"]))
def test_points_in_a_game_that_is_played_never_harm(at: int, extra: int, side: str) -> None:
    """The same plays, of which the last gave one side more: through the pattern builder itself."""
    known = plays()[:at]
    more = known[-1]._replace(**{side: getattr(known[-1], side) + extra})
    wins = []
    for last in (known[-1], more):
        history = GameHistory(1, 2, Expectation(3.0, 220.0), 720.0)
        history.fold([*known[:-1], last])
        wins.append(one(np.array(history.current())).home_win)
    gain = wins[1] - wins[0] if side == "home" else wins[0] - wins[1]
    assert gain >= -1e-9


def test_both_sides_are_alike() -> None:
    """With nobody at home a state and its mirror are certain to one: the prior has no side."""
    alone = Forecaster("prior", model()._prior, model()._totals, None)
    for left, lead in itertools.product((2000.0, 600.0, 30.0), (1, 7, 20)):
        rows = np.array([state(left, lead, possession=1.0), state(left, -lead, possession=-1.0)])
        home, away = alone.forecast(rows)
        assert home.home_win + away.home_win == pytest.approx(1.0, abs=1e-6)
        assert home.margin.p50 == pytest.approx(-away.margin.p50, abs=1e-6)
