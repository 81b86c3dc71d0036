"""Recorded games, as the plays that the daemon would have parsed."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from nbad.feed.incremental import read
from nbad.pattern.rating import game_day
from nbad.recording.format import Entry, Recording
from nbad.training.recorded import RecordedGame
from nbad.training.statsform import read_csv

Read = tuple[str, RecordedGame | ValueError]
Load = Callable[[], bytes]


def read_games(data: Path) -> Iterator[Read]:
    """The games of a folder, a ``.tar.xz``, a file or a recording, in the order of their names.

    Games are stats.nba.com CSVs and cdn.nba.com ``playbyplay_*.json``; of a recording made by `nbad
    record`, each game as it was told last. Each comes with its name; a
    broken game is a :class:`ValueError` that says what is wrong with it. ``OSError`` and
    ``tarfile.TarError`` where ``data`` cannot be read at all.
    """
    for name, load in sorted(_bodies(data), key=itemgetter(0)):
        try:
            body = load()
            yield name, read_cdn(body) if name.endswith(".json") else read_csv(body.decode())
        except (ValueError, KeyError, IndexError) as error:
            yield name, ValueError(f"{name}: {error!r}")


def read_cdn(body: bytes) -> RecordedGame:
    """Read one game in the cdn.nba.com form, which does not say who was at home: the scores do."""
    said = read(body)
    plays = said.plays
    home_id = away_id = home = away = 0
    for play in plays:
        if play.team_id and play.home > home and play.away == away:
            home_id = play.team_id
        if play.team_id and play.away > away and play.home == home:
            away_id = play.team_id
        home, away = play.home, play.away
    ended = any(play.kind == "game" and play.subkind == "end" for play in plays)
    if not home_id or not away_id or not ended or home == away:
        raise ValueError(f"expected a finished game of two teams, was {len(plays)} plays")
    return RecordedGame(said.game_id, home_id, away_id, plays, day=game_day(plays[0].actual))


def _bodies(data: Path) -> Iterable[tuple[str, Load]]:
    """Each game's name, and how to read it: a season of documents is more than memory may hold."""
    if data.is_dir() and any(data.glob("*.rec")):
        yield from _recorded(data)
    elif data.is_dir():
        for path in data.rglob("*"):
            if _is_game(path):
                yield path.name, path.read_bytes
    elif data.suffix in (".csv", ".json"):
        yield data.name, data.read_bytes
    else:
        with tarfile.open(data) as archive:
            for member in archive:
                path = Path(member.name)
                file = archive.extractfile(member) if _is_game(path) else None
                if file is not None:
                    yield path.name, partial(_same, file.read())  # CSVs, and cheap to hold


def _recorded(folder: Path) -> Iterable[tuple[str, Load]]:
    recording = Recording(folder)
    last: dict[str, Entry] = {}
    for entry in recording.entries:
        name = PurePath(urlsplit(entry.url).path).name
        if entry.status == 200 and _is_game(PurePath(name)):
            last[name] = entry  # entries are in the order in which they came
    for name, entry in last.items():
        yield name, partial(recording.body, entry)


def _same(body: bytes) -> bytes:
    return body


def _is_game(path: PurePath) -> bool:
    return path.suffix == ".csv" or (path.suffix == ".json" and path.name.startswith("playbyplay_"))
