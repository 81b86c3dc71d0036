"""Applies the log's entries to a journal: which ones count, and what was lost.

Pure: :meth:`Follower.take` returns what an entry changed, and the reader notifies the subscribers.
A log may be cut, trimmed, delayed or read twice: repetitions are ignored, and what is missing is
noticed and never skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto

import orjson

from nbad.domain import FeedState
from nbad.publish.entries import (
    BadEntryError,
    BatchEntry,
    Entry,
    HeartbeatEntry,
    More,
    SnapshotEntry,
    Tail,
)
from nbad.stream.batch import Batch, Message
from nbad.stream.journal import StreamJournal
from nbad.stream.story import Story
from nbad.stream.wire import Row


class Change(Enum):
    """What an entry changed."""

    NOTHING = auto()  # a heartbeat, or what is known already
    STALE = auto()  # from a publisher that another has taken over from
    APPENDED = auto()  # the next batch: Follower.batch
    RESTORED = auto()  # another night than before: everyone needs a snapshot
    REMOVED = auto()  # games left: everyone needs a snapshot
    GAP = auto()  # batches before it are missing: read the log again from its start


@dataclass(frozen=True, slots=True)
class ToldStory:
    """The story of a game as the log told it, row by row; ``plays`` None where some are missing."""

    series: list[Row]
    scoring: list[Row]
    plays: list[Row] | None

    def encode_series(self) -> bytes:
        return orjson.dumps(self.series)

    def encode_scoring(self) -> bytes:
        return orjson.dumps(self.scoring)

    def play_rows(self) -> list[Row] | None:
        return self.plays

    def after(self, more: More) -> ToldStory:
        """How it goes on. Raises :class:`BadEntryError` where what is between is missing."""
        return ToldStory(
            more.series.after(self.series) if more.series else self.series,
            more.scoring.after(self.scoring) if more.scoring else self.scoring,
            self._plays_after(more.plays),
        )

    def _plays_after(self, tail: Tail | None) -> list[Row] | None:
        """No subscriber is sent them, so what is missing waits for the next snapshot."""
        if tail is None:
            return self.plays
        return None if tail.kept > len(self.plays or ()) else tail.after(self.plays or [])


class Follower:
    """Keeps ``journal`` as the publisher has it.

    ``fence`` is the highest one of those followed: entries below it are of a publisher that lost
    its lease.
    ``feed`` and ``feed_age_s`` are as the newest entry says; ``batch`` is the newest appended.
    ``lost``: a gap was met, and nothing has bridged it yet.
    """

    def __init__(self, journal: StreamJournal) -> None:
        self.journal = journal
        self.fence = 0
        self.feed = FeedState.DOWN
        self.feed_age_s = 0.0
        self.batch: Batch | None = None
        self.lost = False

    def take(self, entry: Entry) -> Change:
        """Take the log's next entry in."""
        change = self._take(entry)
        if change is Change.GAP:
            self.lost = True
        elif change in (Change.APPENDED, Change.RESTORED):
            self.lost = False
        return change

    def _take(self, entry: Entry) -> Change:
        if entry.fence < self.fence:
            return Change.STALE
        if isinstance(entry, SnapshotEntry) or entry.epoch == self.journal.epoch:
            # A publisher begins with a snapshot: what says less may be a stranger's.
            self.fence = entry.fence
        if isinstance(entry, SnapshotEntry):
            return self._take_snapshot(entry)
        if isinstance(entry, HeartbeatEntry):
            self.feed, self.feed_age_s = entry.feed, entry.feed_age_s
            if self._stands_at(entry):
                with suppress(BadEntryError):  # of a batch that the relay has: it told the same
                    self.journal.tell(self._stories(entry.more))
            known = self._knows(entry) or not self.journal.ready
            return Change.NOTHING if known else Change.GAP
        if self._knows(entry):
            return Change.NOTHING
        return self._take_batch(entry)

    def _knows(self, entry: Entry) -> bool:
        journal = self.journal
        return journal.ready and entry.epoch == journal.epoch and entry.seq <= journal.seq

    def _stands_at(self, entry: Entry) -> bool:
        return self._knows(entry) and entry.seq == self.journal.seq

    def _take_batch(self, entry: BatchEntry) -> Change:
        journal = self.journal
        if not journal.ready:
            return Change.NOTHING  # a log may begin anywhere: its first snapshot is still to come
        if entry.epoch != journal.epoch or entry.seq != journal.seq + 1:
            return Change.GAP
        try:
            stories = self._stories(entry.more, entry.messages)
        except BadEntryError:
            return Change.GAP
        self.batch = journal.append(
            entry.seq, entry.tick, entry.messages, entry.timing_ms, entry.payload, stories
        )
        return Change.APPENDED

    def _stories(
        self, changed: Mapping[str, More], games: Iterable[Message] = ()
    ) -> dict[str, Story]:
        """The stories that are ``changed``, and those of ``games``."""
        known = {game_id: self.journal.story(game_id) for game_id in changed}
        known |= {game.game_id: self.journal.story(game.game_id) for game in games}
        stories: dict[str, Story] = {}
        for game_id, story in known.items():
            before = story if isinstance(story, ToldStory) else ToldStory([], [], [])
            stories[game_id] = before.after(changed.get(game_id, More()))
        return stories

    def _take_snapshot(self, entry: SnapshotEntry) -> Change:
        journal = self.journal
        if self._knows(entry) and entry.seq < journal.seq:
            return Change.NOTHING
        if entry.feed is not None:
            # While batches come there is no heartbeat that says it.
            self.feed, self.feed_age_s = entry.feed, entry.feed_age_s
        if journal.ready and entry.epoch == journal.epoch and entry.seq == journal.seq:
            journal.tell(_told(entry))
            gone = journal.game_ids - {message.game_id for message in entry.messages}
            journal.remove(gone)
            return Change.REMOVED if gone else Change.NOTHING
        journal.restore(entry.epoch, entry.seq, entry.messages, _told(entry))
        return Change.RESTORED


def _told(entry: SnapshotEntry) -> dict[str, Story]:
    nothing = ToldStory([], [], None)
    return {game_id: nothing.after(more) for game_id, more in entry.more.items()}
