"""``--data``: what `nbad train` and `nbad evaluate` read."""

from __future__ import annotations

import argparse
import sys
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nbad.exit_codes import USAGE, end

if TYPE_CHECKING:
    from nbad.training.recorded import RecordedGame

T = TypeVar("T")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--data", type=Path, action="append", required=True, metavar="PATH",
        help="a folder, .tar.xz or file of stats.nba.com CSVs or cdn.nba.com play-by-play JSON,"
        " or a folder made by `nbad record`; repeatable",
    )  # fmt: skip


def read_all(command: str, paths: Sequence[Path]) -> list[RecordedGame] | int:
    """The games of all ``paths``, each once, in the order of their ids; or an exit code.

    A broken game is named on standard error and left out.
    """
    from nbad.training.readers import read_games
    from nbad.training.recorded import RecordedGame

    games: dict[str, RecordedGame] = {}
    for path in paths:
        try:
            for _, game in progress("read")(read_games(path)):
                if isinstance(game, RecordedGame):
                    games[game.game_id] = game
                else:
                    sys.stderr.write(f"skipped {game}\n")
        except (OSError, tarfile.TarError) as error:
            return end(command, USAGE, f"--data {path}: expected readable games, was: {error}")
    return [games[game_id] for game_id in sorted(games)]


def progress(what: str) -> Callable[[Iterable[T]], Iterable[T]]:
    """A progress bar on standard error, where that is a terminal."""
    from tqdm import tqdm

    return lambda items: tqdm(items, desc=what, unit=" games", disable=None)
