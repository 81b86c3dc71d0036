"""What each play did to the forecast: credited to the play's own side, at its own time."""

from __future__ import annotations

import csv
import io
import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from daemon_kit import Daemon, get, serving
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_http import http_url, valid
from test_pattern_laws import history, plays

from nbad.domain import Forecast
from nbad.model.forecaster import Forecaster
from nbad.model.swings import PlaySwings, Swings, work_out
from nbad.pattern.rating import Expectation
from nbad.stream.wire import PLAY_COLUMNS


@cache
def forecaster() -> Forecaster:
    return Forecaster.load()


def made() -> Swings:
    return Swings(history(), forecaster().forecast)


def test_a_basket_never_harms_the_side_that_made_it() -> None:
    swings = made().of(plays())
    before = (0, 0)
    baskets = 0
    for play, _, chance, forecast in swings:
        gained = (play.home - before[0]) - (play.away - before[1])
        before = play.home, play.away
        if gained:
            baskets += 1
            assert (forecast.home_win - chance) * gained >= 0, play
    assert baskets > 50


def test_a_play_with_which_the_fives_show_is_credited_with_itself_alone() -> None:
    shows = 40
    turned = history()
    turned.turn(shows, Expectation(margin=25.0))
    plain = made().of(plays())
    swings = Swings(turned, forecaster().forecast).of(plays())
    assert swings[: shows - 1] == plain[: shows - 1]
    swing, was = (
        one[shows - 1].forecast.home_win - one[shows - 1].home_win_before for one in (swings, plain)
    )
    assert abs(swing - was) < 0.02
    assert swings[shows - 1].home_win_before - plain[shows - 1].home_win_before > 0.2


def test_the_last_one_is_certain_and_the_clock_never_runs_back() -> None:
    swings = made().of(plays())
    assert len(swings) == len(plays())
    assert swings[-1].forecast.home_win == (plays()[-1].home > plays()[-1].away)
    assert all(one.elapsed_s <= other.elapsed_s for one, other in pairwise(swings))


def test_after_each_play_it_is_the_forecast_that_is_told_live() -> None:
    swings = made().of(plays())
    fold = history()
    for index in (0, 17, 140, len(plays()) - 1):
        fold.fold(plays()[fold.folded : index + 1])
        (told,) = forecaster().forecast(np.array([fold.current()]))
        assert swings[index].forecast == told


def test_several_games_are_asked_of_the_model_in_one_call_and_again_where_it_failed() -> None:
    calls: list[int] = []

    def forecast(matrix: NDArray[np.float64]) -> list[Forecast]:
        calls.append(len(matrix))
        if len(calls) == 2:
            raise ValueError("not now")
        return forecaster().forecast(matrix)

    games = [Swings(history(), forecast) for _ in range(3)]
    ends = (400, 17, 0)
    work_out([PlaySwings(game, plays()[:end]) for game, end in zip(games, ends, strict=True)])
    assert len(calls) == 1
    with pytest.raises(ValueError, match="not now"):
        work_out([PlaySwings(game, plays()[:410]) for game in games])
    work_out([PlaySwings(game, plays()[:420]) for game in games])
    assert len(calls) == 3
    assert [PlaySwings(game, plays()[:420])() for game in games] == [made().of(plays()[:420])] * 3
    assert len(calls) == 3


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 520), st.booleans()), max_size=5))
def test_asked_in_any_steps_and_corrected_it_is_as_if_asked_once(
    steps: list[tuple[int, bool]],
) -> None:
    kept = made()
    for count, corrected in steps:
        asked = plays()[:count]
        if corrected and asked:
            asked = (*asked[:-1], asked[-1]._replace(home=asked[-1].home + 2))
        assert kept.of(asked) == made().of(asked)


def test_the_plays_of_a_game_are_served_as_json_and_csv(tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "2", "--speed", "300") as urls:
        daemon = Daemon(tmp_path, *urls)
        url = http_url(daemon)
        game_id = json.loads(get(f"{url}/v1/games")[1])["games"][0]["game_id"]
        while len((told := json.loads(get(f"{url}/v1/games/{game_id}/plays")[1]))["plays"]) < 30:
            daemon.pause()
        valid("/v1/games/{game_id}/plays", told)
        status, body = get(f"{url}/v1/games/{game_id}/plays.csv")
        assert status == 200
        rows = list(csv.DictReader(io.StringIO(body.decode())))
        assert len(rows) >= len(told["plays"])
        assert set(rows[0]) == set(PLAY_COLUMNS)
        first = dict(zip(told["columns"], told["plays"][20], strict=True))
        again = next(row for row in rows if int(row["number"]) == first["number"])
        assert float(again["home_win"]) == first["home_win"]
        assert daemon.end() == 0
