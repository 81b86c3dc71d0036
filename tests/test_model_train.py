"""`nbad train` and `nbad evaluate` on real files: the same bytes twice, scores of unseen games."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from nbad.cli import main
from nbad.cli.evaluate import COLUMNS
from nbad.model.forecaster import Forecaster
from nbad.pattern.players import GameLines
from nbad.simulator import simulate_night
from nbad.training.evaluate import NO_RATING, PRIOR, RESULTS, played_from
from nbad.training.readers import read_games
from nbad.training.recorded import FoldedGame, RecordedGame

pytestmark = pytest.mark.slow

GAMES = 45


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three simulated nights of 15 games, as cdn.nba.com publishes them."""
    folder = tmp_path_factory.mktemp("recorded")
    for night in range(3):
        write_night(folder, night)
    return folder


@pytest.fixture(scope="module")
def last_five(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those from 0022500041 on alone."""
    folder = tmp_path_factory.mktemp("last_five")
    for path in sorted(recorded.iterdir())[40:]:
        shutil.copy(path, folder)
    return folder


def write_night(folder: Path, night: int) -> None:
    simulated = simulate_night(15, 20 + night)
    for number, game_id in enumerate(simulated.game_ids, night * 15 + 1):
        resource = simulated.play_by_play(game_id, simulated.ends_at + 60)
        assert resource is not None
        name = f"00225{number:05}"
        body = resource.body.replace(game_id.encode(), name.encode())
        (folder / f"playbyplay_{name}.json").write_bytes(body)


@pytest.fixture(scope="module")
def trained(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    assert main(["train", "--data", str(recorded), "--out", str(out), "--name", "mine"]) == 0
    return out


def test_the_same_games_make_the_same_model(
    recorded: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--data", str(recorded), "--out", str(tmp_path), "--name", "mine"]) == 0
    for name in ("model.json", "home_win.txt", "ratings.json", "CARD.md", "SHA256SUMS"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()
    model = Forecaster.load(tmp_path)
    assert model.name.startswith("mine-")
    assert all(model.trained_on(f"00225{number:05}") for number in range(1, GAMES + 1))
    assert not any(model.trained_on(f"00225{number:05}") for number in (0, GAMES + 1))
    assert model.ratings.learnt == {f"00225{number:05}" for number in range(1, GAMES + 1)}
    assert f"# {model.name}\n" in (tmp_path / "CARD.md").read_text()
    assert f"{model.name}: 45 games by cross-validation" in capsys.readouterr().out
    assert (tmp_path / "evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_ones_own_model_goes_on_from_the_bundled_ratings(trained: Path) -> None:
    """Made in the middle of a season from one's own games."""
    bundled, own = Forecaster.load().ratings, Forecaster.load(trained).ratings
    before = {team.team_id: team for team in bundled.table()}
    after = {team.team_id: team for team in own.table()}
    assert after.keys() == before.keys()
    # A summer and 45 games of the simulator's league moved them, and not all the way.
    strengths = np.array([[before[team].points, after[team].points] for team in before])
    assert np.corrcoef(strengths.T)[0, 1] > 0.2
    assert not np.allclose(strengths[:, 0], strengths[:, 1], atol=0.5)


def test_a_changed_model_has_another_name(trained: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(trained, changed)
    facts = (changed / "model.json").read_text()
    (changed / "model.json").write_text(facts.replace('"seed": 1', '"seed": 2'))
    assert Forecaster.load(changed).name != Forecaster.load(trained).name


def test_unseen_games_are_forecast_by_the_model_itself(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "forecasts.csv"
    arguments = ["evaluate", "--data", str(recorded), "--from", "0022500041"]
    assert main([*arguments, "--json", "--predictions", str(out)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["how"] == "5 games that the model has not seen"
    assert figures["model"] == Forecaster.load().name
    assert figures["rows"] == 5 * 96
    assert figures["basis"] == {"rating": 5}
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert {row["game_id"] for row in rows} == {f"00225{n:05}" for n in range(41, 46)}
    assert [int(row["elapsed_s"]) for row in rows[:96]] == list(range(0, 2851, 30))
    # The scores are those of the file, as anyone would compute them.
    finals = {
        game.game_id: game.final
        for _, game in read_games(recorded)
        if isinstance(game, RecordedGame)
    }
    won = np.array([finals[row["game_id"]][0] > finals[row["game_id"]][1] for row in rows])
    p = np.array([float(row["home_win"]) for row in rows])
    # Of a game that goes on nothing is certain: a logarithm of it is a number.
    assert 0 < p.min() < 0.0005
    assert 1 > p.max() > 0.9995
    scored = figures["scores"]["model"]["all"]
    assert scored["brier"] == pytest.approx(np.mean((p - won) ** 2), abs=1e-5)
    assert scored["log_loss"] == pytest.approx(-np.mean(np.log(np.where(won, p, 1 - p))), abs=1e-4)
    margins = np.array([finals[row["game_id"]][0] - finals[row["game_id"]][1] for row in rows])
    inside = [
        float(row["margin_p10"]) <= margin <= float(row["margin_p90"])
        for row, margin in zip(rows, margins, strict=True)
    ]
    of = np.array([int(row["elapsed_s"]) // 60 for row in rows]) == 30
    thirtieth = figures["by_minute"][30]
    assert thirtieth["minute"] == 30
    assert thirtieth["model"]["brier"] == pytest.approx(np.mean((p[of] - won[of]) ** 2), abs=1e-5)
    covered = figures["distributions"]["all"]["margin"]["coverage_80"]
    assert covered == pytest.approx(np.mean(inside), abs=0.01)


def test_the_playoffs_of_an_earlier_season_lie_before_a_season() -> None:
    def played(*game_ids: str) -> list[FoldedGame]:
        nothing = np.empty(0)
        return [FoldedGame(each, 1, 2, (0, 0), 0, nothing, nothing, 0, GameLines(), None, None)
                for each in game_ids]  # fmt: skip

    games = played(
        "0022300009", "0022400001", "0022400002", "0042300405", "0042400101", "0052400111"
    )
    assert played_from("0022400002", games).tolist() == [False, False, True, False, True, True]
    assert played_from("", games).all()
    last_century = played("0029900001", "0049900001", "0020000001")
    assert played_from("0029900002", last_century).tolist() == [False, True, True]


def test_what_is_no_game_is_no_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    for told in ("2024-25", "00224000010"):
        with pytest.raises(SystemExit, match="64"):
            main(["evaluate", "--data", "absent", "--from", told])
        assert f"expected a game's id, such as 0022400001, was '{told}'" in capsys.readouterr().err


def test_later_games_change_no_forecast(last_five: Path, tmp_path: Path) -> None:
    """With the games after it taken away a game is forecast the same."""
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for path in sorted(last_five.iterdir())[:2]:
        shutil.copy(path, fewer)
    forecasts = []
    for data in (last_five, fewer):
        out = tmp_path / "out.csv"
        arguments = ["evaluate", "--data", str(data), "--from", "0022500041"]
        assert main([*arguments, "--json", "--predictions", str(out)]) == 0
        forecasts.append(out.read_text().splitlines()[: 1 + 2 * 96])
    assert forecasts[0] == forecasts[1]


def test_results_and_lines_of_a_game_touch_what_they_may(last_five: Path, tmp_path: Path) -> None:
    """Earlier results and a game's own line move its forecasts; its own result and later do not."""

    def forecasts(results: str, lines: str = "") -> list[str]:
        (tmp_path / "results.csv").write_text(
            "game_id,date,type,home_id,away_id,home_points,away_points\n" + results
        )
        (tmp_path / "lines.csv").write_text("game_id,date,home_by,total\n" + lines)
        out = tmp_path / "out.csv"
        arguments = ["evaluate", "--data", str(last_five), "--from", "0022500041", "--json"]
        for name in ("results", "lines"):
            arguments += [f"--{name}", str(tmp_path / f"{name}.csv")]
        assert main([*arguments, "--predictions", str(out)]) == 0
        rows = list(csv.DictReader(out.read_text().splitlines()))
        return [row["home_win"] for row in rows if row["game_id"] == "0022500041"]

    games = dict(read_games(last_five))
    game = games["playbyplay_0022500041.json"]
    assert isinstance(game, RecordedGame)
    assert game.day is not None
    today, before = (date.fromordinal(game.day - back).isoformat() for back in (0, 30))
    sides = f"{game.home_id},{game.away_id}"
    own = f"0022500041,{today},regular,{sides},180,60\n"
    later = f"0022500900,{today},regular,{sides},180,60\n"
    earlier = f"0022500900,{before},regular,{sides},180,60\n"
    plain = forecasts("")
    assert forecasts(own + later) == plain
    assert float(forecasts(earlier)[0]) > float(plain[0])
    market = forecasts("", "0022500041,,-15.5,220\n0022500042,,15.5,220\n")
    assert float(market[0]) < 0.25
    assert forecasts("", "0022500041,,,\n0022500042,,15.5,220\n") == plain
    assert forecasts("", "0022500041,,-155,220\n") == plain  # absurd


def test_seen_games_are_not_forecast_by_what_has_seen_them(
    recorded: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "plot.png"
    arguments = ["evaluate", "--data", str(recorded), "--model", str(trained)]
    assert main([*arguments, "--plot", str(plot)]) == 0
    shown = capsys.readouterr().out
    assert "45 games by cross-validation of its recipe" in shown
    for name in (
        PRIOR,
        RESULTS,
        NO_RATING,
        "Brownian, no rating",
        "logistic regression",
        "naive LightGBM",
    ):
        assert name in shown
    for part in ("all", "Q1", "Q4", "by minute", "margin CRPS", "80 % interval covers"):
        assert part in shown
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_too_few_games_to_fit_the_recipe_on_are_said(
    recorded: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = str(min(recorded.iterdir()))
    assert main(["evaluate", "--data", one, "--model", str(trained)]) == 64
    assert capsys.readouterr().err == (
        "nbad evaluate: --data: expected at least 40 games where the model has learnt from one,"
        " was 1\n"
    )


def test_a_broken_game_is_named_and_left_out(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number, path in enumerate(sorted(recorded.iterdir())[:3]):
        body = path.read_bytes()
        (data / path.name).write_bytes(body[: len(body) // 2] if number == 1 else body)
    (data / "0021500001.csv").write_text("GAME_ID,EVENTMSGTYPE\n1,1\n")
    assert main(["evaluate", "--data", str(data), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["games"] == 2
    assert "skipped playbyplay_0022500002.json: " in said.err
    assert "skipped 0021500001.csv: " in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["evaluate", "--data", "absent"], 64, "--data absent: expected readable games"),
        (["evaluate", "--data", ".", "--model", "absent"], 78, "expected a model made by"),
        (["train", "--data", "empty"], 64, "expected at least 40 games, was 0"),
        (["evaluate", "--data", "empty"], 64, "expected a game"),
        (["evaluate", "--data", "empty", "--results", "no.csv"], 64, "--results no.csv: expected"),
        (
            ["train", "--data", "empty", "--lines", "bad.csv"],
            64,
            "was: line 2: KeyError('home_by')",
        ),
    ],
)
def test_what_cannot_be_done_is_said_on_one_line(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("game_id,total\n0022500001,220\n")
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
