"""``nbad train``: a model from recorded play-by-play."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nbad.cli.games import add_data, notify, read_all
from nbad.exit_codes import USAGE, end

_FEWEST = 40


HELP = "make a model from recorded play-by-play"
DESCRIPTION = "Replays recorded games through the daemon's pattern builder and fits a model."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_data(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("model"), metavar="DIR", help="the model's folder"
    )
    parser.add_argument("--name", default="nbad-3", help="the model's name; its hash is appended")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="random seed; one seed, one model"
    )


def run(args: argparse.Namespace) -> int:
    """Train, show the cross-validation, write the model. Exit codes: 0, 64 nothing to train on."""
    # Here, not above: the daemon's start does not pay for what only training needs.
    from nbad.model.forecaster import Forecaster
    from nbad.training.card import card
    from nbad.training.evaluate import MODEL, evaluate, report
    from nbad.training.plots import draw
    from nbad.training.train import SUMS, bundled_ratings, rated, save, sums

    known = read_all("train", args)
    if isinstance(known, int):
        return known
    games = len(known.games)
    if games < _FEWEST:
        return end("train", USAGE, f"--data: expected at least {_FEWEST} games, was {games}")
    try:
        season = rated(known, bundled_ratings())
        notify(f"fitting on {games} games")
        facts = save(args.out, known, season, args.seed, args.name)
        made = evaluate(known, Forecaster.load(args.out), seed=args.seed, season=season,
                        notify=notify)  # fmt: skip
        figures = report(made)
        (args.out / "CARD.md").write_text(card(figures, facts, known), "utf-8")
        draw(made, args.out / "evaluation.png")
        (args.out / SUMS).write_text(sums(args.out), "utf-8")
    except OSError as error:
        return end("train", USAGE, f"--out {args.out}: expected a folder that can be written,"
                   f" was: {error.strerror}")  # fmt: skip
    scores = figures["scores"][MODEL]["all"]
    sys.stdout.write(
        f"{figures['model']}: {figures['how']}: Brier {scores['brier']:.4f},"
        f" log loss {scores['log_loss']:.4f}, ECE {scores['ece']:.2%}\nwrote {args.out}\n"
    )
    return 0
