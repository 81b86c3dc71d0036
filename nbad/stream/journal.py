"""The state of the stream: every game's newest message, and a ring of the last batches.

Pure state, no I/O: :meth:`StreamJournal.apply` takes a tick in, the rest answers what a
subscriber with a given interest and cursor is to be sent.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from cachetools import LRUCache

from nbad.domain import FeedState, Game
from nbad.stream import frames, wire
from nbad.stream.batch import Batch, Interest, Message, supersede
from nbad.stream.deflate import DeflatedFrames
from nbad.stream.story import GameStory, Story

# Batches kept: ten minutes of one a second, longer than a phone in a tunnel or a restart of an app.
# At about 4 KB a batch this is 2.5 MB; a client that was away longer gets a snapshot.
RING = 600

# Frames of filtered batches and snapshots that are kept for the next subscriber with the same
# filter. Beyond this they are encoded on every use: still correct, only slower.
CACHED_FRAMES = 256
# Cache of replay frames: after an outage many clients with the same filter resume together.
REPLAY_CACHE_BYTES = 4 * 1024 * 1024


_game_id, _home, _away, _body = map(attrgetter, ("game_id", "home", "away", "body"))


class StreamJournal:
    """The state that is streamed. ``seq`` is that of the newest batch, 0 before the first.

    Fed by the ticks of this process (:meth:`apply`) or by the log of another (:meth:`append`,
    :meth:`restore`, :meth:`remove`).

    ``ready`` is False until the feed was seen once: before that an empty snapshot would be a lie.
    ``conflated_total`` counts the batches that were joined for subscribers that read too slowly,
    ``removals`` how often games left: no batch tells of that, so whoever saw them needs a snapshot.
    ``follows``: it is fed by a log, and a subscriber may have seen elsewhere what comes next.
    """

    def __init__(self, epoch: str, ring: int = RING, *, follows: bool = False) -> None:
        if "." in epoch:
            raise ValueError(f"epoch: expected no dot (since is EPOCH.SEQ), was {epoch!r}")
        self.epoch = epoch
        self.follows = follows
        self.seq = 0
        self.ready = False
        self.conflated_total = 0
        self.removals = 0
        self.feed = FeedState.DOWN
        self.feed_age_s = 0.0
        self._departed_at = -1
        self._restored_at = -1
        self._games: dict[str, Message] = {}
        # Beside the messages, not in them: the ring keeps those of the last minutes, and must not
        # keep each tick's plays and series alive with them.
        self._stories: dict[str, Story] = {}
        self._whole: dict[str, bytes] = {}
        self._snapshots: dict[Interest, bytes] = {}
        self._ring: deque[Batch] = deque(maxlen=ring)
        self._names = (frozenset[str](), frozenset[str]())
        self.deflated = DeflatedFrames()
        self._replayed: LRUCache[tuple[int, Interest], bytes] = LRUCache(
            REPLAY_CACHE_BYTES, getsizeof=len
        )

    @property
    def games(self) -> int:
        """How many games the night holds."""
        return len(self._games)

    @property
    def oldest(self) -> int:
        """The ``seq`` of the oldest batch that the ring holds; one more than ``seq`` for none."""
        return self.seq - len(self._ring) + 1

    @property
    def game_ids(self) -> frozenset[str]:
        """The games that the night holds."""
        return frozenset(self._games)

    def story(self, game_id: str) -> Story | None:
        """How a game went so far; None for an unknown one."""
        return self._stories.get(game_id)

    def bodies(self) -> list[bytes]:
        """Every game's newest message, as JSON."""
        return [message.body for message in self._games.values()]

    def body(self, game_id: str) -> bytes | None:
        """A game's newest message, as JSON; None for an unknown one."""
        message = self._games.get(game_id)
        return None if message is None else message.body

    def whole(self, game_id: str) -> bytes | None:
        """A game's newest message with its series and scoring, as JSON; None for an unknown one."""
        message = self._games.get(game_id)
        if message is None:
            return None
        scoring = self._stories[game_id].encode_scoring()
        return wire.with_scoring(self._whole_game(message), scoring)

    def play_rows(self, game_id: str) -> Sequence[Sequence[Any]] | None:
        """A row for each play of a game (:func:`.wire.play_rows`); None where nobody knows them."""
        story = self._stories.get(game_id)
        return None if story is None else story.play_rows()

    def note_feed(self, feed: FeedState, age_s: float) -> None:
        """Keep how the feed is, for snapshots: those that would tell its age wrong go."""
        if feed != self.feed or feed is not FeedState.OK:
            self._snapshots.clear()
        self.feed, self.feed_age_s = feed, age_s

    def encode(self, games: tuple[Game, ...]) -> tuple[Message, ...]:
        """Serialise the games of a tick, each once."""
        messages = []
        for game in games:
            line = game.update.entry
            # A copy: what orjson returns keeps its whole buffer, some 8 KB for these 800 bytes,
            # and the ring holds a message of each game for each of 600 batches.
            body = bytes(memoryview(wire.encode_game(game)))
            home, away = line.home.tricode, line.away.tricode
            corrected = game.update.corrected
            messages.append(Message(line.game_id, home, away, body, corrected))
        return tuple(messages)

    def apply(
        self,
        tick: int,
        games: tuple[Game, ...],
        messages: tuple[Message, ...],
        timing_ms: Mapping[str, float],
        *,
        dropped: tuple[str, ...] = (),
        seen: bool = True,
    ) -> Batch | None:
        """Take a tick in, ``messages`` being its ``games`` encoded; None where no game changed.

        ``dropped`` are the games that left the night; ``seen``: the feed was seen whole once.
        """
        self.ready = self.ready or seen
        batch = self._next_batch(tick, games, messages, timing_ms) if messages else None
        if dropped:
            self.remove(set(dropped).difference(map(_game_id, messages)))
        return batch

    def _next_batch(
        self,
        tick: int,
        games: tuple[Game, ...],
        messages: tuple[Message, ...],
        timing_ms: Mapping[str, float],
    ) -> Batch:
        bodies = map(_body, messages)
        payload = wire.encode_batch(self.epoch, self.seq + 1, tick, bodies, timing_ms)
        stories = {
            message.game_id: GameStory(game.series, game.update.plays, game)
            for game, message in zip(games, messages, strict=True)
        }
        return self.append(self.seq + 1, tick, messages, timing_ms, payload, stories)

    def append(
        self,
        seq: int,
        tick: int,
        messages: tuple[Message, ...],
        timing_ms: Mapping[str, float],
        payload: bytes,
        stories: Mapping[str, Story],
    ) -> Batch:
        """Take the batch ``payload`` in, with the stories of its games, and of others that went on.

        Raises ValueError where it is not the next: between two batches lies no gap.
        """
        if seq != self.seq + 1:
            raise ValueError(f"expected the batch {self.seq + 1}, was {seq}")
        self._snapshots.clear()
        for message in messages:
            self._games[message.game_id] = message
        self.tell(stories)
        if self._ring:
            # Filtered frames are for the moment of sending; the ring keeps the whole batch only.
            self._ring[-1].parts.clear()
            self._ring[-1].bits.clear()
        self.seq = seq
        self.deflated.begin_batch()
        names = (
            frozenset(map(_game_id, messages)),
            frozenset((*map(_home, messages), *map(_away, messages))),
        )
        if names == self._names:
            names = self._names  # 3 KB less a batch, where the same games change each time
        self._names = names
        batch = Batch(seq, tick, messages, dict(timing_ms), frames.text_frame(payload), *names)
        self._ring.append(batch)
        return batch

    def tell(self, stories: Mapping[str, Story]) -> None:
        """Take in how games went on; of those that the night does not hold, nothing."""
        for game_id in stories.keys() & self._games.keys():
            self._stories[game_id] = stories[game_id]
            self._whole.pop(game_id, None)

    def remove(self, game_ids: Iterable[str]) -> None:
        """Let those of ``game_ids`` go that the night holds. Whoever saw them needs a snapshot."""
        gone = [game_id for game_id in game_ids if game_id in self._games]
        for game_id in gone:
            del self._games[game_id], self._stories[game_id]
            self._whole.pop(game_id, None)
        if gone:
            self.removals += 1
            self._departed_at = self.seq
            self._snapshots.clear()

    def restore(
        self, epoch: str, seq: int, messages: Iterable[Message], stories: Mapping[str, Story]
    ) -> None:
        """Go on from a snapshot. The batches before it are unknown: all need that snapshot."""
        self.epoch = epoch
        self.seq = seq
        self.ready = True
        self._games = {message.game_id: message for message in messages}
        self._stories = {game_id: stories[game_id] for game_id in self._games}
        self._whole.clear()
        self._snapshots.clear()
        self._ring.clear()
        self._departed_at = seq - 1
        self._restored_at = seq

    def frame(self, batch: Batch, interest: Interest) -> bytes | None:
        """The batch as ``interest`` sees it, None where it holds none of its games."""
        if not interest:
            return batch.frame
        if batch.seq != self.seq:
            return self._replay(batch, interest)
        # Games as bits: there may be thousands of filters, and each looks at the batch.
        by_game, by_team = batch.bits or _fill_bits(batch)
        wanted = 0
        for name in interest.games:
            wanted |= by_game.get(name, 0)
        for name in interest.teams:
            wanted |= by_team.get(name, 0)
        if not wanted:
            return None
        if wanted == (1 << len(batch.messages)) - 1:
            return batch.frame
        # Kept by the games, not the interest: different filters often pick the same games.
        frame = batch.parts.get(wanted)
        if frame is None:
            messages = batch.messages
            part = tuple(one for place, one in enumerate(messages) if wanted >> place & 1)
            frame = self._batch_frame(batch, part)
            if len(batch.parts) < CACHED_FRAMES:
                batch.parts[wanted] = frame
        return frame

    def _replay(self, batch: Batch, interest: Interest) -> bytes | None:
        """As :meth:`frame`, of an older batch: what is kept of those is bounded in all."""
        frame: bytes | None = self._replayed.get((batch.seq, interest))
        if frame is None:
            wanted = tuple(message for message in batch.messages if interest.wants(message))
            if not wanted:
                return None
            frame = self._batch_frame(batch, wanted)
            self._replayed[batch.seq, interest] = frame
        return frame

    def snapshot(self, interest: Interest) -> bytes:
        """The frame of a snapshot, true at ``seq``, of the games of ``interest``."""
        frame = self._snapshots.get(interest)
        if frame is None:
            wanted = (game for game in self._games.values() if interest.wants(game))
            payload = wire.encode_snapshot(
                self.epoch,
                self.seq,
                [self._whole_game(game) for game in wanted],
                self.feed,
                self.feed_age_s,
            )
            frame = frames.text_frame(payload)
            if len(self._snapshots) < CACHED_FRAMES:
                self._snapshots[interest] = frame
        return frame

    def holds(self, seq: int) -> bool:
        """Whether the batches of the ring after ``seq`` tell all that happened since."""
        return max(self.oldest - 1, self._departed_at + 1) <= seq <= self.seq

    def resumes(self, seq: int) -> bool:
        """As :meth:`holds`, for a client that was at ``seq`` elsewhere: games may have left right
        there, before the snapshot that this journal began with."""
        return self.holds(seq) and seq > self._restored_at

    def expects(self, seq: int) -> bool:
        """Whether the log may be about to bring the batch ``seq`` that a client saw elsewhere.

        While it can be read nobody is further ahead of it than a ring: its publisher would have
        written a snapshot.
        """
        most = math.inf if self.feed is FeedState.DOWN else self.seq + RING
        return self.follows and self.seq < seq <= most

    def after(self, seq: int, interest: Interest) -> Iterator[Batch]:
        """The batches of the ring after ``seq`` that hold a game of ``interest``, oldest first."""
        for index in range(max(0, seq + 1 - self.oldest), len(self._ring)):
            batch = self._ring[index]
            if (
                not interest
                or not interest.games.isdisjoint(batch.games)
                or not interest.teams.isdisjoint(batch.teams)
            ):
                yield batch

    def conflated(self, seq: int, interest: Interest) -> tuple[bytes, int] | None:
        """All batches after ``seq`` as one: its frame, and how many it stands for.

        It holds the newest message of each game and the number of the newest batch. None where
        there was none for ``interest``. The ring must hold them (:meth:`holds`).
        """
        newest: dict[str, Message] = {}
        count = 0
        last: Batch | None = None
        for batch in self.after(seq, interest):
            for message in batch.messages:
                if interest.wants(message):
                    newest[message.game_id] = supersede(newest.get(message.game_id), message)
            last = batch
            count += 1
        if last is None:
            return None
        self.conflated_total += count
        return self._batch_frame(last, tuple(newest.values()), count), count

    def _batch_frame(
        self, batch: Batch, messages: tuple[Message, ...], conflated: int = 0
    ) -> bytes:
        payload = wire.encode_batch(
            self.epoch,
            batch.seq,
            batch.tick,
            map(_body, messages),
            batch.timing_ms,
            conflated,
        )
        return frames.text_frame(payload)

    def _whole_game(self, message: Message) -> bytes:
        """Encoded when first asked for: most ticks pass without a newcomer."""
        whole = self._whole.get(message.game_id)
        if whole is None:
            series = self._stories[message.game_id].encode_series()
            whole = wire.with_series(message.body, series)
            self._whole[message.game_id] = whole
        return whole


def _fill_bits(batch: Batch) -> list[dict[str, int]]:
    by_game: dict[str, int] = {}
    by_team: dict[str, int] = {}
    for place, message in enumerate(batch.messages):
        by_game[message.game_id] = by_game.get(message.game_id, 0) | 1 << place
        for team in (message.home, message.away):
            by_team[team] = by_team.get(team, 0) | 1 << place
    batch.bits.extend((by_game, by_team))
    return batch.bits
