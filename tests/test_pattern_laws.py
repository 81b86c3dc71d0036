"""Folding in any chunks is folding all at once; the model is monotone and ends at the score."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbad.domain import BoardEntry, Play, Result, Status, Team
from nbad.feed.incremental import read
from nbad.model.forecaster import Forecaster, ModelError
from nbad.pattern.clock import elapsed_s, remaining_s
from nbad.pattern.features import FEATURES, INDEX
from nbad.pattern.history import GameHistory, Row
from nbad.pattern.rating import Expectation, Ratings
from nbad.pattern.tracker import PlayedGame, RatingsTracker
from nbad.simulator import simulate_night
from nbad.stages.patterns import Checkpoints


@cache
def plays() -> tuple[Play, ...]:
    night = simulate_night(1, 5)
    resource = night.play_by_play(night.game_ids[0], night.ends_at + 60)
    assert resource is not None
    return read(resource.body).plays


def history() -> GameHistory:
    return GameHistory(1, 2, Expectation(3.0, 220.0), 720.0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 600), max_size=12))
def test_any_chunks_fold_alike(cuts: list[int]) -> None:
    whole = history()
    expected = whole.fold(plays())
    chunked, points = history(), []
    bounds = [0, *sorted(min(cut, len(plays())) for cut in cuts), len(plays())]
    for start, end in itertools.pairwise(bounds):
        points += chunked.fold(plays()[start:end])
    assert [at for at, _ in points] == [at for at, _ in expected]
    assert points == expected
    assert chunked.current() == whole.current()
    assert chunked.folded == len(plays())


@pytest.mark.parametrize("status", [Status.FINAL, Status.HALFTIME])
def test_what_the_board_says_leaves_the_fold_as_it_is(status: Status) -> None:
    cut = next(n for n, p in enumerate(plays()) if p.period == 4 and p.clock_s < 100)
    line = BoardEntry(
        "0022500001", status, 4, 0.0, "2026-01-20T00:30:00Z",
        Team(1, "BOS", "Boston"), Team(2, "LAL", "Los Angeles"), 130, 90,
    )  # fmt: skip
    observed, never = history(), history()
    observed.fold(plays()[:cut])
    row = observed.observe(line).current()
    assert row[INDEX["differential"]] == 40
    assert row[INDEX["over"]] == (status is Status.FINAL)
    never.fold(plays()[:cut])
    rest = [history.fold(plays()[cut:]) for history in (observed, never)]
    assert rest[0] == rest[1]
    assert observed.current() == never.current()


def test_a_final_that_is_taken_back_is_in_play_again() -> None:
    def line(status: Status, clock_s: float) -> BoardEntry:
        return BoardEntry(
            "0022500001", status, 4, clock_s, "2026-01-20T00:30:00Z",
            Team(1, "BOS", "Boston"), Team(2, "LAL", "Los Angeles"), 99, 98,
        )  # fmt: skip

    game = history()
    game = game.observe(line(Status.FINAL, 0.5))
    assert game.current()[INDEX["over"]] == 1
    game = game.observe(line(Status.LIVE, 0.5))
    assert game.current()[INDEX["over"]] == 0
    assert game.current()[INDEX["remaining_s"]] == 0.5


def play(number: int, period: int, clock_s: float, home: int, away: int) -> Play:
    return Play(number, number, period, clock_s, home, away, "2pt", "", 1, 0, "", "", "")


END = Play(90, 90, 4, 0.0, 101, 100, "game", "end", 0, 0, "", "", "")


def told(plays: list[Play]) -> dict[str, float]:
    folded = history()
    folded.fold(plays)
    return dict(zip(FEATURES, folded.current(), strict=True))


@pytest.mark.parametrize(("period", "begins"), [(5, 2880.0), (6, 3180.0)])
def test_a_technical_before_an_overtime_decides_nothing(period: int, begins: float) -> None:
    # As in 0022100761 and 0022200749: a free throw at 5:00, on a clock where the last period ended.
    before = [play(1, period - 1, 0.0, 100, 100)]
    for late in ([], [play(3, period - 1, 0.0, 101, 100)]):
        now = told([*before, play(2, period, 300.0, 101, 100), *late])
        assert (now["elapsed_s"], now["remaining_s"], now["overtime"]) == (begins, 300.0, True)
    listed = BoardEntry(
        "0022500001", Status.LIVE, period, 300.0, None,
        Team(1, "BOS", "Boston"), Team(2, "LAL", "Los Angeles"), 101, 100,
    )  # fmt: skip
    observed = history()
    observed.fold(before)
    assert observed.observe(listed).current()[INDEX["remaining_s"]] == 300.0
    assert told([*before, play(2, period - 1, 0.0, 101, 100)])["remaining_s"] == 0.0


def test_a_game_that_went_on_after_its_end_is_on() -> None:
    before = [play(1, 4, 1.0, 101, 100), END]
    assert told(before)["over"]
    assert not told([*before, play(91, 4, 0.0, 101, 101)])["over"]  # a tie is not over
    folded = history()
    points = folded.fold([*before, play(91, 5, 200.0, 101, 103), play(92, 5, 100.0, 103, 103)])
    assert len(points) == 103
    assert not any(row[INDEX["over"]] for _, row in points)
    assert not folded.current()[INDEX["over"]]


def test_the_grid_is_the_differential_of_the_last_twelve_minutes() -> None:
    folded = history()
    for play in plays():
        folded.fold([play])
        now = max(elapsed_s(p.period, p.clock_s) for p in plays()[: folded.folded])
        for point, back in zip(folded.grid(), range(690, -1, -30), strict=True):
            if back == 0:
                assert point == play.home - play.away
            elif now - back < 0:
                assert point == 0


def test_every_feature_is_where_its_name_says() -> None:
    folded = history()
    seen: list[tuple[float, int]] = [(0.0, 0)]
    leader = changes = run = 0
    for play in plays():
        folded.fold([play])
        gained = play.home - play.away - seen[-1][1]
        if gained:
            run = run + gained if run * gained > 0 else gained
        seen.append((max(elapsed_s(play.period, play.clock_s), seen[-1][0]), play.home - play.away))
        sign = (seen[-1][1] > 0) - (seen[-1][1] < 0)
        changes += bool(sign and leader == -sign)
        leader = sign or leader
        now, ahead = seen[-1]
        over = play.kind == "game" and play.subkind == "end"

        def back(ago: float, now: float = now) -> float:
            # The slot of 5 s that lies so far back: what stood at its end.
            slot = int(now / 5) - int(ago / 5)
            return next((d for t, d in reversed(seen) if int(t / 5) <= slot), 0) if slot >= 0 else 0

        named = dict(zip(FEATURES, folded.current(), strict=True))
        assert named.pop("possession") in (-1, 0, 1)
        assert named == {
            "differential": ahead,
            "elapsed_s": now,
            "remaining_s": 0 if over else remaining_s(now),
            "period": min(now // 720 + 1, 4) if now < 2880 else 5,
            "overtime": now > 2880,
            "points": play.home + play.away,
            "pace": (play.home + play.away) / max(now, 1.0),
            **{f"swing_{window}": ahead - back(window) for window in (60, 120, 300)},
            "run": run,
            "lead_changes": changes,
            "expected_margin": 3.0,
            "expected_margin_sd": Expectation(3.0, 220.0).margin_sd,
            "expected_total": 220.0,
            "over": over,
        }


def test_the_clock_runs_through_overtime() -> None:
    assert elapsed_s(0, 0) == 0
    assert elapsed_s(5, 300.0) == 2880
    assert remaining_s(2880) == 0
    assert remaining_s(3000) == 180
    assert remaining_s(1440) == 1440


def state(**values: float) -> np.ndarray:
    row = np.zeros(len(FEATURES))
    for name, value in values.items():
        row[INDEX[name]] = value
    return row


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return Forecaster.load()


@pytest.mark.parametrize("remaining", [2880.0, 1440.0, 300.0, 24.0, 1.0])
def test_more_points_are_never_worse(forecaster: Forecaster, remaining: float) -> None:
    rows = np.array(
        [
            state(
                differential=d, remaining_s=remaining, elapsed_s=2880 - remaining,
                expected_total=220.0, pace=0.076, points=0.076 * (2880 - remaining),
            )
            for d in range(-50, 51)
        ]
    )  # fmt: skip
    wins = [forecast.home_win for forecast in forecaster.forecast(rows)]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(wins))
    assert wins[0] < 0.1
    assert wins[-1] > 0.9


def test_the_end_is_certain(forecaster: Forecaster) -> None:
    over = {"elapsed_s": 2880.0, "over": 1.0, "points": 201.0, "expected_total": 220.0}
    won, lost, tied = forecaster.forecast(
        np.array(
            [
                state(differential=3, **over),
                state(differential=-3, **over),
                state(differential=0, **over | {"over": 0.0, "points": 200.0}),
            ]
        )
    )
    assert (won.home_win, lost.home_win) == (1.0, 0.0)
    assert (won.margin.p10, won.margin.p90, won.total.p50) == (3.0, 3.0, 201.0)
    assert lost.margin.p50 == -3.0
    assert 0.3 < tied.home_win < 0.7
    assert tied.total.p10 > 200


def test_quantiles_are_in_order_and_agree_with_the_probability(forecaster: Forecaster) -> None:
    rows = np.array([row for _, row in history().fold(plays())])
    for forecast in forecaster.forecast(rows):
        for quantiles in (forecast.margin, forecast.total):
            assert quantiles.p10 <= quantiles.p50 <= quantiles.p90
        assert (forecast.home_win > 0.5) == (forecast.margin.p50 > 0)


def test_the_margin_of_a_side_that_leads_at_the_end_is_its_lead(forecaster: Forecaster) -> None:
    clocks = [10.0, 9.9, 1.1, 1.0, 0.5, 0.1]
    rows = [told([play(1, 4, left, 100, 99)]) for left in clocks]
    made = forecaster.forecast(np.array([list(row.values()) for row in rows]))
    for forecast in made[-2:]:
        assert abs(forecast.margin.p50 - 1) < 0.2
        assert forecast.margin.p90 < 2
    # It comes there without a step.
    for before, after in (made[:2], made[2:4]):
        assert abs(before.margin.p10 - after.margin.p10) < 0.2


def test_no_total_is_below_what_was_scored(forecaster: Forecaster) -> None:
    rows = [told([play(1, 4, left, 100, 98)]) for left in (60.0, 24.0, 5.0, 0.5, 0.0)]
    for forecast in forecaster.forecast(np.array([list(row.values()) for row in rows])):
        assert 198 <= forecast.total.p10 <= forecast.total.p50 <= forecast.total.p90


def rated(results: list[Result]) -> RatingsTracker:
    return RatingsTracker(games=map(PlayedGame, results))


def test_a_games_own_result_cannot_touch_its_features() -> None:
    before = [Result("0022500001", "2026-01-01T00:00:00Z", 1, 2, 100, 90)]
    own = Result("0022500002", "2026-01-02T00:00:00Z", 1, 2, 150, 50)
    later = Result("0022500003", "2026-01-03T00:00:00Z", 1, 2, 150, 50)
    start = own.start_utc
    expected = rated(before).before(start).expect(1, 2)
    assert rated([*before, own, later]).before(start).expect(1, 2) == expected
    assert expected.margin > Ratings().expect(1, 2).margin


def test_a_model_that_cannot_be_used_says_why(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=r"model\.json: expected a model made by"):
        Forecaster.load(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    (tmp_path / "home_win.txt").write_text("no trees")
    (tmp_path / "ratings.json").write_text("{}")
    with pytest.raises(ModelError, match="expected a model that loads"):
        Forecaster.load(tmp_path)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 600)), min_size=1, max_size=12))
def test_a_correction_folds_as_if_it_had_always_been_so(steps: list[tuple[int, int]]) -> None:
    """Each step: how many plays are as before, how many there are; those after are others."""
    fold = Checkpoints(history())
    told: list[tuple[float, Row]] = []
    said: tuple[Play, ...] = ()
    for number, (unchanged, length) in enumerate(steps):
        others = [play._replace(home=play.home + number) for play in plays()]
        kept = min(unchanged, len(said))
        said = (*said[:kept], *others[kept : max(length, kept)])
        still, completed = fold.take(said, kept)
        told = told[:still] + completed
        whole = history()
        assert told == whole.fold(said)
        assert fold.history.current() == whole.current()
        assert fold.history.folded == len(said)
