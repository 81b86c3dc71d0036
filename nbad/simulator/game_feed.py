"""What the feed says of one game at any moment, made from its list of changes."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right

import orjson
from cachetools import LRUCache

from nbad.simulator.boxscore import box_score
from nbad.simulator.changes import Change
from nbad.simulator.game_info import Action, GameInfo, meta_time
from nbad.simulator.source import Resource
from nbad.simulator.standing import Standing, entry, standing
from nbad.simulator.tally import Tally

# Plays per chunk of a play-by-play: what a new play makes anew, and what a server keeps compressed.
_CHUNK = 32
# Documents kept per game: what several clients and a feed that goes back in time ask for at once.
_KEPT = 4


def encode_meta(what: str, moment: float) -> bytes:
    """The ``meta`` of a document that last changed at ``moment``."""
    return orjson.dumps(
        {
            "version": 1,
            "code": 200,
            "request": f"http://nba.cloud/{what}?Format=json",
            "time": meta_time(moment),
        }
    )


class GameFeed:
    """One game's documents by revision: 0 before tip-off, one more at every moment of change."""

    def __init__(self, info: GameInfo, changes: tuple[Change, ...]) -> None:
        if not changes:
            raise ValueError(f"{info.game_id}: expected at least one change, was none")
        self.info = info
        self.changes = changes
        self.moments: tuple[float, ...] = tuple(sorted({change.at for change in changes}))
        digest = hashlib.blake2b(digest_size=6)
        self._encoded: list[bytes] = []
        for change in changes:
            text = b"" if change.action is None else orjson.dumps(change.action)
            digest.update(b"%d %d " % (round(change.at * 1000), change.number) + text)
            self._encoded.append(text)
        self._fingerprint = digest.hexdigest()
        times = [change.at for change in changes]
        self._ends = [bisect_right(times, moment) for moment in self.moments]
        self._cursor = _Cursor(info)
        self._plays: LRUCache[int, Resource] = LRUCache(_KEPT)
        self._boxes: LRUCache[int, Resource] = LRUCache(_KEPT)
        self._entries: LRUCache[int, bytes] = LRUCache(_KEPT * 4)

    @property
    def tip(self) -> float:
        """When the game's first play is published."""
        return self.moments[0]

    @property
    def over(self) -> float:
        """When its last change is published."""
        return self.moments[-1]

    def revision(self, t: float) -> int:
        """The current revision at a moment."""
        return bisect_right(self.moments, t)

    def modified(self, revision: int) -> float | None:
        """When that revision came; None for 0."""
        return self.moments[revision - 1] if revision else None

    def actions(self, revision: int) -> list[Action]:
        """The plays of a revision in order."""
        return self._at(revision).ordered()

    def standing(self, revision: int) -> Standing:
        """Where the game stands."""
        return standing(self.info, self._at(revision).last())

    def play_by_play(self, revision: int) -> Resource | None:
        """The play-by-play of a revision; None for 0."""
        if not revision:
            return None
        if revision not in self._plays:
            modified = self.moments[revision - 1]
            head = b'{"meta":%b,"game":{"gameId":"%b","actions":[' % (
                encode_meta(f"games/{self.info.game_id}/playbyplay", modified),
                self.info.game_id.encode(),
            )
            chunks = (head, *self._at(revision).chunks(), b"]}}")
            self._plays[revision] = Resource(chunks, modified, self._tag(revision))
        return self._plays[revision]

    def box_score(self, revision: int) -> Resource | None:
        """The box score of a revision; None for 0."""
        if not revision:
            return None
        if revision not in self._boxes:
            modified = self.moments[revision - 1]
            game = orjson.dumps(box_score(self.info, self._at(revision).ordered()))
            meta = encode_meta(f"games/{self.info.game_id}/boxscore", modified)
            body = b'{"meta":%b,"game":%b}' % (meta, game)
            self._boxes[revision] = Resource((body,), modified, self._tag(revision))
        return self._boxes[revision]

    def entry(self, revision: int) -> bytes:
        """The game's entry on the scoreboard, encoded."""
        if revision not in self._entries:
            cursor = self._at(revision)
            self._entries[revision] = orjson.dumps(entry(self.info, cursor.last(), cursor.tally))
        return self._entries[revision]

    def _tag(self, revision: int) -> str:
        return f"{self._fingerprint}-{revision:x}"

    def _at(self, revision: int) -> _Cursor:
        """The cursor, moved there: on from where it is, or anew from the start to go back."""
        end = self._ends[revision - 1] if revision else 0
        if end < self._cursor.position:
            self._cursor = _Cursor(self.info)
        for place in range(self._cursor.position, end):
            self._cursor.apply(self.changes[place], self._encoded[place])
        return self._cursor


class _Cursor:
    """The plays shown after a number of changes, kept in order and in encoded chunks."""

    def __init__(self, info: GameInfo) -> None:
        self.position = 0
        self.tally = Tally(info)
        self._actions: dict[int, Action] = {}  # by number
        self._orders: list[int] = []
        self._numbers: list[int] = []
        self._texts: list[bytes] = []
        self._chunks: list[bytes] = []  # of the leading plays whose chunks still hold

    def apply(self, change: Change, encoded: bytes) -> None:
        """Take one change."""
        self.position += 1
        old = self._actions.pop(change.number, None)
        if old is not None:
            self.tally.apply(old, -1)
            place = bisect_left(self._orders, old["orderNumber"])
            if change.action is not None and change.action["orderNumber"] == old["orderNumber"]:
                self._texts[place] = encoded
                self._spoil(place, only=True)
                self._actions[change.number] = change.action
                self.tally.apply(change.action, 1)
                return
            del self._orders[place], self._numbers[place], self._texts[place]
            self._spoil(place)
        if change.action is None:
            return
        order = change.action["orderNumber"]
        place = bisect_left(self._orders, order)
        self._orders.insert(place, order)
        self._numbers.insert(place, change.number)
        self._texts.insert(place, encoded)
        self._actions[change.number] = change.action
        self.tally.apply(change.action, 1)
        self._spoil(place)

    def _spoil(self, place: int, *, only: bool = False) -> None:
        """Forget the chunk that holds ``place``, and those after it unless ``only`` it changed."""
        chunk = place // _CHUNK
        if not only:
            del self._chunks[chunk:]
        elif chunk < len(self._chunks):
            self._chunks[chunk] = b""

    def ordered(self) -> list[Action]:
        """The plays in order."""
        return [self._actions[number] for number in self._numbers]

    def last(self) -> Action | None:
        """The last play in order."""
        return self._actions[self._numbers[-1]] if self._numbers else None

    def chunks(self) -> list[bytes]:
        """The plays as JSON, comma-separated, cut every few plays."""
        for chunk in range((len(self._texts) + _CHUNK - 1) // _CHUNK):
            if chunk < len(self._chunks) and self._chunks[chunk]:
                continue
            start = chunk * _CHUNK
            text = b",".join(self._texts[start : start + _CHUNK])
            text = b"," + text if chunk else text
            if chunk < len(self._chunks):
                self._chunks[chunk] = text
            else:
                self._chunks.append(text)
        return list(self._chunks)
