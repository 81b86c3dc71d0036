"""``nbad check``: what the daemon would run with, and whether it can."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from time import perf_counter
from typing import Any

from nbad.cli.run import add_config
from nbad.exit_codes import CONFIG, OK, UNAVAILABLE, end
from nbad.settings.load import ConfigError, find, shown
from nbad.settings.schema import Config, Log

HELP = "validate a configuration; show each effective value and its source"
DESCRIPTION = (
    "Validates a configuration and the files it names, the model too, and shows "
    "each effective value and its source, or every error."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_config(parser)
    parser.add_argument(
        "--network",
        action="store_true",
        help="also request one document of each kind from the feed",
    )


def run(args: argparse.Namespace) -> int:
    """Print each effective value and its source, or every error.

    Exit codes: 0; 78 wrong configuration; 69 where the feed does not answer as it should.
    """
    # What only the daemon needs takes half a second.
    from nbad.settings.runtime import read_with_origin
    from nbad.stream.wire import rfc3339

    try:
        loaded, runtime = read_with_origin(find(args.config))
    except ConfigError as error:
        sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        return CONFIG
    for section, values in loaded.config:
        sys.stdout.write(f"[{section}]\n")
        for key in type(values).model_fields:
            origin = loaded.origin.get(f"{section}.{key}", "default")
            sys.stdout.write(f"{key} = {_toml(shown(getattr(values, key)))}  # {origin}\n")
    sys.stdout.write(f"model {runtime.forecaster.name} loads\n")
    if (until := runtime.access.tls_until) < math.inf:
        expired = "expired" if until < time.time() else "expires"
        sys.stdout.write(f"certificate {expired} at {rfc3339(until)}\n")
    if not args.network:
        return OK
    import trio

    from nbad.observe import logs

    logs.configure(Log(level="error"))  # what is wrong is said once, below
    problems = trio.run(try_feed, loaded.config, sys.stdout.write)
    if problems:
        return end("check", UNAVAILABLE, f"the feed: {'; '.join(problems)}")
    return OK


def _toml(value: Any) -> str:
    """A value as it is written in the file."""
    if value is None:
        return '""'
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    return json.dumps(value, ensure_ascii=False)  # of numbers, texts, truths and lists also TOML


async def try_feed(config: Config, say: Callable[[str], object]) -> list[str]:
    """Ask for the scoreboard, the plays of a game that has any, and the schedule; ``say`` a line
    of each. Returns what is wrong, nothing where all is well."""
    from nbad.domain import Scoreboard, Status
    from nbad.feed.client import FeedClient, FeedError, RateLimiter
    from nbad.feed.decode import BadData
    from nbad.feed.endpoints import play_by_play_url, scoreboard_url
    from nbad.feed.incremental import read
    from nbad.feed.schedule import parse_schedule
    from nbad.feed.scoreboard import parse_scoreboard

    problems: list[str] = []
    board: Scoreboard | None = None

    def read_board(body: bytes) -> str:
        nonlocal board
        board = parse_scoreboard(body)
        return f"{len(board.games)} games, {len(board.skipped)} unreadable"

    def read_plays(body: bytes) -> str:
        return f"{len(read(body).plays)} plays"

    def read_schedule(body: bytes) -> str:
        schedule = parse_schedule(body)
        return f"{len(schedule.results)} results, {len(schedule.tip_offs)} games to come"

    async with FeedClient(config, RateLimiter()) as client:

        async def ask(url: str, read: Callable[[bytes], str]) -> None:
            begun = perf_counter()
            try:
                answer = await client.get(url)
                told = read(answer.body) if answer else "nothing new"
            except (FeedError, BadData) as error:
                problems.append(str(error))
                return
            say(f"{url}: {told}, {(perf_counter() - begun) * 1e3:.0f} ms\n")

        await ask(scoreboard_url(config.feed), read_board)
        begun_games = [
            line.game_id
            for line in (board.games if board else ())
            if line.status.in_play or line.status is Status.FINAL
        ]
        for game_id in begun_games[:1]:
            await ask(play_by_play_url(config.feed, game_id), read_plays)
        await ask(config.feed.schedule_url, read_schedule)
    return problems
