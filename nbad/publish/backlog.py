"""What the log still lacks, piece by piece. Pure: the publisher writes it and says what was taken.

Nothing is held here but numbers. The batches wait in the journal's ring, and one that it no longer
holds is lost to the log: a snapshot takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nbad.publish.entries import More
from nbad.publish.tails import Tails
from nbad.stream import frames
from nbad.stream.journal import EVERYTHING, StreamJournal


@dataclass(frozen=True, slots=True)
class Piece:
    """The next entry: its ``body`` and what goes ``more`` with it. The log then stands at ``seq``.

    ``removals`` is set for a snapshot only, ``told`` where ``more`` says all there is to say,
    ``plays`` where that includes the plays.
    """

    body: bytes
    more: Mapping[str, More]
    seq: int
    told: bool
    plays: bool
    removals: int | None = None


class Backlog:
    """What of ``journal`` the log has. ``lost`` counts the batches that it never got."""

    def __init__(self, journal: StreamJournal) -> None:
        self.lost = 0
        self._journal = journal
        self._tails = Tails()
        self._seq: int | None = None
        self._removals = 0
        self._entries = 0  # since the last snapshot
        self._owed = True

    @property
    def seq(self) -> int:
        """The newest batch that the log has, 0 for none."""
        return self._seq or 0

    def owe_snapshot(self) -> None:
        """The log may lack what it was given: once it has the rest, it gets the whole night."""
        self._owed = True

    def note_length(self, entries: int) -> None:
        """The log has so many ``entries``, the one that is not confirmed yet among them: where it
        was cut behind its last snapshot, whoever comes now would wait for the next."""
        if self._entries + 1 >= entries:
            self._owed = True

    def prepare(self) -> Iterator[None]:
        """Do what the first snapshot would take long for, step by step."""
        return self._tails.prepare(self._journal)

    def begin_anew(self) -> None:
        """It is another log from now on, or another has written to it: whoever reads it knows
        nothing of our batches, and the whole night goes first."""
        self._seq = None
        self._owed = True

    def next(self, every: int, plays: bool) -> Piece | None:
        """The next piece, None where the log has all; a snapshot at least ``every`` entries.

        ``plays``: with what is new of the games' plays, where it is the newest batch.
        """
        journal = self._journal
        if self._seq is not None and self._seq + 1 < journal.oldest:
            self.lost += journal.seq - self._seq
            self._seq = None
        batch = None if self._seq is None else next(journal.after(self._seq, EVERYTHING), None)
        if batch is not None:
            newest = batch.seq == journal.seq
            more = self._tails.news(journal, plays) if newest else {}
            return Piece(frames.payload(batch.frame), more, batch.seq, newest, newest and plays)
        owed = self._owed or self._seq is None or self._removals != journal.removals
        if not owed and self._entries < every:
            return None
        body = frames.payload(journal.snapshot(EVERYTHING))
        more = self._tails.whole(journal)
        return Piece(body, more, journal.seq, True, True, journal.removals)

    def news(self) -> dict[str, More]:
        """What goes with a heartbeat, the log having all batches: the plays that it lacks."""
        return self._tails.news(self._journal, True) if self._seq == self._journal.seq else {}

    def confirm(self, piece: Piece) -> None:
        """The log has ``piece``, which was asked for last."""
        self._seq = piece.seq
        self._entries += 1
        if piece.told:
            self._tails.confirm()
        if piece.removals is not None:
            self._removals, self._entries, self._owed = piece.removals, 0, False

    def confirm_heartbeat(self) -> None:
        """The log has a heartbeat, with what :meth:`news` last told."""
        self._entries += 1
        if self._seq == self._journal.seq:
            self._tails.confirm()
