"""The table of ``nbad watch`` on a whole screen, and one game opened."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import termios
import tty
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from nbad.cli.opened import keep_opened, play_line
from nbad.cli.render import (
    bar,
    curve,
    excitement,
    favourite,
    line,
    percent,
    score,
    shortened,
    sparkline,
    stands,
    where,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nbad.client import Dropped, Game
    from nbad.client.messages import Message

_REDRAW_S = 0.2
# An arrow and the like, which is several characters, else each by itself.
_KEY = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])?|.", re.DOTALL)
_KEPT = 600  # chances of a game: a night's half-minutes and more
_PLAYS = 40
_FILTERS = ("all games", "in play", "close")
_CLOSE = 0.55  # of an excitement of at most 1, or clutch time
_HINT = "↑↓ choose · Enter open · f filter · q quit"


@dataclass(slots=True)
class Screen:
    """What is shown: each game's newest message, the home side's chances, its last plays, its
    leaders."""

    games: dict[str, Game] = field(default_factory=dict)
    chances: dict[str, deque[float]] = field(default_factory=dict)
    plays: dict[str, deque[str]] = field(default_factory=dict)
    leaders: dict[str, list[str]] = field(default_factory=dict)
    told: str = "connecting"
    shows: int = 0
    chosen: str | None = None
    opened: bool = False

    def take(self, message: Message | Dropped) -> None:
        """Take in a message of the stream."""
        from nbad.client import Batch, Dropped, Heartbeat, Snapshot

        if isinstance(message, Snapshot):
            self.games.clear()
            self.chances.clear()
            self._add(message.games)
            self.told = "live"
        elif isinstance(message, Batch):
            self._add(message.messages)
            self.told = f"live, last tick {message.timing_ms.total:.0f} ms"
        elif isinstance(message, Dropped):
            self.told = f"reconnecting: {message.reason}"
        if isinstance(message, Snapshot | Heartbeat) and message.feed not in (None, "ok"):
            self.told = f"feed {message.feed} for {message.feed_age_s:.0f} s"
        elif isinstance(message, Heartbeat) and self.told.startswith("feed"):
            self.told = "live"  # it is back, and nothing is new

    def _add(self, games: tuple[Game, ...]) -> None:
        for game in games:
            self.games[game.game_id] = game
            kept = self.chances.setdefault(game.game_id, deque(maxlen=_KEPT))
            kept.extend(point[1] for point in (game.series or ())[-_KEPT:])
            if game.forecast:
                kept.append(game.forecast.home_win)
            event = game.event
            plays = self.plays.setdefault(game.game_id, deque(maxlen=_PLAYS))
            if event and event.description:
                at = where("live", event.period, event.clock_s, None)
                told = play_line(at, event.away, event.home, event.description)
                if not plays or plays[-1] != told:
                    plays.append(told)

    def listed(self) -> list[Game]:
        """The games shown, the close and late ones first."""
        games = sorted(self.games.values(), key=excitement, reverse=True)
        if self.shows:
            least = (2, _CLOSE if self.shows == 2 else 0.0)
            games = [game for game in games if excitement(game) >= least]
        return games

    def shown(self) -> str | None:
        """The id of the game that is open."""
        return self.chosen if self.opened and self.chosen in self.games else None

    def press(self, key: str) -> bool:
        """Do what a key says; False to end."""
        ids = [game.game_id for game in self.listed()]
        at = ids.index(self.chosen) if self.chosen in ids else -1
        if key in ("q", "\x03"):
            return False
        if key == "f":
            self.shows = (self.shows + 1) % len(_FILTERS)
        elif key in ("\x1b", "\x7f"):
            self.opened = False
        elif ids and key in ("j", "\x1b[B", "\x1bOB"):
            self.chosen = ids[min(at + 1, len(ids) - 1)]
        elif ids and key in ("k", "\x1b[A", "\x1bOA"):
            self.chosen = ids[max(at - 1, 0)]
        elif ids and key in ("\r", "\n", " "):
            self.chosen = ids[max(at, 0)]
            self.opened = not self.opened
        return True


def draw(screen: Screen, width: int, height: int) -> RenderableType:
    """What the screen shows in so many columns (60 at least) and lines."""
    game = screen.games.get(screen.chosen or "")
    if screen.opened and game is not None:
        return _game(screen, game, width, height)
    return _table(screen, width, height)


def _table(screen: Screen, width: int, height: int) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = max(1, height - 4)
    games = screen.listed()
    hidden = len(games) - rows
    more = f" · {hidden} more" if hidden > 0 else ""
    shows = f" · {_FILTERS[screen.shows]}" if screen.shows else ""
    # A line that would be broken costs the last game its own.
    stale = "" if screen.told.startswith("live") else "bold yellow"
    caption = Text(
        f"nbad · {screen.told}{shows}{more}", style=stale, no_wrap=True, overflow="ellipsis"
    )
    grid = Table(box=box.SIMPLE_HEAD, title=caption, padding=(0, 1), pad_edge=False)
    if len(games) + 6 <= height:  # it costs no game its line
        grid.caption = Text(_HINT, style="dim")
    # The edges take two columns, and three lie between two cells; what is left is shared.
    left = width - (9 + 17 + 9 + 10) - 2 - 3 * 3
    bar_width = 8 if left >= 11 else 0
    left -= bar_width + 3
    # The last play is worth more than a longer trend, once it has room to be read.
    trend = min(24, max(16, left // 3) if left >= 16 + 3 + 26 else left - 3) if left >= 11 else 0
    left -= trend + 3
    play = left - 3 if left >= 20 else 0
    grid.add_column("", no_wrap=True)
    grid.add_column("game", no_wrap=True)
    grid.add_column("favourite", no_wrap=True, max_width=9)
    if bar_width:
        grid.add_column("", no_wrap=True, min_width=bar_width)
    if trend:
        grid.add_column("trend", no_wrap=True)
    grid.add_column("80% by", no_wrap=True)
    if play:
        grid.add_column("last play", no_wrap=True, max_width=play, overflow="ellipsis")
    for game in games[:rows]:
        best = favourite(game)
        final = game.status == "final"
        chances = [best.own(c) for c in screen.chances[game.game_id]] if best else []
        recent = chances[-max(trend, 1) :]
        swing = recent[-1] - recent[0] if recent else 0.0
        colour = "green" if swing > 0.05 else "red" if swing < -0.05 else ""
        cells: list[str | Text] = [stands(game), score(game)]
        if final:
            winner = game.home if game.differential > 0 else game.away
            cells.append(f"{winner.tricode} won")
        else:
            cells.append(f"{best.tricode} {percent(best.chance):>4}" if best else "")
        if bar_width:
            cells.append(bar(best.chance, bar_width) if best and not final else "")
        if trend:
            cells.append(Text(sparkline(recent), style=colour))
        cells.append(f"by {abs(game.differential)}" if final else best.by if best else "")
        if play:
            cells.append(game.event.description if game.event and not final else "")
        marked = "reverse" if game.game_id == screen.chosen else ""
        texts = (Text(cell) if isinstance(cell, str) else cell for cell in cells)
        grid.add_row(*texts, style=marked)
    return grid


def _game(screen: Screen, game: Game, width: int, height: int) -> RenderableType:
    from rich.text import Text

    best = favourite(game)
    lines = [f"nbad · {screen.told}", "", f"{game.away.name} at {game.home.name}", line(game)]
    if best and game.forecast:
        total = game.forecast.total
        band = f", four times out of five {total.p10:.0f} to {total.p90:.0f}"
        lines.append(f"total {total.p50:.0f}{'' if game.status == 'final' else band}"
                     f" · model {game.forecast.model}")  # fmt: skip
        lines += ["", f"{best.tricode}'s chance so far, 100% above, 0% below"]
        chances = [best.own(chance) for chance in screen.chances[game.game_id]]
        lines += [f"│{row}" for row in curve(chances, width - 2)] if chances else []
    if leaders := screen.leaders.get(game.game_id):
        lines += ["", *leaders]
    lines += ["", "plays, newest first"]
    room = max(1, height - len(lines) - 2)
    lines += list(reversed(screen.plays.get(game.game_id, ())))[:room]
    lines += ["", "Esc back · q quit"]
    text = Text("\n".join(shortened(row, width) for row in lines[:height]), no_wrap=True)
    text.highlight_words([game.home.tricode, game.away.tricode], "bold")
    return text


async def show(url: str, page: str) -> None:
    """Draw the stream at ``url`` until q or Ctrl-C; the box scores are those of ``page``.

    Raises as :func:`nbad.client.connect` does.
    """
    from rich.live import Live

    from nbad.client import RefusedError, connect

    screen = Screen()
    changed = trio.Event()
    refused: RefusedError | None = None
    async with connect(url) as feed:
        # On the terminal's other screen: what was there before comes back at the end.
        with (
            trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
            _keys() as keys,
            Live(screen=True, auto_refresh=False) as live,
        ):

            async def read() -> None:
                nonlocal refused
                try:
                    async for message in feed:
                        screen.take(message)
                        changed.set()
                except RefusedError as error:
                    refused = error
                    nursery.cancel_scope.cancel()

            async def obey() -> None:
                async for key in keys:
                    if not screen.press(key):
                        nursery.cancel_scope.cancel()
                    changed.set()

            async def open_() -> None:
                def plays(game_id: str, lines: list[str]) -> None:
                    screen.plays[game_id] = deque(lines, maxlen=_PLAYS)
                    changed.set()

                def leaders(game_id: str, lines: list[str]) -> None:
                    screen.leaders[game_id] = lines
                    changed.set()

                await keep_opened(page, screen.shown, plays, leaders)

            async def interrupt() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            async def paint() -> None:
                nonlocal changed
                while True:
                    size = live.console.size
                    live.update(draw(screen, size.width, size.height), refresh=True)
                    await trio.sleep(_REDRAW_S)
                    with trio.move_on_after(1.0):  # the window may have changed its size
                        await changed.wait()
                    changed = trio.Event()

            async with trio.open_nursery() as nursery:
                for task in (read, obey, open_, interrupt, paint):
                    nursery.start_soon(task)
    if refused is not None:
        raise refused


@contextlib.contextmanager
def _keys() -> Iterator[AsyncIterator[str]]:
    """The keys pressed, one by one; none where the input is no terminal. Ctrl-C stays a signal."""
    if not sys.stdin.isatty():
        yield _pressed(None)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield _pressed(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def _pressed(descriptor: int | None) -> AsyncIterator[str]:
    while descriptor is not None:
        await trio.lowlevel.wait_readable(descriptor)
        data = os.read(descriptor, 64)
        if not data:  # hung up
            return
        for key in _KEY.findall(data.decode(errors="replace")):
            yield key
