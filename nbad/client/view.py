"""What the messages add up to: the client's fold, pure, the same for any transport."""

from __future__ import annotations

from nbad.client.messages import Batch, Game, Message, Snapshot


class GapError(Exception):
    """A batch came that is not the next: something was lost, or came twice."""


class View:
    """``games`` is the newest message of every game by its id.

    ``epoch`` and ``seq`` are where it stands (seq -1: no view yet). ``filtered`` says that numbers
    may be left out, those of batches without a game asked for.
    """

    def __init__(self, *, filtered: bool) -> None:
        self.games: dict[str, Game] = {}
        self.epoch = ""
        self.seq = -1
        self.filtered = filtered

    @property
    def since(self) -> str | None:
        """From where to go on after a drop; None for a snapshot."""
        return f"{self.epoch}.{self.seq}" if self.seq >= 0 else None

    def take(self, message: Message) -> None:
        """Take a message in; most say nothing of games. Raises :class:`GapError`."""
        match message:
            case Snapshot():
                self.games = {game.game_id: game for game in message.games}
            case Batch():
                self._check(message)
                self.games.update((game.game_id, game) for game in message.messages)
            case _:
                return
        self.epoch, self.seq = message.epoch, message.seq

    def forget(self) -> None:
        """Ask for a snapshot at the next resume. The games stay as they were last seen."""
        self.seq = -1

    def _check(self, batch: Batch) -> None:
        step = batch.seq - self.seq
        right = step >= 1 if self.filtered else step == (batch.conflated or 1)
        if self.seq < 0 or batch.epoch != self.epoch or not right:
            raise GapError(f"a gap: {batch.epoch}.{batch.seq} came after {self.epoch}.{self.seq}")
