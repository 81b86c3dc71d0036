"""Past nights on disk: each finished game with its plays and its forecasts, in one SQLite file.

``nights.sqlite`` lies in ``[record] path``. All of it blocks: call it in a thread. A season takes
some 40 MB. Nothing is deleted here.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import orjson

from nbad.domain import Game
from nbad.pattern.calendar import game_day
from nbad.pattern.game_ids import season_name, season_of
from nbad.stream import wire

T = TypeVar("T")

FILE = "nights.sqlite"

MOMENTS = (0.0, 720.0, 1440.0, 2160.0, 2520.0, 2760.0)
"""Game seconds at which forecasts are judged: tip-off, the quarters, 6:00 and 2:00 left."""

# What a reader takes at most: three seasons with their playoffs. Older ones are in the file.
MOST_GAMES = 4_000
_MOST_OF_A_NIGHT = 64
# A game of four overtimes takes a fifth of it. The file is ours, but may be anybody's copy.
_MOST_BYTES = 4 << 20
_LOCKED_S = 2.0

# What is recorded of a night ends at 17:00 UTC: noon in New York, where the board turns.
_NIGHT_ENDS = timedelta(hours=17)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS games (
  game_id TEXT PRIMARY KEY, night TEXT NOT NULL, season TEXT NOT NULL, start_utc TEXT NOT NULL,
  home TEXT NOT NULL, away TEXT NOT NULL, home_score INTEGER NOT NULL, away_score INTEGER NOT NULL,
  said TEXT NOT NULL, game BLOB NOT NULL, plays BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_night ON games (night, start_utc);
"""


class NightsError(Exception):
    """The file cannot be read or written, or is none of ours."""


@dataclass(frozen=True, slots=True)
class KeptGame:
    """A finished game as it is kept. ``night`` is its date in the US, ``season`` as ``2025-26``.

    ``said`` is what was forecast at each of :data:`MOMENTS` that the game reached: rows of
    [moment, home_win, margin p10, p50, p90, total p50].
    """

    game_id: str
    night: str
    season: str
    start_utc: str
    home: str
    away: str
    home_score: int
    away_score: int
    said: list[list[float]]


@dataclass(frozen=True, slots=True)
class WholeGame:
    """A game to keep: ``game`` (as /v1/games/ID) and ``plays`` (as /v1/games/ID/plays), JSON."""

    kept: KeptGame
    game: bytes
    plays: bytes


def night_of(moment: float) -> str:
    """The night that a moment (s since the epoch) belongs to, by its evening's date in the US."""
    return f"{datetime.fromtimestamp(moment, UTC) - _NIGHT_ENDS:%Y-%m-%d}"


def whole_game(game: Game) -> WholeGame:
    """A finished game with all that is known of it. Pure; works out the forecast of each play."""
    entry = game.update.entry
    series = wire.encode_series(game.series)
    body = wire.with_series(wire.encode_game(game), series)
    body = wire.with_scoring(body, wire.encode_scoring(game.update.plays))
    rows = wire.play_rows(entry, game.swings())
    start = entry.start_utc or wire.rfc3339(game.update.received_at)
    day = game_day(start)
    assert day is not None
    night = date.fromordinal(day).isoformat()
    kept = KeptGame(
        entry.game_id, night, _season(entry.game_id, night), start, entry.home.tricode,
        entry.away.tricode, entry.home_score, entry.away_score,
        said_at(wire.series_rows(game.series)),
    )  # fmt: skip
    return WholeGame(kept, body, wire.encode_plays(entry.game_id, rows))


def said_at(series: list[list[Any]]) -> list[list[float]]:
    """The row of a forecast series that held at each of :data:`MOMENTS`, at that moment."""
    found = []
    for moment in MOMENTS:
        held = [row for row in series if row[0] <= moment]
        if held and series[-1][0] >= moment:
            found.append([moment, *held[-1][1:]])
    return found


