"""What the page works out, in node: the curve that it keeps, and a bettor's line, held against the
normal distribution of Python's own library."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from nbad.model.forecaster import Forecaster
from nbad.pattern.features import FEATURES, INDEX

NODE = shutil.which("node")
STATE = Path(__file__).parent.parent / "nbad" / "web" / "static" / "state.js"
_NIGHT = f"""import {{ Night }} from {json.dumps(STATE.as_uri())};
const night = new Night(), forecast = {{ home_win: 0.5, margin: {{}}, total: {{}} }};
const at = (left) => ({{ game_id: "g", status: "live", period: 1 + Math.floor((2880 - left) / 720),
  clock_s: left % 720 || 720, forecast: {{ ...forecast, home_win: left / 2880 }} }});
night.take({{ type: "snapshot", games: [{{ ...at(2880), series: [] }}] }});
for (let left = 2879.9; left > 0; left -= 0.1)
  night.take({{ type: "batch", messages: [at(left)] }});
const {{ series }} = night.games.get("g");
process.stdout.write(JSON.stringify(series.map(([at, chance]) => [at, chance])));
"""
_ASK = f"""import {{ beats }} from {json.dumps(STATE.as_uri())};
let text = "";
for await (const part of process.stdin) text += part;
const made = JSON.parse(text).map(([kind, game, line]) => beats[kind](game, line));
process.stdout.write(JSON.stringify(made));
"""


def told(bets: list[tuple[str, Any, float]]) -> list[list[float]]:
    """What the page says: won, pushed, lost."""
    assert NODE
    command = [NODE, "--input-type=module", "--eval", _ASK]
    answer = subprocess.run(
        command, input=json.dumps(bets), capture_output=True, text=True, check=True, timeout=60
    )
    made: list[list[float]] = json.loads(answer.stdout)
    return made


def states(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Moments of games, from tip-off to the last second of an overtime."""
    rng = random.Random(4)
    rows = np.zeros((count, len(FEATURES)))
    for row in rows:
        left = rng.choice([2880.0, rng.uniform(0, 2880), rng.uniform(0, 30), 1.0])
        points = round((2880 - left) * rng.uniform(0.06, 0.09))
        for name, value in {
            "remaining_s": left, "elapsed_s": 2880 - left, "points": points,
            "expected_total": rng.uniform(200, 250), "expected_margin": rng.uniform(-15, 15),
            "expected_margin_sd": rng.uniform(0, 6), "possession": rng.choice([-1, 0, 1]),
            "differential": max(-points, min(points, round(rng.gauss(0, 9)))),
            "pace": points / (2880 - left) if left < 2880 else 0.076,
        }.items():  # fmt: skip
            row[INDEX[name]] = value
    return rows


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_a_line_is_worth_what_the_forecasts_distribution_says() -> None:
    """Of the model's own numbers, before they are rounded: to 0.6 points of chance, as a whole
    number of points goes half-way to the next, and no game ends in a tie."""
    matrix = states(120)
    forecaster = Forecaster.load()
    made = forecaster.distribution(matrix)
    rng = random.Random(5)
    bets: list[tuple[str, Any, float]] = []
    expected: list[tuple[float, float]] = []  # won, lost
    for row, forecast in enumerate(forecaster.forecast(matrix)):
        points = int(matrix[row, INDEX["points"]])
        sides = {"home": {"score": points // 2}, "away": {"score": points - points // 2}}
        as_told = {
            "home_win": forecast.home_win,
            "margin": forecast.margin._asdict(),
            "total": forecast.total._asdict(),
        }
        game = {"forecast": as_told, **sides}
        margin = NormalDist(made.margin[row], max(made.margin_sd[row], 1e-9))
        total = NormalDist(made.total[row], max(made.total_sd[row], 1e-9))
        win = float(made.home_win[row])
        for _ in range(6):
            line = round(2 * rng.gauss(made.margin[row], 1 + made.margin_sd[row])) / 2
            bets.append(("spread", game, -line))
            above, below = math.floor(line) + 0.5, math.ceil(line) - 0.5
            expected.append(
                (
                    win if abs(above) == 0.5 else 1 - margin.cdf(above),
                    1 - win if abs(below) == 0.5 else margin.cdf(below),
                )
            )
            line = round(2 * rng.gauss(made.total[row], 1 + made.total_sd[row])) / 2
            bets.append(("total", game, line))
            above, below = math.floor(line) + 0.5, math.ceil(line) - 0.5
            expected.append(
                (
                    1.0 if above < points else 1 - total.cdf(above),
                    0.0 if below < points else total.cdf(below),
                )
            )
    pushes = 0
    for bet, (won, pushed, lost), (win, loss) in zip(bets, told(bets), expected, strict=True):
        assert won + pushed + lost == pytest.approx(1, abs=2e-5), bet
        assert won == pytest.approx(win, abs=0.006), bet
        assert lost == pytest.approx(loss, abs=0.006), bet
        assert min(won, pushed, lost) >= 0
        half = bet[2] % 1 == 0.5 or (bet[0] == "spread" and bet[2] == 0)
        assert not half or pushed < 1e-6, bet
        pushes += pushed > 0.01
    assert pushes > 50


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_no_spread_is_the_chance_to_win() -> None:
    margin = {"p10": -9.61, "p50": 3.2, "p90": 16.01}
    forecast = {"home_win": 0.60123, "margin": margin, "total": margin}
    game = {"forecast": forecast, "home": {"score": 50}, "away": {"score": 40}}
    for spread in (-0.5, 0, 0.5):
        ((won, pushed, lost),) = told([("spread", game, spread)])
        assert (won, pushed) == (0.60123, 0)
        assert lost == pytest.approx(1 - 0.60123)
    # What is scored already is over whatever a distribution's tail says.
    assert told([("total", game, 89.5), ("total", game, 90)])[0] == [1, 0, 0]


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_a_page_that_is_open_all_evening_keeps_a_moment_of_every_few_seconds() -> None:
    assert NODE
    command = [NODE, "--input-type=module", "--eval", _NIGHT]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    series = json.loads(answer.stdout)
    assert 2880 / 6 <= len(series) <= 600  # of 28,800 messages
    # Every one at its own time, the last as it came.
    assert all(chance == pytest.approx(1 - at / 2880, abs=1e-3) for at, chance in series)
    assert series[-1][0] == pytest.approx(2880, abs=0.2)
    assert all(b[0] > a[0] for a, b in pairwise(series))


_RELOADED = f"""import {{ Night }} from {json.dumps(STATE.as_uri())};
const night = new Night(), margin = {{}}, total = {{}}, found = [];
const at = (clock_s, model) => ({{ game_id: "g", status: "live", period: 1, clock_s,
  corrected: false, forecast: model && {{ home_win: 0.5, margin, total, model }} }});
night.take({{ type: "snapshot", games: [{{ ...at(700, "a"), series: [] }}] }});
for (const [left, model] of [[690, "a"], [680, "b"], [670, "b"], [660, null]]) {{
  Object.assign(night.games.get("g"), {{ stale: false, again: false }}); // as once they were had
  night.take({{ type: "batch", messages: [at(left, model)] }});
  const {{ stale, again }} = night.games.get("g");
  found.push([stale, again]);
}}
process.stdout.write(JSON.stringify(found));
"""


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_what_another_model_forecast_is_asked_for_again() -> None:
    assert NODE
    command = [NODE, "--input-type=module", "--eval", _RELOADED]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    yes, no = [True, True], [False, False]
    assert json.loads(answer.stdout) == [no, yes, no, yes]


_REBUILT = f"""import {{ extended }} from {json.dumps(STATE.as_uri())};
const play = (number, home_win) => ({{ number, home_win }});
const known = [play(1, 0.5), play(2, 0.6)];
process.stdout.write(JSON.stringify([
  extended(known, [play(2, 0.6)]), extended(known, [play(2, 0.6), play(3, 0.7)]),
  extended(known, [play(2, 0.61), play(3, 0.7)]), extended(known, []),
]));
"""


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_plays_that_were_forecast_anew_are_asked_for_from_the_first() -> None:
    assert NODE
    command = [NODE, "--input-type=module", "--eval", _REBUILT]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    same, more, forecast_anew, taken_back = json.loads(answer.stdout)
    assert [play["number"] for play in same] == [1, 2]
    assert [play["number"] for play in more] == [1, 2, 3]
    assert forecast_anew is None
    assert taken_back is None
