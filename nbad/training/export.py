"""Past nights and recordings as tables: for pandas, polars, DuckDB or a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from nbad.domain import Play
from nbad.pattern.clock import elapsed_s
from nbad.pattern.features import FEATURES, INDEX
from nbad.recording import nights
from nbad.stream.wire import PLAY_COLUMNS
from nbad.training.readers import fold_games, read_games
from nbad.training.recorded import FoldedGame, RecordedGame

Row = Sequence[Any]

# Without what was expected of the two sides, which payloads alone do not show.
_SEEN = [name for name in FEATURES if not name.startswith("expected_")]
_SEEN_AT = [INDEX[name] for name in _SEEN]

COLUMNS: dict[str, tuple[str, ...]] = {
    "games": ("game_id", "night", "season", "start_utc", "home", "away", "home_score",
              "away_score"),
    "plays": ("game_id", *PLAY_COLUMNS),
    "forecasts": ("game_id", "elapsed_s", "home_win", "margin_p10", "margin_p50", "margin_p90",
                  "total_p50"),
    "features": ("game_id", *_SEEN),
    "timings": ("timestamp", "tick", "stage", "games", "elapsed_ms", "waited_ms", "depth"),
}  # fmt: skip
"""The tables and their columns. All that is no text and no whole number is a float."""

TEXTS = frozenset({
    "game_id", "night", "season", "start_utc", "team", "player", "kind", "description",
    "timestamp", "stage",
})  # fmt: skip
WHOLE = frozenset({"number", "period", "home_score", "away_score", "tick", "games", "depth"})
# Text in the one table, a score in the other.
_TEXT_IN = {("games", "home"), ("games", "away")}


def kind(table: str, column: str) -> str:
    """``text``, ``int`` or ``float``."""
    if column in TEXTS or (table, column) in _TEXT_IN:
        return "text"
    return "int" if column in WHOLE or column in ("home", "away") else "float"


def tables(folder: Path, log: BinaryIO | None) -> Iterator[tuple[str, Iterable[Row]]]:
    """The tables of what ``folder`` keeps (past nights, payloads or both) and ``log`` says.

    Of a game that was kept the plays have their forecasts; those of other games, from the payloads,
    have none. Rows are made as they are taken. Raises :class:`ValueError`, :class:`OSError` and
    :class:`~nbad.recording.nights.NightsError` where something cannot be read.
    """
    kept = nights.games(folder)
    payloads = any(folder.glob("*.rec"))
    known = {game.game_id for game in kept}
    if kept:
        yield "games", ([getattr(g, name) for name in COLUMNS["games"]] for g in reversed(kept))
        yield "forecasts", _forecasts(folder, kept)
    if kept or payloads:
        yield "plays", _plays(folder, kept, known, payloads=payloads)
    if payloads:
        yield "features", _features(folder)
    if log is not None:
        yield "timings", _timings(log)


def _whole(folder: Path, kept: list[nights.KeptGame]) -> Iterator[nights.WholeGame]:
    """The games, oldest first, one at a time in memory."""
    for game in reversed(kept):
        whole = nights.game(folder, game.game_id)
        if whole is not None:
            yield whole


def _forecasts(folder: Path, kept: list[nights.KeptGame]) -> Iterator[Row]:
    for game in _whole(folder, kept):
        for row in orjson.loads(game.game)["series"]:
            yield game.kept.game_id, *row


def _plays(
    folder: Path, kept: list[nights.KeptGame], known: set[str], *, payloads: bool
) -> Iterator[Row]:
    for game in _whole(folder, kept):
        for row in orjson.loads(game.plays)["plays"]:
            yield game.kept.game_id, *row
    for _, recorded in read_games(folder) if payloads else ():
        if isinstance(recorded, RecordedGame) and recorded.game_id not in known:
            for play in recorded.plays:
                yield _bare(recorded, play)


def _bare(game: RecordedGame, play: Play) -> Row:
    """A play of which no forecast was kept; its team as H or A, as no tricode is in the payload."""
    side = {game.home_id: "H", game.away_id: "A"}.get(play.team_id)
    told = (
        play.number, elapsed_s(play.period, play.clock_s), play.period, play.clock_s, play.home,
        play.away, side, play.player or None, play.kind, play.description,
    )  # fmt: skip
    return game.game_id, *told, *[None] * (len(PLAY_COLUMNS) - len(told))


def _features(folder: Path) -> Iterator[Row]:
    for _, game in fold_games(folder):
        if isinstance(game, FoldedGame):
            for row in game.matrix[:, _SEEN_AT].tolist():
                yield game.game_id, *row


def _timings(log: BinaryIO) -> Iterator[Row]:
    for line in log:
        if b'"stage"' not in line:
            continue
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue  # not every line of a console's log is ours
        if isinstance(event, dict) and event.get("event") == "stage":
            yield [event.get(name) for name in COLUMNS["timings"]]


@contextmanager
def writing(folder: Path, table: str, form: str) -> Iterator[Callable[[list[Row]], None]]:
    """What writes rows of ``table`` to its file, ``csv`` or ``parquet``. Raises OSError."""
    path = folder / f"{table}.{form}"
    if form == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS[table])
            yield writer.writerows
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "int": pa.int64(), "float": pa.float64()}
    schema = pa.schema([(name, types[kind(table, name)]) for name in COLUMNS[table]])
    with pq.ParquetWriter(path, schema) as writer:

        def write(rows: list[Row]) -> None:
            columns = [
                pa.array([_typed(row[at], field.type, pa) for row in rows], field.type)
                for at, field in enumerate(schema)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))

        yield write


def _typed(value: Any, wanted: Any, pa: Any) -> Any:
    """``value``, as a float if that is wanted: JSON may hold a whole number."""
    return float(value) if value is not None and wanted == pa.float64() else value
