"""What a recording of the feed says beside the plays: the season's results, and the odds."""

from __future__ import annotations

from pathlib import Path, PurePath
from urllib.parse import urlsplit

from nbad.feed.decode import BadData
from nbad.feed.odds import parse_odds
from nbad.feed.schedule import parse_schedule
from nbad.pattern.calendar import game_day
from nbad.pattern.market import Line
from nbad.recording.format import Entry, Recording
from nbad.training.results import DatedResult


def recorded_results(folder: Path) -> dict[str, DatedResult]:
    """The results of the last schedule that could be read, by game id; none where there is none."""
    recording = Recording(folder)
    for entry in reversed(recording.entries):
        if entry.status != 200 or not _name(entry).startswith("scheduleLeague"):
            continue
        try:
            schedule = parse_schedule(recording.body(entry))
        except BadData:
            continue
        days = ((result, game_day(result.start_utc)) for result in schedule.results)
        return {result.game_id: DatedResult(result, day) for result, day in days if day is not None}
    return {}


def recorded_lines(folder: Path) -> dict[str, Line]:
    """What the market last said of each game before its plays were first told, by game id."""
    recording = Recording(folder)
    lines: dict[str, Line] = {}
    begun: set[str] = set()
    for entry in recording.entries:  # in the order in which they came
        name = _name(entry)
        if entry.status != 200:
            continue
        if name.startswith("playbyplay_"):
            begun.add(PurePath(name).stem.removeprefix("playbyplay_"))
        elif name == "odds_todaysGames.json":
            try:
                told = parse_odds(recording.body(entry))
            except BadData:
                continue
            lines |= {
                game_id: line
                for game_id, line in told.items()
                if game_id not in begun and not line.absurd
            }
    return lines


def _name(entry: Entry) -> str:
    return PurePath(urlsplit(entry.url).path).name
