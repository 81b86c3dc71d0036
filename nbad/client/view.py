"""The state that the messages lead to: pure, the same for any transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbad.client import frames
from nbad.client.messages import Batch, Game, Message, Snapshot

if TYPE_CHECKING:
    import pandas
    import polars

REGULATION_S, QUARTER_S, OVERTIME_S = 2880.0, 720.0, 300.0


class GapError(Exception):
    """A batch arrived out of sequence: something was lost, or came twice."""


class View:
    """``games`` is the newest message of every game by its id.

    ``series`` holds each game's forecasts so far, rows of [elapsed_s, home_win, margin p10, p50,
    p90, total p50]: those of the snapshot, and one more for each message since.
    ``epoch`` and ``seq`` are its position (seq -1: no view yet). ``filtered``: numbers may be
    skipped, those of batches without a requested game.
    """

    def __init__(self, *, filtered: bool) -> None:
        self.games: dict[str, Game] = {}
        self.series: dict[str, list[tuple[float, ...]]] = {}
        self.epoch = ""
        self.seq = -1
        self.filtered = filtered

    @property
    def since(self) -> str | None:
        """The position to resume from after a drop; None for a snapshot."""
        return f"{self.epoch}.{self.seq}" if self.seq >= 0 else None

    def take(self, message: Message) -> None:
        """Apply a message; most do not concern games. Raises :class:`GapError`."""
        match message:
            case Snapshot():
                self.games = {game.game_id: game for game in message.games}
                self.series = {game.game_id: list(game.series or ()) for game in message.games}
                for game in message.games:
                    self._grow(game)
            case Batch():
                self._check(message)
                self.games.update((game.game_id, game) for game in message.messages)
                for game in message.messages:
                    self._grow(game)
            case _:
                return
        self.epoch, self.seq = message.epoch, message.seq

    def forget(self) -> None:
        """Ask for a snapshot at the next resume. The games stay as they were last seen."""
        self.seq = -1

    def to_frame(self, what: frames.What = "games") -> pandas.DataFrame:
        """The games, a row each, or their ``series``, a row for each moment, for pandas."""
        import pandas

        return pandas.DataFrame(self._rows(what))

    def to_polars(self, what: frames.What = "games") -> polars.DataFrame:
        """As :meth:`to_frame`, for polars."""
        import polars

        return polars.DataFrame(self._rows(what), infer_schema_length=None)

    def _rows(self, what: frames.What) -> list[dict[str, Any]]:
        if what == "games":
            return frames.game_rows(self.games.values())
        return frames.series_rows(self.series)

    def _grow(self, game: Game) -> None:
        """Add the moment of ``game`` to its series, in place of any later ones."""
        forecast = game.forecast
        series = self.series.setdefault(game.game_id, [])
        if forecast is None or not game.period:
            return
        at = elapsed_s(game.period, game.clock_s)
        while series and series[-1][0] >= at:
            series.pop()
        margin = forecast.margin
        series.append(
            (at, forecast.home_win, margin.p10, margin.p50, margin.p90, forecast.total.p50)
        )

    def _check(self, batch: Batch) -> None:
        step = batch.seq - self.seq
        right = step >= 1 if self.filtered else step == (batch.conflated or 1)
        if self.seq < 0 or batch.epoch != self.epoch or not right:
            raise GapError(f"a gap: {batch.epoch}.{batch.seq} came after {self.epoch}.{self.seq}")


def elapsed_s(period: int, clock_s: float) -> float:
    """Game seconds since tip-off, ``clock_s`` being left in ``period``."""
    if period <= 4:
        return period * QUARTER_S - clock_s
    return REGULATION_S + (period - 4) * OVERTIME_S - clock_s
