"""``nbad train``: a model from recorded play-by-play."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nbad.commands.recorded_data import add_data, progress, read_all
from nbad.exits import USAGE, end

_FEWEST = 40


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``train``."""
    parser = subparsers.add_parser(
        "train",
        help="make a model from recorded play-by-play",
        description="Replays recorded games through the daemon's pattern builder and fits a model.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_data(parser)
    parser.add_argument("--out", type=Path, default=Path("model"), help="the model's folder")
    parser.add_argument("--name", default="nbad-2", help="what forecasts call it, before its hash")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same model")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, show the cross-validation, write the model. Exit codes: 0, 64 nothing to train on."""
    # Here, not above: the daemon's start does not pay for what only training needs.
    from nbad.model.replay import replay
    from nbad.model.scores import scores
    from nbad.model.train import cross_validated, save

    games = read_all("train", args.data)
    if isinstance(games, int):
        return games
    if len(games) < _FEWEST:
        return end("train", USAGE, f"--data: expected at least {_FEWEST} games, was {len(games)}")
    rows = replay(games, fine=True, progress=progress("replayed"))
    sys.stderr.write("cross-validating by game …\n")
    unseen = cross_validated(rows, args.seed)
    made = scores(unseen[0][rows.grid], rows.won[rows.grid])
    save(args.out, rows, games, args.seed, args.name)
    sys.stdout.write(
        f"{len(games)} games, cross-validated: Brier {made['brier']:.4f},"
        f" log loss {made['log_loss']:.4f}\nwrote {args.out}\n"
    )
    return 0
