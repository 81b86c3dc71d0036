"""``--results`` and ``--lines``: results of games and closing lines, by game id."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

from nbad.domain import Result
from nbad.pattern.market import Line

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class DatedResult:
    """A game's result and its day (see :func:`nbad.pattern.calendar.game_day`)."""

    result: Result
    day: int

    @property
    def game_id(self) -> str:
        """The feed's id of the game."""
        return self.result.game_id

    @property
    def final(self) -> tuple[int, int]:
        """The final score, home and away."""
        return self.result.home_score, self.result.away_score


def read_results(path: Path) -> dict[str, DatedResult]:
    """The results of a CSV with the columns game_id, date, home_id, away_id, home_points and
    away_points, of games that have points; ``OSError`` where it cannot be read, ``ValueError`` with
    its line where it is another file."""
    return dict(_read(path, _played))


def read_lines(path: Path) -> dict[str, Line]:
    """The closing lines of a CSV with the columns game_id, home_by and total; as
    :func:`read_results`."""
    return dict(_read(path, _line))


def _played(row: dict[str, str]) -> DatedResult | None:
    """None where the game is still to come."""
    if not row["home_points"] and not row["away_points"]:
        return None
    home, away = (int(float(row[f"{side}_points"])) for side in ("home", "away"))
    result = Result(
        _game_id(row), row["date"], int(row["home_id"]), int(row["away_id"]), home, away
    )
    return DatedResult(result, date.fromisoformat(row["date"]).toordinal())


def _line(row: dict[str, str]) -> Line | None:
    """None where the file tells of no line."""
    if not row["home_by"]:
        return None
    return Line(float(row["home_by"]), float(row["total"]) if row.get("total") else None)


def _read(path: Path, read: Callable[[dict[str, str]], _Row | None]) -> Iterator[tuple[str, _Row]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                told = read(row)
                if told is not None:
                    yield _game_id(row), told
            except (KeyError, ValueError, TypeError) as error:
                raise ValueError(f"line {number}: {error!r}") from None


def _game_id(row: dict[str, str]) -> str:
    return row["game_id"].rjust(10, "0")
