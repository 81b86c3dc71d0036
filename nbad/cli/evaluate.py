"""``nbad evaluate``: how good a model's forecasts of recorded games are."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbad.cli._files import picture
from nbad.cli._parser import add_json, add_model
from nbad.cli.games import add_data, notify, read_all
from nbad.cli.run import add_config, configured
from nbad.exit_codes import CONFIG, USAGE, end
from nbad.pattern.features import INDEX
from nbad.settings.files import try_to_write
from nbad.settings.load import ConfigError

if TYPE_CHECKING:
    from nbad.training.evaluate import Evaluation

COLUMNS = ("game_id", "elapsed_s", "home_win", "margin_p10", "margin_p50", "margin_p90",
           "total_p10", "total_p50", "total_p90")  # fmt: skip
_DIGITS = 10


HELP = "score a model on recorded games"
DESCRIPTION = (
    "Replays recorded games, in order of their ids, through the daemon's pattern"
    " builder and scores a model at every 30 s of regulation. Games that the model was trained"
    " on are forecast by the same recipe fitted on other games: on the seasons before theirs,"
    " or by cross-validation if there are fewer than four seasons."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_data(parser)
    parser.add_argument(
        "--from", dest="start", type=_game_id, metavar="GAME_ID",
        help="games before this one, and those of earlier seasons, only update the ratings",
    )  # fmt: skip
    add_model(parser)
    add_config(parser)
    add_json(parser)
    parser.add_argument("--plot", type=picture, metavar="FILE.png", help="plot the evaluation")
    parser.add_argument("--predictions", type=Path, metavar="FILE.csv", help="write every forecast")


def run(args: argparse.Namespace) -> int:
    """Evaluate and show. Exit codes: 0, 64 nothing to score, 78 no such model."""
    # Here, not above: the daemon's start does not pay for what only evaluation needs.
    import orjson

    from nbad.model.forecaster import Forecaster, ModelError
    from nbad.training.evaluate import FEWEST, evaluate, played_from, report

    try:
        forecaster = Forecaster.load(args.model or configured(args).model.path)
    except ConfigError as error:
        return end("evaluate", CONFIG, *error.problems)
    except ModelError as error:
        return end("evaluate", CONFIG, str(error))
    try:
        try_to_write(args.predictions, args.plot)
    except OSError as error:
        return _unwritable(error)
    if args.plot:  # without matplotlib it ends here
        from nbad.training.plots import draw
    known = read_all("evaluate", args)
    if isinstance(known, int):
        return known
    start = args.start or ""
    scored = played_from(start, known.games)
    if not scored.any():
        return end("evaluate", USAGE, f"--from {args.start}: expected a game at or after it,"
                   f" was {len(known.games)} games before it")  # fmt: skip
    learnt = any(
        forecaster.trained_on(game.game_id)
        for game, counts in zip(known.games, scored, strict=True)
        if counts
    )
    if learnt and len(known.games) < FEWEST:
        return end("evaluate", USAGE, f"--data: expected at least {FEWEST} games where the model"
                   f" has learnt from one, was {len(known.games)}")  # fmt: skip
    made = evaluate(known, forecaster, start=start, notify=notify)
    try:
        if args.predictions:
            write_predictions(args.predictions, made)
        if args.plot:
            draw(made, args.plot)
    except OSError as error:
        return _unwritable(error)
    figures = report(made)
    if args.json:
        sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        sys.stdout.write(table(figures))
    return 0


def _game_id(told: str) -> str:
    """A game's id, its leading zeros too. Raises :class:`argparse.ArgumentTypeError`."""
    if not (told.isdecimal() and told.isascii() and len(told) <= _DIGITS):
        raise argparse.ArgumentTypeError(f"expected a game's id, such as 0022400001, was {told!r}")
    return told.rjust(_DIGITS, "0")


def _unwritable(error: OSError) -> int:
    what = error.filename or "--plot, --predictions"  # a full disk names no file
    told = f"{what}: expected a file that can be written, was: {error.strerror}"
    return end("evaluate", USAGE, told)


def write_predictions(path: Path, made: Evaluation) -> None:
    """Every forecast as a row of CSV, as the daemon tells it; the columns are :data:`COLUMNS`."""
    from nbad.model.forecaster import as_told, low_total
    from nbad.model.normal import Z90

    d = made.made
    home_win = as_told(d.home_win, made.rows.matrix[:, INDEX["over"]] == 0)
    quantiles = [
        middle + z * sd
        for middle, sd in ((d.margin, d.margin_sd), (d.total, d.total_sd))
        for z in (-Z90, 0.0, Z90)
    ]
    quantiles[3] = low_total(made.rows.matrix, d)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, (game, at, win) in enumerate(
            zip(made.rows.game, made.rows.at, home_win, strict=True)
        ):
            points = (f"{float(column[number]):.3f}" for column in quantiles)
            writer.writerow([made.games[game].game_id, int(at), f"{float(win):.5f}", *points])


def table(figures: dict[str, Any]) -> str:
    """The figures as text."""
    basis = ", ".join(f"{count} by {name}" for name, count in sorted(figures["basis"].items()))
    lines = [f"{figures['model']}: {figures['how']}; {figures['rows']} rows; expected {basis}"]
    parts = list(figures["distributions"])
    for part in parts:
        lines += ["", f"{part:27}{'Brier':>8}{'log loss':>10}{'ECE':>8}{'right':>8}"
                  f"{'model − this, log loss (95 %)':>34}"]  # fmt: skip
        for name, by_part in figures["scores"].items():
            s = by_part[part]
            line = (f"{name:27}{s['brier']:8.4f}{s['log_loss']:10.4f}{s['ece']:8.2%}"
                    f"{s['accuracy']:8.1%}")  # fmt: skip
            if name in figures["differences"]:
                line += "{:+14.4f} ({:+.4f} … {:+.4f})".format(
                    *figures["differences"][name][part]["log_loss"]
                )
            lines.append(line)
        for name, s in figures["distributions"][part].items():
            line = (f"{name:7} MAE {s['mae']:.2f}  pinball {s['pinball']:.3f}  CRPS {s['crps']:.3f}"
                    f"  80 % interval covers {s['coverage_80']:.1%}")  # fmt: skip
            lines.append(line + "".join(f"  ({key} {s[key]:.3f})" for key in s if " of " in key))
    lines += ["", f"{'the model by minute':27}{'Brier':>8}{'log loss':>10}{'ECE':>8}{'right':>8}"]
    for by_minute in figures["by_minute"]:
        s = by_minute["model"]
        lines.append(f"{by_minute['minute']:<27}{s['brier']:8.4f}{s['log_loss']:10.4f}"
                     f"{s['ece']:8.2%}{s['accuracy']:8.1%}")  # fmt: skip
    lines += ["", "model − other, Brier (95 % by bootstrap over games)"]
    for name, difference in figures["differences"].items():
        lines.append("{:27}{:+.4f} ({:+.4f} … {:+.4f})".format(name, *difference["all"]["brier"]))
    if figures["margin_crps_difference"]:
        lines.append(
            "margin CRPS, model − Brownian: {:+.3f} ({:+.3f} … {:+.3f})".format(
                *figures["margin_crps_difference"]
            )
        )
    for name, (middle, low, high) in figures["intervals"].items():
        lines.append(f"{name} of the model {middle:.4f} ({low:.4f} … {high:.4f})")
    return "\n".join(lines) + "\n"
