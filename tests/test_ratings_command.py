"""`nbad ratings`: the model's table, a daemon's, and what is said where there is neither."""

from __future__ import annotations

import json

import pytest

from nbad.cli import main
from nbad.model.forecaster import Forecaster


def test_the_models_teams_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ratings"]) == 0
    head, columns, *rows = capsys.readouterr().out.splitlines()
    model = Forecaster.load()
    assert head.startswith(f"{model.name}: season 20{model.ratings.season}-")
    assert columns.split() == ["team", "points", "sd"]
    assert [int(row.split()[0]) for row in rows] == list(range(1, 31))
    points = [float(row.split()[2]) for row in rows]
    assert points == sorted(points, reverse=True)
    assert abs(sum(points)) < 2
    assert len({row.split()[1] for row in rows}) == 30


def test_for_machines_it_is_the_same_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ratings", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    table = Forecaster.load().ratings.table()
    assert [team["team_id"] for team in told["teams"]] == [rated.team_id for rated in table]
    assert [team["rank"] for team in told["teams"]] == list(range(1, 31))
    assert told["learnt"] == 0
    boston = next(team for team in told["teams"] if team["tricode"] == "BOS")
    assert boston["name"] == "Boston Celtics"
    assert 0 < boston["sd"] < 6


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["http://127.0.0.1:9"], 69, "expected a daemon's ratings"),
        (["--model", "/nowhere"], 78, "expected a model made by"),
    ],
)
def test_what_cannot_be_had_is_said_on_one_line(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ratings", *arguments]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
