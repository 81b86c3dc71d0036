"""What is known of a game before it tips off."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from nbad.simulator.league import Club

Action = dict[str, Any]
EASTERN = timezone(timedelta(hours=-5))  # standard time: a simulated night is one of winter


@dataclass(frozen=True, slots=True)
class GameInfo:
    """A game as scheduled. ``scheduled`` is in seconds since the epoch."""

    game_id: str
    scheduled: float
    home: Club
    away: Club
    extra: dict[str, Any] = field(default_factory=dict)  # further keys of the box score's game

    @property
    def code(self) -> str:
        """The game code: the day in the East, and who plays where."""
        day = datetime.fromtimestamp(self.scheduled, EASTERN)
        return f"{day:%Y%m%d}/{self.away.tricode}{self.home.tricode}"

    @property
    def clubs(self) -> tuple[Club, Club]:
        """Home and away."""
        return self.home, self.away


def clock_text(seconds: float) -> str:
    """``PT11M58.00S`` for 718 seconds."""
    hundredths = round(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    return f"PT{minutes:02d}M{rest // 100:02d}.{rest % 100:02d}S"


def clock_seconds(text: str) -> float:
    """The inverse of :func:`clock_text`; an empty clock is 0."""
    if not text:
        return 0.0
    minutes, _, seconds = text.removeprefix("PT").removesuffix("S").partition("M")
    return int(minutes) * 60 + float(seconds)


def utc_text(moment: float, *, tenths: bool = False) -> str:
    """RFC 3339 in whole seconds, or in tenths as the feed writes ``timeActual``."""
    # A tenth lost to binary fractions would put a play before itself.
    tenth = round(moment * 10)
    text = datetime.fromtimestamp(tenth // 10, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{tenth % 10}Z" if tenths else f"{text}Z"


def moment_of(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 moment."""
    return datetime.fromisoformat(text).timestamp()


def eastern_text(moment: float) -> str:
    """``7:30 pm ET``."""
    local = datetime.fromtimestamp(moment, EASTERN)
    return f"{local.hour % 12 or 12}:{local:%M} {'am' if local.hour < 12 else 'pm'} ET"


def meta_time(moment: float) -> str:
    """The moment as the feed writes it in ``meta``: local, without a zone."""
    return datetime.fromtimestamp(moment, EASTERN).strftime("%Y-%m-%d %H:%M:%S.%f")
