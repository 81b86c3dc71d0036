"""``--data``: what `nbad train` and `nbad evaluate` read."""

from __future__ import annotations

import argparse
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nbad.exit_codes import USAGE, end

if TYPE_CHECKING:
    from nbad.training.train import Known

T = TypeVar("T")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--data", type=Path, action="append", required=True, metavar="PATH",
        help="a folder (with its .tar.xz), a .tar.xz or a file of stats.nba.com CSVs, of flattened"
        " cdn.nba.com CSVs or of cdn.nba.com play-by-play JSON, or a folder made by"
        " `nbad record`, whose schedule and odds are used too; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, action="append", default=[], metavar="FILE.csv",
        help="results by game_id and date, for the ratings; a game uses only those of earlier days;"
        " repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--lines", type=Path, action="append", default=[], metavar="FILE.csv",
        help="closing lines by game_id (home_by, total); repeatable",
    )  # fmt: skip


def read_all(command: str, args: argparse.Namespace) -> Known | int:
    """The games of all ``--data``, each once, in the order of their ids, with the results and the
    lines; or an exit code.

    A broken game is named on standard error and left out.
    """
    from nbad.training.readers import fold_games, is_recording
    from nbad.training.recorded import FoldedGame
    from nbad.training.recordings import recorded_lines, recorded_results
    from nbad.training.results import read_lines, read_results
    from nbad.training.train import Known

    games: dict[str, FoldedGame] = {}
    for path in args.data:
        try:
            for _, game in progress(f"read {path.name}", fold_games(path)):
                if isinstance(game, FoldedGame):
                    games[game.game_id] = game
                else:
                    sys.stderr.write(f"skipped {game}\n")
        except (OSError, tarfile.TarError) as error:
            return end(command, USAGE, f"--data {path}: expected readable games, was: {error}")
    known = Known([games[game_id] for game_id in sorted(games)])
    for path in filter(is_recording, args.data):
        known.results.update(recorded_results(path))
        known.lines.update(recorded_lines(path))
    for option, paths, read, into in (
        ("--results", args.results, read_results, known.results),
        ("--lines", args.lines, read_lines, known.lines),
    ):
        for path in paths:
            try:
                into.update(read(path))  # type: ignore[arg-type]
            except (OSError, ValueError) as error:
                return end(command, USAGE, f"{option} {path}: expected a CSV with the columns of"
                           f" --help, was: {error}")  # fmt: skip
    return known


def progress(what: str, games: Iterable[T]) -> Iterable[T]:
    """``games``, with a progress bar on standard error if that is a terminal."""
    from tqdm import tqdm

    return tqdm(games, desc=what, unit=" games", disable=None)


def notify(said: str) -> None:
    """A line on standard error, where somebody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{said} …\n")
