"""Recorded games, as the plays that the daemon would have parsed."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nbad.messages import Play

_KINDS = {1: "shot", 2: "miss", 3: "freethrow", 4: "rebound", 5: "turnover", 6: "foul",
          8: "substitution", 9: "timeout", 12: "period", 13: "period"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordedGame:
    """A whole game: its teams and its plays in the order in which they happened."""

    game_id: str
    home_id: int
    away_id: int
    plays: tuple[Play, ...]

    @property
    def final(self) -> tuple[int, int]:
        """The final score, home and away."""
        return self.plays[-1].home, self.plays[-1].away


def read_games(data: Path) -> Iterator[tuple[str, RecordedGame | ValueError]]:
    """The games of a folder or ``.tar.xz`` of stats.nba.com play-by-play CSVs, in order of id.

    Each with its name; a broken game is a :class:`ValueError` that says what is wrong with it.
    """
    texts: dict[str, str] = {}
    if data.is_dir():
        texts = {path.name: path.read_text() for path in data.glob("*.csv")}
    else:
        with tarfile.open(data) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name.endswith(".csv") else None
                if file is not None:
                    texts[Path(member.name).name] = file.read().decode()
    for name, text in sorted(texts.items()):
        try:
            yield name, read_csv(text)
        except (ValueError, KeyError, IndexError) as error:
            yield name, ValueError(f"{name}: {error!r}")


def read_csv(text: str) -> RecordedGame:
    """Read one game in the stats.nba.com form; ``ValueError`` or ``KeyError`` where it is none."""
    home_id = away_id = home = away = 0
    game_id = ""
    plays: list[Play] = []
    for row in csv.DictReader(io.StringIO(text)):
        game_id = row["GAME_ID"].rjust(10, "0")
        if row["SCORE"]:
            away, home = (int(score) for score in row["SCORE"].split(" - "))
        kind, period = int(row["EVENTMSGTYPE"]), int(row["PERIOD"])
        team_id = int(float(row["PLAYER1_TEAM_ID"] or 0))
        # Only the side that made a play describes it; PERSON1TYPE 4 is the home side's player.
        person = int(float(row["PERSON1TYPE"] or 0))
        if team_id and person == 4:
            home_id = team_id
        elif team_id and person == 5:
            away_id = team_id
        minutes, seconds = row["PCTIMESTRING"].split(":")
        number = len(plays) + 1
        plays.append(
            Play(
                number=number,
                order=number * 10_000,
                period=period,
                clock_s=int(minutes) * 60.0 + float(seconds),
                home=home,
                away=away,
                kind=_KINDS.get(kind, "other"),
                subkind={12: "start", 13: "end"}.get(kind, ""),
                team_id=team_id,
                possession=0,
                description=row["HOMEDESCRIPTION"] or row["VISITORDESCRIPTION"],
                actual="",
                edited="",
            )
        )
    if not plays or not home_id or not away_id or home == away:
        raise ValueError(f"expected a finished game of two teams, was {len(plays)} plays")
    return RecordedGame(game_id, home_id, away_id, tuple(plays))
