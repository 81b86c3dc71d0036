"""Recorded games, as the plays that the daemon would have parsed."""

from __future__ import annotations

import signal
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import chain, islice
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path, PurePath
from typing import TypeVar
from urllib.parse import urlsplit

import orjson

from nbad.feed.incremental import read
from nbad.pattern.calendar import game_day
from nbad.recording.format import Entry, Recording
from nbad.training.flatform import read_flat
from nbad.training.recorded import FoldedGame, RecordedGame, sides_by_score
from nbad.training.replay import fold_game
from nbad.training.statsform import read_csv

_Game = TypeVar("_Game", RecordedGame, FoldedGame)
Read = tuple[str, RecordedGame | ValueError]
Folded = tuple[str, FoldedGame | ValueError]
Load = Callable[[], bytes]
Body = tuple[str, Load]
Days = dict[str, int]
WORKERS = 2
_ID_DIGITS = 10
# Games that a worker takes at once, each a quarter of a MB of text, and how many such lots wait.
_LOT, _WAITING = 16, 6
# How many documents of a recorded game are tried, the newest first.
_LAST = 20
# Fewer games than this are folded sooner than a worker starts.
_WORTH_A_WORKER = 64


def read_games(data: Path) -> Iterator[Read]:
    """The games of a folder, a ``.tar.xz``, a file or a recording, in the order of their names.

    A folder's archives are read with it. Games are CSVs of stats.nba.com or of a flattened
    cdn.nba.com, and cdn.nba.com ``playbyplay_*.json``; of a recording made by `nbad record`, each
    game as it was last told whole. A ``game_info/ID.json`` beside them tells a game's date. Each
    comes with its name; a broken game is a :class:`ValueError` that says what is wrong with it.
    ``OSError`` and ``tarfile.TarError`` where ``data`` cannot be read at all.
    """
    days: Days = {}
    for name, load in sorted(_bodies(data, days), key=itemgetter(0)):
        game = _read(name, load)
        yield name, _dated(game, days) if isinstance(game, RecordedGame) else game


def fold_games(data: Path) -> Iterator[Folded]:
    """As :func:`read_games`, each game folded, in the order in which they are found.

    In :data:`WORKERS` further processes, if there are enough games; no more than some hundred
    games are in memory as text.
    """
    days: Days = {}
    for name, game in _fold_all(_bodies(data, days)):
        yield name, _dated(game, days) if isinstance(game, FoldedGame) else game


def read_cdn(body: bytes) -> RecordedGame:
    """Read one game in the cdn.nba.com form, which does not say who was at home: the scores do."""
    said = read(body)
    plays = said.plays
    home_id, away_id = sides_by_score(plays)
    ended = any(play.kind == "game" and play.subkind == "end" for play in plays)
    if not home_id or not away_id or not ended or plays[-1].home == plays[-1].away:
        raise ValueError(f"expected a finished game of two teams, was {len(plays)} plays")
    return RecordedGame(said.game_id, home_id, away_id, plays, day=game_day(plays[0].actual))


def is_recording(data: Path) -> bool:
    """Whether ``data`` is a folder made by `nbad record`."""
    return data.is_dir() and any(data.glob("*.rec"))


def _dated(game: _Game, days: Days) -> _Game:
    day = days.get(game.game_id)
    return game if day is None else replace(game, day=day)


def _read(name: str, load: Load) -> RecordedGame | ValueError:
    try:
        return _read_game(name, load())
    except (ValueError, KeyError, IndexError) as error:
        return ValueError(f"{name}: {error!r}")


def _read_game(name: str, body: bytes) -> RecordedGame:
    if name.endswith(".json"):
        game = read_cdn(body)
    else:
        text = body.decode()
        game = read_csv(text) if "EVENTMSGTYPE" in text[: text.find("\n")] else read_flat(text)
    if not (len(game.game_id) == _ID_DIGITS and game.game_id.isdecimal()):
        raise ValueError(f"expected a game's id, was {game.game_id!r}")
    return game


