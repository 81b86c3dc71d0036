"""``nbad train``: a model from recorded play-by-play."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nbad.exits import USAGE, end


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``train``."""
    parser = subparsers.add_parser(
        "train",
        help="make a model from recorded play-by-play",
        description="Replays recorded games through the daemon's pattern builder and fits a model.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, action="append", required=True, metavar="PATH",
        help="a folder or .tar.xz of stats.nba.com play-by-play CSVs; repeatable",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("model"), help="the model's folder")
    parser.add_argument("--name", default="nbad-1", help="what forecasts call it, before its hash")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same model")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, show the cross-validation, write the model. Exit codes: 0, 64 nothing to train on."""
    # Here, not above: the daemon's start does not pay for what only training needs.
    from nbad.model.readers import RecordedGame, read_games
    from nbad.model.train import cross_validate, replay, save

    games: list[RecordedGame] = []
    for data in args.data:
        try:
            for name, game in read_games(data):
                if isinstance(game, RecordedGame):
                    games.append(game)
                else:
                    sys.stderr.write(f"skipped {name}: {game}\n")
        except OSError as error:
            return end("train", USAGE, f"--data {data}: expected readable games, was: {error}")
    if len(games) < 16:
        return end("train", USAGE, f"--data: expected at least 16 games, was {len(games)}")
    games.sort(key=lambda game: game.game_id)
    sys.stderr.write(f"{len(games)} games; cross-validating by game …\n")
    rows = replay(games)
    metrics = cross_validate(rows, args.seed)
    sys.stdout.write(f"{'':24}{'Brier':>9}{'log loss':>10}\n")
    for name, scores in metrics.items():
        sys.stdout.write(f"{name:24}{scores['brier']:9.4f}{scores['log_loss']:10.4f}\n")
    save(args.out, rows, args.seed, metrics, args.name)
    sys.stdout.write(f"wrote {args.out}\n")
    return 0
