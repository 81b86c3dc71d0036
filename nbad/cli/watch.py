"""``nbad watch``: the night as a live table in the terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

from nbad.cli.render import bar, where
from nbad.exit_codes import FAILED, OK, UNAVAILABLE, USAGE, end

if TYPE_CHECKING:
    from rich.table import Table

    from nbad.client import Game

_URL = "ws://127.0.0.1:8765/v1/stream"
_SPARKS = "▁▂▃▄▅▆▇█"
_BAR = 8
# As many samples as the sparkline is wide.
_KEPT = 10
_REDRAW_S = 0.2


@dataclass(slots=True)
class Watched:
    """What is shown: each game's newest message, and the home side's chance of late."""

    games: dict[str, Game] = field(default_factory=dict)
    chances: dict[str, deque[float]] = field(default_factory=dict)
    line: str = "connecting"

    def take(self, games: Iterable[Game], *, whole: bool) -> None:
        """Take in a message's games; ``whole``: the games are all there are."""
        games = tuple(games)
        if whole:
            self.games.clear()
            self.chances.clear()
        for game in games:
            self.games[game.game_id] = game
            kept = self.chances.setdefault(game.game_id, deque(maxlen=_KEPT))
            kept.extend(point[1] for point in (game.series or ())[-_KEPT:])
            if game.forecast:
                kept.append(game.forecast.home_win)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``watch``."""
    parser = subparsers.add_parser(
        "watch",
        help="a live table of games in the terminal",
        description="Shows the games of a running daemon, the most open first, until Ctrl-C.",
    )
    parser.add_argument(
        "url", nargs="?", default=_URL, metavar="URL", help=f"the stream (default: {_URL})"
    )
    parser.add_argument(
        "--plain", action="store_true",
        help="a line per change, for pipes; also where the output is no terminal",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit codes: 0 ended by Ctrl-C, 64 no such URL, 69 no daemon there, 1 not let in."""
    from nbad.client import DroppedError, RefusedError

    if not _is_stream(args.url):
        return end("watch", USAGE, f"expected ws://HOST:PORT/v1/stream, was {args.url!r}")
    plain = args.plain or not sys.stdout.isatty()
    try:
        trio.run(_plain if plain else _table, args.url)
    except KeyboardInterrupt:
        return OK
    except BrokenPipeError:
        # The reader of the pipe has seen enough; nothing is to be written at the exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except DroppedError as error:
        hint = "is the daemon running, and is this its [server] address?"
        return end("watch", UNAVAILABLE, f"{args.url}: {error}; {hint}")
    except RefusedError as error:
        return end("watch", FAILED, f"{args.url}: {error}")
    return OK


def _is_stream(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port number
        return False


async def _follow(url: str, watched: Watched) -> AsyncGenerator[tuple[Game, ...], None]:
    """Keep ``watched`` true; yields the games of each message, none where only the line changed."""
    from nbad.client import Batch, Dropped, Heartbeat, Snapshot, connect

    async with connect(url) as feed:
        async for message in feed:
            changed: tuple[Game, ...] = ()
            if isinstance(message, Snapshot):
                changed = message.games
                watched.take(changed, whole=True)
                watched.line = "live"
            elif isinstance(message, Batch):
                changed = message.messages
                watched.take(changed, whole=False)
                watched.line = f"live, last tick {message.timing_ms.total:.0f} ms"
            elif isinstance(message, Heartbeat) and message.feed != "ok":
                watched.line = f"feed {message.feed} for {message.feed_age_s:.0f} s"
            elif isinstance(message, Dropped):
                watched.line = f"reconnecting: {message.reason}"
            yield changed


async def _plain(url: str) -> None:
    watched = Watched()
    async with aclosing(_follow(url, watched)) as changes:
        async for games in changes:
            for game in games:
                sys.stdout.write(plain_line(game) + "\n")
            sys.stdout.flush()


async def _table(url: str) -> None:
    from rich.live import Live

    watched = Watched()
    # On the terminal's other screen: what was there before comes back at the end.
    with Live(screen=True, auto_refresh=False) as live:
        drawn = float("-inf")
        async with aclosing(_follow(url, watched)) as changes:
            async for _ in changes:
                if trio.current_time() - drawn >= _REDRAW_S or watched.line[:4] != "live":
                    drawn = trio.current_time()
                    height = live.console.size.height
                    live.update(table(watched, rows=max(1, height - 4)), refresh=True)


def table(watched: Watched, rows: int) -> Table:
    """The games in 80 columns, the most open first, as many as ``rows``."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = sorted(watched.games.values(), key=_openness, reverse=True)
    hidden = len(shown) - rows
    more = f" · {hidden} more" if hidden > 0 else ""
    # A line that would be broken costs the last game its own.
    caption = Text(f"nbad · {watched.line}{more}", no_wrap=True, overflow="ellipsis")
    grid = Table(box=box.SIMPLE_HEAD, title=caption, padding=(0, 1), pad_edge=False)
    for title in ("", "game", "favourite", "", "of late", "wins by"):
        grid.add_column(title, no_wrap=True)
    for game in shown[:rows]:
        chances = watched.chances[game.game_id]
        swing = chances[-1] - chances[0] if chances else 0.0
        colour = "green" if swing > 0.05 else "red" if swing < -0.05 else ""
        score = f"{game.away.tricode} {game.away.score:3} @ {game.home.tricode} {game.home.score:3}"
        cells = [stands(game), score, "", "", sparkline(chances), ""]
        if game.forecast:
            team, chance, low, high = _favourite(game)
            if game.status == "final":
                cells[2], cells[5] = f"{team} won", f"{abs(game.differential)}"
            else:
                cells[2], cells[3] = f"{team} {chance:6.1%}", bar(chance, _BAR)
                cells[5] = f"{low:+.0f} to {high:+.0f}"
        grid.add_row(*(Text(cell, style=colour if i == 4 else "") for i, cell in enumerate(cells)))
    return grid


def plain_line(game: Game) -> str:
    """A game on one line, for pipes."""
    score = f"{game.away.tricode} {game.away.score:3} @ {game.home.tricode} {game.home.score:3}"
    line = f"{game.game_id} {stands(game):9} {score}"
    if game.forecast:
        team, chance, low, high = _favourite(game)
        if game.status == "final":
            line += f"  {team} won by {abs(game.differential)}"
        else:
            line += f"  {team} {chance:6.1%}  by {low:+.1f} to {high:+.1f}"
    return line


def stands(game: Game) -> str:
    """Where a game stands, in at most 9 columns."""
    return where(game.status, game.period, game.clock_s, game.start_utc)


def sparkline(chances: Iterable[float]) -> str:
    """Chances (0…1) as blocks, one each."""
    return "".join(_SPARKS[min(7, int(chance * 8))] for chance in chances)


def _favourite(game: Game) -> tuple[str, float, float, float]:
    """Who is ahead in the forecast: team, chance, and the margin's p10 and p90 as that team's."""
    forecast = game.forecast
    assert forecast is not None
    if forecast.home_win >= 0.5:
        return game.home.tricode, forecast.home_win, forecast.margin.p10, forecast.margin.p90
    return game.away.tricode, 1 - forecast.home_win, -forecast.margin.p90, -forecast.margin.p10


def _openness(game: Game) -> tuple[bool, float]:
    chance = game.forecast.home_win if game.forecast else 0.0
    return game.status in ("live", "halftime"), chance * (1 - chance)
