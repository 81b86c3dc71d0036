"""A recording as a night that the feed server can serve again."""

from __future__ import annotations

import re
from bisect import bisect_right

from nbad.recording.format import Entry, Recording
from nbad.simulator.source import Resource

_GAME = re.compile(r"/(playbyplay|boxscore)_(\d+)\.json")
# What a recording without a schedule says: a season of no games.
_NO_SCHEDULE = b'{"leagueSchedule":{"gameDates":[]}}'


class RecordedSource:
    """A :class:`~nbad.simulator.source.FeedSource`: what came with status 200, when it came."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._told: dict[tuple[str, str], list[Entry]] = {}
        for entry in recording.entries:
            if entry.status == 200:
                self._told.setdefault(_what(entry.url), []).append(entry)
        boards = self._told.get(("scoreboard", ""))
        if not boards:
            raise ValueError("expected a recording with a scoreboard, was none in it")
        self.starts_at = boards[0].received_at
        self.ends_at = recording.entries[-1].received_at
        self.game_ids = tuple(game for what, game in self._told if what == "playbyplay")

    def scoreboard(self, t: float) -> Resource:
        """The board as it had last come."""
        found = self._at(("scoreboard", ""), max(t, self.starts_at))
        assert found is not None, "a recorded night starts with its first board"
        return found

    def play_by_play(self, game_id: str, t: float) -> Resource | None:
        """A game's plays as they had last come; None before they first did."""
        return self._at(("playbyplay", game_id), t)

    def box_score(self, game_id: str, t: float) -> Resource | None:
        """A game's box score; None where none was asked for."""
        return self._at(("boxscore", game_id), t)

    def odds(self, t: float) -> Resource | None:
        """The odds as they had last come; None where none did."""
        return self._at(("odds", ""), t)

    def schedule(self, t: float) -> Resource:
        """The schedule as it had last come, the first before it had."""
        told = self._told.get(("schedule", ""))
        if not told:
            return Resource((_NO_SCHEDULE,), self.starts_at, "none")
        found = self._at(("schedule", ""), max(t, told[0].received_at))
        assert found is not None
        return found

    def _at(self, what: tuple[str, str], t: float) -> Resource | None:
        entries = self._told.get(what, [])
        index = bisect_right(entries, t, key=lambda entry: entry.received_at) - 1
        if index < 0:
            return None
        entry = entries[index]
        tag = f"{entry.file.stem}-{entry.offset}-{entry.start}"
        modified = entry.received_at if entry.modified is None else entry.modified
        return Resource((self._recording.body(entry),), modified, tag)


def _what(url: str) -> tuple[str, str]:
    game = _GAME.search(url)
    if game:
        return game[1], game[2]
    for what in ("scoreboard", "odds"):
        if f"/{what}/" in url:
            return what, ""
    return "schedule", ""
