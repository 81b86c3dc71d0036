"""The parser: what the feed sent → what changed, typed; the one judge of what is older."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from nbad.channels import Receiver, Sender
from nbad.domain import BoardEntry, Play, Status, Update
from nbad.feed.decode import BadData
from nbad.feed.incremental import Reading, read
from nbad.feed.names import Names
from nbad.feed.playbyplay import Comparison, compare
from nbad.observe.timing import stage
from nbad.stages.envelopes import Fetched, Payload, Updates

log = structlog.get_logger()

# An older-looking snapshot that the feed keeps showing for this long is what it now means to say.
_CONFIRM_S = 30.0


@dataclass(slots=True)
class _Known:
    """What is known of a game, and a snapshot that looked older, which is waiting to be believed"""

    entry: BoardEntry
    plays: tuple[Play, ...] = ()
    reading: Reading | None = None
    source_time: str = ""
    modified: float | None = None
    doubted: Payload | None = None


class GameTracker:
    """Every game being followed. Bounded by the night: a dropped game leaves nothing behind."""

    def __init__(self, names: Names | None = None) -> None:
        self._games: dict[str, _Known] = {}
        self._names = names or Names()

    def take(self, fetched: Fetched) -> tuple[Updates, list[tuple[str, str]]]:
        """What changed with ``fetched``, and the games in trouble, each with the reason."""
        for game_id in fetched.dropped:
            self._games.pop(game_id, None)
        changed: dict[str, Update] = {}
        trouble: list[tuple[str, str]] = []
        board = fetched.scoreboard
        for line in board.entries if board else ():
            known = self._games.get(line.game_id)
            before = known.entry if known else None
            if known is None:
                known = self._games[line.game_id] = _Known(line)
            # A game with plays is where its plays say; the board adds what they cannot.
            known.entry = _placed(self._names.named(line), known.plays)
            if known.entry != before:
                changed[line.game_id] = self._update(known, fetched.received_at)
        # What is new first: it may have settled a doubt that is still standing.
        self._read_all(fetched.payloads, fetched, changed, trouble)
        doubted = [known.doubted for known in self._games.values() if known.doubted]
        self._read_all(doubted, fetched, changed, trouble)
        games = tuple(changed.values())
        return Updates(fetched.tick, games, fetched.schedule, fetched.dropped), trouble

    def _read_all(
        self,
        payloads: Iterable[Payload],
        fetched: Fetched,
        changed: dict[str, Update],
        trouble: list[tuple[str, str]],
    ) -> None:
        for payload in payloads:
            try:
                update = self._read(payload, fetched)
            except BadData as error:
                trouble.append((payload.game_id, str(error)))
                continue
            if update is not None:
                changed[payload.game_id] = update

    def _read(self, payload: Payload, fetched: Fetched) -> Update | None:
        known = self._games.get(payload.game_id)
        if known is None:
            raise BadData("expected a game of the scoreboard, was one never listed")
        if known.reading is not None and payload.body == known.reading.body:
            known.doubted = None
            return None
        reading = read(payload.body, known.reading)
        if reading.game_id != payload.game_id:
            raise BadData(f"gameId: expected {payload.game_id}, was {reading.game_id}")
        plays = reading.plays
        judged = compare(known.plays, plays)
        if judged.older and not _believed(known, payload, fetched):
            if known.doubted is None or known.doubted.body != payload.body:
                known.doubted = payload
                raise BadData("expected a newer state, was one from before: not published")
            return None
        known.doubted = None
        known.reading, known.modified = reading, payload.last_modified
        if not judged.corrected and judged.unchanged == len(plays):
            return None
        known.plays = plays
        # Where nothing was taken back, what is new may be later, and no more.
        new = plays if judged.corrected else plays[judged.unchanged :]
        before = "" if judged.corrected else known.source_time
        known.source_time = max((play.actual for play in new), default="")
        known.source_time = max(known.source_time, before)
        known.entry = _placed(known.entry, plays)
        return self._update(known, payload.received_at, judged)

    def _update(
        self, known: _Known, received_at: float, judged: Comparison | None = None
    ) -> Update:
        """``judged`` is None where the plays are those of before."""
        plays = known.plays
        player = self._names.player(plays[-1]) if plays else ""
        unchanged = judged.unchanged if judged else len(plays)
        corrected = judged is not None and judged.corrected
        source_time = known.source_time
        return Update(known.entry, plays, unchanged, corrected, source_time, received_at, player)


def _believed(known: _Known, payload: Payload, fetched: Fetched) -> bool:
    """Whether a snapshot that looks older is the feed's word all the same: its own date says that
    it is newer, or it has been shown for long."""
    if payload.last_modified is not None and known.modified is not None:
        if payload.last_modified > known.modified:
            return True
        if payload.last_modified < known.modified:
            return False
    return fetched.received_at - payload.received_at > _CONFIRM_S


def _placed(line: BoardEntry, plays: tuple[Play, ...]) -> BoardEntry:
    """``line`` with the score and the clock of the last play."""
    if not plays:
        return line
    last = plays[-1]
    over = last.kind == "game" and last.subkind == "end"
    # Made outright: replace() takes four times as long, and every line comes here every tick.
    return BoardEntry(
        line.game_id,
        # A game that left the board at midnight ends when its plays say so.
        Status.FINAL if over else line.status,
        last.period,
        last.clock_s,
        line.start_utc,
        line.home,
        line.away,
        last.home,
        last.away,
    )


async def parse(fetched: Receiver[Fetched], updates: Sender[Updates]) -> None:
    """Parse each tick; a game in trouble is skipped and logged, the rest go on."""
    book = GameTracker()
    skipped = 0
    with fetched, updates:
        async for round_ in fetched:
            with stage("parse", round_.tick, len(round_.payloads), fetched):
                made, trouble = book.take(round_)
            round_.tick.errors["parse"] += len(trouble)
            for game_id, reason in trouble:
                skipped += 1
                log.warning("game_skipped", game_id=game_id, reason=reason, skipped=skipped)
            await updates.send(made)
