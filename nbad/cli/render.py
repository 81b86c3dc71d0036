"""A game in the words of a terminal, the same in ``watch`` and ``demo``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from nbad.pattern import clock
from nbad.pattern.clock import REGULATION_S, period_name

if TYPE_CHECKING:
    from nbad.client import Game

_EIGHTHS = " ▏▎▍▌▋▊▉"
_SPARKS = "▁▂▃▄▅▆▇█"
_IN_PLAY = ("live", "halftime")


def where(status: str, period: int, clock_s: float, start_utc: str | None) -> str:
    """Where a game stands, in at most 9 columns; the tip-off is of this machine's time zone."""
    if status == "live":
        minutes, seconds = divmod(int(clock_s), 60)
        return f"{period_name(period)} {minutes:2}:{seconds:02}"
    if status == "final" and period > 4:
        return f"final/{period_name(period)}"
    if status == "scheduled" and start_utc:
        try:
            return f"at {datetime.fromisoformat(start_utc).astimezone():%H:%M}"
        except ValueError:
            return status
    return status


def stands(game: Game) -> str:
    """Where ``game`` stands, in at most 9 columns."""
    return where(game.status, game.period, game.clock_s, game.start_utc)


def score(game: Game) -> str:
    """Both sides and their points, in 17 columns."""
    return f"{game.away.tricode} {game.away.score:3} @ {game.home.tricode} {game.home.score:3}"


def bar(share: float, width: int) -> str:
    """A share (0…1) as a bar of at most ``width`` columns, in eighths of one."""
    whole, eighths = divmod(round(share * width * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def sparkline(chances: Iterable[float]) -> str:
    """Chances (0…1) as blocks, one each."""
    return "".join(_SPARKS[min(7, int(chance * 8))] for chance in chances)


def percent(chance: float) -> str:
    """The chance of a game that is not over, in 4 columns: never 0 or 100 %."""
    return ">99%" if chance >= 0.995 else "<1%" if chance < 0.005 else f"{chance:.0%}"


def shortened(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns; an ellipsis says that it went on."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def signed(points: float) -> str:
    """Points with their sign, whole; zero has none."""
    return f"{round(points):+d}" if round(points) else "0"


@dataclass(frozen=True, slots=True)
class Favourite:
    """The side likelier to win, with the forecast from its view: margin p10 and p90 in points."""

    tricode: str
    chance: float
    low: float
    high: float
    home: bool

    @property
    def by(self) -> str:
        """The band in which the final margin falls four times out of five."""
        return f"{signed(self.low)} to {signed(self.high)}"

    def own(self, home_win: float) -> float:
        """The favourite's chance where the home side's is ``home_win``."""
        return home_win if self.home else 1 - home_win


def favourite(game: Game) -> Favourite | None:
    """The favourite of ``game``; None without a forecast."""
    forecast = game.forecast
    if forecast is None:
        return None
    chance, margin = forecast.home_win, forecast.margin
    if chance >= 0.5:
        return Favourite(game.home.tricode, chance, margin.p10, margin.p90, home=True)
    return Favourite(game.away.tricode, 1 - chance, -margin.p90, -margin.p10, home=False)


def line(game: Game, bar_width: int = 0) -> str:
    """A game on one line; with a bar of 20 columns in at most 80."""
    text = f"{stands(game):9} {score(game)}"
    best = favourite(game)
    if game.status == "final":
        winner = game.home if game.differential > 0 else game.away
        return f"{text}  {winner.tricode} won by {abs(game.differential)}"
    if best is None:
        return text
    drawn = f" {bar(best.chance, bar_width):{bar_width}}" if bar_width else ""
    return f"{text}  {best.tricode} {percent(best.chance):>4}{drawn}  by {best.by}"


def elapsed_s(game: Game) -> float:
    """Game seconds since tip-off."""
    if game.status in ("scheduled", "postponed"):
        return 0.0
    return clock.elapsed_s(game.period, game.clock_s)


def excitement(game: Game) -> tuple[int, float]:
    """Games in play first, of those the open and late ones; then those to come, then the rest.

    The league calls it clutch time where a game is within five points in its last five minutes:
    such a game is one to look at, however sure the forecast is.
    """
    best = favourite(game)
    if game.status in _IN_PLAY:
        open_ = 4 * best.chance * (1 - best.chance) if best else 0.0
        elapsed = elapsed_s(game)
        clutch = elapsed >= REGULATION_S - 300 and abs(game.differential) <= 5
        return 2, open_ * (0.4 + 0.6 * min(1.0, elapsed / REGULATION_S)) + clutch
    return (1 if game.status == "scheduled" else 0), 0.0


def curve(chances: Sequence[float], width: int) -> list[str]:
    """A curve of chances (0…1) in four lines of at most ``width`` columns, its top line first."""
    if len(chances) > width:
        chances = [chances[round(i * (len(chances) - 1) / (width - 1))] for i in range(width)]
    levels = [max(1, min(32, round(chance * 32))) for chance in chances]
    lines = []
    for row in (3, 2, 1, 0):
        filled = (max(0, min(8, level - row * 8)) for level in levels)
        lines.append("".join(" " if not eighths else _SPARKS[eighths - 1] for eighths in filled))
    return lines
