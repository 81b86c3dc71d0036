"""``nbad export``: what was kept as tables, and the example that reads them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_nights import ended

from nbad.cli import main
from nbad.recording import nights
from nbad.training.export import COLUMNS

EXAMPLE = Path(__file__).parent.parent / "examples/read_export.py"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    games = [ended(1, 100, 90), ended(2, 90, 100), ended(3, 104, 101)]
    nights.keep(tmp_path / "kept", [nights.whole_game(game) for game in games])
    return tmp_path / "kept"


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_was_kept_as_csv(kept: Path, tmp_path: Path, capsys: Any) -> None:
    log, out = tmp_path / "nbad.log", tmp_path / "out"
    stage = {"timestamp": "2026-01-20T00:00:00.000000Z", "event": "stage", "stage": "emit",
             "tick": 7, "games": 3, "elapsed_ms": 0.4, "waited_ms": 0.1, "depth": 0}  # fmt: skip
    log.write_text(json.dumps(stage) + '\n{"event":"ready"}\nno line of ours, "stage"\n')
    assert main(["export", str(kept), "--out", str(out), "--log", str(log)]) == 0
    assert {path.stem for path in out.iterdir()} == {"games", "plays", "forecasts", "timings"}
    assert [row["game_id"] for row in rows(out / "games.csv")] == [
        "0022500003", "0022500002", "0022500001",
    ]  # fmt: skip
    forecasts = rows(out / "forecasts.csv")
    assert len(forecasts) == 3 * 96
    assert tuple(forecasts[0]) == COLUMNS["forecasts"]
    assert forecasts[1]["elapsed_s"] == "30"
    assert rows(out / "timings.csv") == [{k: str(stage[k]) for k in COLUMNS["timings"]}]
    assert "forecasts.csv: 288 rows" in capsys.readouterr().out


def test_no_table_has_a_column_twice_or_what_nobody_said() -> None:
    for table, columns in COLUMNS.items():
        assert len(set(columns)) == len(columns), table
    assert COLUMNS["features"][:3] == ("game_id", "differential", "elapsed_s")
    assert not any("expected" in name for name in COLUMNS["features"])


def test_nothing_to_export_is_told(tmp_path: Path, capsys: Any) -> None:
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 64
    assert "expected past nights" in capsys.readouterr().err
    (tmp_path / nights.FILE).write_text("none of ours" * 500)
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "not a database" in capsys.readouterr().err


def test_the_example_reads_the_parquet(kept: Path, tmp_path: Path) -> None:
    for package in ("duckdb", "pandas", "polars", "pyarrow"):
        pytest.importorskip(package)
    out = tmp_path / "out"
    assert main(["export", str(kept), "--out", str(out), "--format", "parquet"]) == 0
    ran = subprocess.run(
        [sys.executable, str(EXAMPLE), str(out)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Brier by quarter" in ran.stdout
    assert "held" in ran.stdout


def test_a_report_is_one_page_with_the_nights_troubles(
    kept: Path, tmp_path: Path, capsys: Any
) -> None:
    log, out = tmp_path / "nbad.log", tmp_path / "night.html"
    at = "2026-01-20T01:00:00.000000Z"
    events = [
        {"timestamp": at, "level": "info", "event": "stage", "stage": "emit", "games": 2,
         "tick": 1, "elapsed_ms": 7.5},
        {"timestamp": at, "level": "warning", "event": "feed_error", "repeated": 40},
        {"timestamp": "2026-02-20T01:00:00.000000Z", "level": "error", "event": "record_failed"},
    ]  # fmt: skip
    log.write_text("".join(json.dumps(event) + "\n" for event in events) + "no JSON\n")
    told = ["report", "2026-01-19", "--from", str(kept), "--log", str(log), "--out", str(out)]
    assert main(told) == 0
    page = out.read_text()
    assert "<h2>DAL 90 @ CHI 100 " in page
    assert "<td>emit</td><td>1</td><td>7.5</td>" in page
    assert f"<td>feed_error</td><td>40</td><td>{at}</td><td>{at}</td>" in page
    assert "record_failed" not in page  # of another night
    assert "Was it right?" in page
    assert page.count("<svg ") == 3
    assert "http" not in page
    assert main(["report", "2026-01-18", "--from", str(kept)]) == 64
    assert "expected a night" in capsys.readouterr().err
    assert main(["report", "2026-01-19", "--from", str(kept)]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")
    told[-1] = "/nowhere/night.html"
    assert main(told) == 1
    assert capsys.readouterr().err == (
        "nbad report: /nowhere/night.html: No such file or directory\n"
    )