def _fold_lot(lot: list[Body]) -> list[Folded]:
    return [(name, _fold(_read(name, load))) for name, load in lot]


def _fold(game: RecordedGame | ValueError) -> FoldedGame | ValueError:
    return fold_game(game) if isinstance(game, RecordedGame) else game


def _fold_all(bodies: Iterable[Body]) -> Iterator[Folded]:
    remaining = iter(bodies)
    few = list(islice(remaining, _WORTH_A_WORKER))
    if len(few) < _WORTH_A_WORKER:
        yield from _fold_lot(few)
        return
    waiting: deque[Future[list[Folded]]] = deque()
    # Not forked, so that the workers inherit no open files.
    pool = ProcessPoolExecutor(WORKERS, get_context("spawn"), _end_at_interrupt)
    try:
        for lot in _lots(chain(few, remaining)):
            with _interrupts_held():
                waiting.append(pool.submit(_fold_lot, lot))
            if len(waiting) > _WAITING:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Within the block Ctrl-C is held back, also in processes started there: interrupted during its
    imports, a process would print a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_at_interrupt() -> None:
    """In a worker: from now on Ctrl-C, also one held back, ends it silently."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _lots(bodies: Iterator[Body]) -> Iterator[list[Body]]:
    while lot := list(islice(bodies, _LOT)):
        yield lot


def _bodies(data: Path, days: Days) -> Iterator[Body]:
    """Each game's name, and how to read it: a season of documents is more than memory may hold.

    Dates that are told beside the games are put into ``days``, by game.
    """
    if is_recording(data):
        yield from _recorded(data)
    elif data.is_dir():
        for path in sorted(data.rglob("*")):
            if _is_game(path):
                yield path.name, path.read_bytes
            elif _is_info(path):
                days.update(_date(path.read_bytes()))
            elif path.name.endswith(".tar.xz"):
                yield from _archived(path, days)
    elif data.suffix in (".csv", ".json"):
        yield data.name, data.read_bytes
    else:
        yield from _archived(data, days)


def _archived(data: Path, days: Days) -> Iterator[Body]:
    with tarfile.open(data) as archive:
        for member in archive:
            path = Path(member.name)
            file = archive.extractfile(member) if _is_game(path) or _is_info(path) else None
            if file is not None and _is_info(path):
                days.update(_date(file.read()))
            elif file is not None:
                yield path.name, partial(bytes, file.read())  # CSVs, and cheap to hold


def _recorded(folder: Path) -> Iterator[Body]:
    recording = Recording(folder)
    last: dict[str, deque[Entry]] = {}
    for entry in recording.entries:
        name = PurePath(urlsplit(entry.url).path).name
        if entry.status == 200 and _is_game(PurePath(name)):
            # Entries are in the order in which they came.
            last.setdefault(name, deque(maxlen=_LAST)).append(entry)
    for name, entries in last.items():
        yield name, partial(_newest_whole, recording, entries)


def _newest_whole(recording: Recording, entries: deque[Entry]) -> bytes:
    """The newest of a game's documents that is a finished game, as the feed may have cut the last
    or sent an older one behind it; the newest where none is."""
    for entry in reversed(entries):
        body = recording.body(entry)
        with suppress(ValueError, KeyError, IndexError):
            read_cdn(body)
            return body
    return recording.body(entries[-1])


def _date(body: bytes) -> Days:
    """The date that a ``game_info/ID.json`` tells, by game; nothing where it tells none."""
    try:
        info = orjson.loads(body)
        return {str(info["game_id"]).rjust(10, "0"): date.fromisoformat(info["date"]).toordinal()}
    except (ValueError, KeyError, TypeError):
        return {}


def _is_info(path: PurePath) -> bool:
    return path.suffix == ".json" and path.parent.name == "game_info"


def _is_game(path: PurePath) -> bool:
    return path.suffix == ".csv" or (path.suffix == ".json" and path.name.startswith("playbyplay_"))