def keep(folder: Path, games: Iterable[WholeGame]) -> list[WholeGame]:
    """Write ``games``, each in place of what was kept of it, and return those written.

    Where the end and the plays are those kept, what was said of them stands: a daemon that starts
    with another model, or without the odds, said nothing of that game. Raises
    :class:`NightsError`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(folder / FILE, timeout=_LOCKED_S)) as file, file:
            file.executescript(_SCHEMA)
            news = [game for game in games if not _is_kept(file, game)]
            rows = [
                (
                    *(getattr(g.kept, name) for name in _COLUMNS[:-1]),
                    orjson.dumps(g.kept.said).decode(), zlib.compress(g.game),
                    zlib.compress(g.plays),
                )
                for g in news
            ]  # fmt: skip
            marks = ", ".join("?" * (len(_COLUMNS) + 2))
            file.executemany(f"INSERT OR REPLACE INTO games VALUES ({marks})", rows)
            return news
    except (sqlite3.Error, OSError) as error:
        raise NightsError(f"{folder / FILE}: {error}") from error


def _is_kept(file: sqlite3.Connection, game: WholeGame) -> bool:
    """Whether the same end is kept, by the same plays."""
    found = file.execute(
        "SELECT home_score, away_score, plays FROM games WHERE game_id = ?", [game.kept.game_id]
    ).fetchone()
    if found is None or found[:2] != (game.kept.home_score, game.kept.away_score):
        return False
    try:
        return _happened(_unpacked(found[2])) == _happened(game.plays)
    except (ValueError, TypeError, KeyError, zlib.error):
        return False  # it cannot be read, and is written anew


def _happened(plays: bytes) -> list[list[Any]]:
    """The plays without what was forecast of them."""
    return [row[: wire.PLAY_COLUMNS.index("home_win")] for row in orjson.loads(plays)["plays"]]


def games(folder: Path) -> list[KeptGame]:
    """The newest :data:`MOST_GAMES` games, the newest night first, in order of start.

    None kept: an empty list. Raises :class:`NightsError`.
    """
    return _select(folder, "ORDER BY night DESC, start_utc, game_id LIMIT ?", [MOST_GAMES], _kept)


def night(folder: Path, date: str) -> list[WholeGame]:
    """The games of a night, in order of start; none kept: an empty list. Raises
    :class:`NightsError`."""
    return _whole(folder, "night = ? ORDER BY start_utc, game_id", date)


def game(folder: Path, game_id: str) -> WholeGame | None:
    """A kept game; None for an unknown one. Raises :class:`NightsError`."""
    return next(iter(_whole(folder, "game_id = ?", game_id)), None)


def _whole(folder: Path, which: str, value: str) -> list[WholeGame]:
    def whole(row: tuple[Any, ...]) -> WholeGame:
        return WholeGame(_kept(row), _unpacked(row[-2]), _unpacked(row[-1]))

    rest = f"WHERE {which} LIMIT ?"
    return _select(folder, rest, [value, _MOST_OF_A_NIGHT], whole, ("game", "plays"))


def stamp(folder: Path) -> tuple[int, int] | None:
    """What changes whenever the file does; None where there is none."""
    try:
        state = (folder / FILE).stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


_COLUMNS = ("game_id", "night", "season", "start_utc", "home", "away", "home_score", "away_score",
            "said")  # fmt: skip


def _select(
    folder: Path,
    rest: str,
    values: list[str | int],
    read: Callable[[tuple[Any, ...]], T],
    more: tuple[str, ...] = (),
) -> list[T]:
    """What ``read`` makes of each row found: :data:`_COLUMNS`, then ``more``."""
    path = folder / FILE
    try:
        if not path.is_file():  # raises where the folder is closed to us
            return []
        address = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_LOCKED_S)) as file:
            columns = ", ".join(_COLUMNS + more)
            return [
                read(row) for row in file.execute(f"SELECT {columns} FROM games {rest}", values)
            ]
    except (sqlite3.Error, OSError, ValueError, TypeError, zlib.error) as error:
        raise NightsError(f"{path}: {error}") from error


def _kept(row: tuple[Any, ...]) -> KeptGame:
    values = dict(zip(_COLUMNS, row, strict=False))
    return KeptGame(**values | {"said": orjson.loads(values["said"])})


def _unpacked(blob: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(blob, _MOST_BYTES)
    if not unpacker.eof:
        raise ValueError(f"expected at most {_MOST_BYTES} bytes of a game")
    return content


def _season(game_id: str, night: str) -> str:
    """The season, as its game ids say it; of another kind of id, by the date: from August on."""
    if len(game_id) == 10 and game_id.isdecimal() and game_id.startswith("00"):
        return season_name(season_of(game_id))
    year, month = int(night[:4]), int(night[5:7])
    return season_name((year if month >= 8 else year - 1) % 100)
