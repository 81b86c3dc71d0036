"""What a recording says beside the plays counts: its schedule rates, its odds expect."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nbad.cli.games import read_all
from nbad.feed.client import Arrival
from nbad.feed.odds import parse_odds
from nbad.feed.schedule import parse_schedule
from nbad.model.forecaster import Forecaster
from nbad.recording.format import Writer
from nbad.simulator import GamesNight, simulate_night
from nbad.training.recordings import recorded_lines, recorded_results
from nbad.training.train import Known, rated

BASE = "https://cdn.nba.com/static/json"


@pytest.fixture(scope="module")
def night() -> GamesNight:
    return simulate_night(3, 5)


@pytest.fixture(scope="module")
def recording(night: GamesNight, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three games as a daemon recorded them: odds before and, in a feed that tells them, during
    the games; one document of each kind is broken."""
    folder = tmp_path_factory.mktemp("recording")
    arrivals: list[Arrival] = []

    def keep(path: str, body: bytes, at: float, status: int = 200) -> None:
        arrivals.append(Arrival(f"{BASE}/{path}", status, {}, body, at))

    first = min(night.feed(game_id).tip for game_id in night.game_ids)
    odds, schedule = "liveData/odds/odds_todaysGames.json", "staticData/scheduleLeagueV2.json"
    keep(schedule, night.schedule(first - 9000).body, first - 9000)
    keep(odds, night.odds(first - 9000).body, first - 9000)
    keep(odds, night.odds(first - 60).body, first - 60)
    keep(odds, b"<Error/>", first - 30, 403)
    for game_id in night.game_ids:
        for at in (night.feed(game_id).tip, night.ends_at + 60):
            resource = night.play_by_play(game_id, at)
            assert resource is not None
            keep(f"liveData/playbyplay/playbyplay_{game_id}.json", resource.body, at)
    keep(odds, night.odds(first - 9000).body.replace(b'"odds":"', b'"odds":"9'), night.ends_at)
    keep(odds, b'{"games":7}', night.ends_at + 1)
    keep(schedule, night.schedule(night.ends_at + 60).body, night.ends_at + 60)
    keep(schedule, b'{"leagueSchedule":', night.ends_at + 61)
    Writer(folder).write(sorted(arrivals, key=lambda arrival: arrival.received_at))
    return folder


def known_of(recording: Path) -> Known:
    args = argparse.Namespace(data=[recording], results=[], lines=[])
    known = read_all("evaluate", args)
    assert isinstance(known, Known)
    return known


def test_the_recorded_schedule_tells_the_seasons_results(
    recording: Path, night: GamesNight
) -> None:
    results = recorded_results(recording)
    expected = parse_schedule(night.schedule(night.ends_at + 60).body).results
    assert {played.result for played in results.values()} == set(expected)
    assert {game_id: results[game_id].final for game_id in night.game_ids} == night.finals


def test_the_odds_are_those_of_before_each_game(recording: Path, night: GamesNight) -> None:
    first = min(night.feed(game_id).tip for game_id in night.game_ids)
    assert recorded_lines(recording) == parse_odds(night.odds(first - 60).body)


def test_games_are_expected_from_the_models_ratings_the_season_and_the_market(
    recording: Path, night: GamesNight
) -> None:
    known = known_of(recording)
    base = Forecaster.load().ratings
    told = rated(known, base)
    assert [game.game_id for game in known.games] == sorted(night.game_ids)
    assert {e.basis for e in told.market.first} == {"both"}
    alone = rated(Known(known.games), base)
    for with_season, without in zip(told.rating.first, alone.rating.first, strict=True):
        # Half a season of results: surer, and another than what the model knew of another year.
        assert with_season.margin != without.margin
        assert with_season.margin_sd < without.margin_sd
    assert len(told.after.learnt) == len(known.results)
