"""``nbad ratings``: the strength of every team, as a model or a running daemon knows it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import orjson

from nbad.cli._daemon import ask
from nbad.cli._parser import add_json, add_model
from nbad.cli.run import add_config, configured
from nbad.exit_codes import CONFIG, OK, UNAVAILABLE, end
from nbad.settings.load import ConfigError

HELP = "rating of every team, from the model or a running daemon"
DESCRIPTION = (
    "Lists the teams, best first: the expected margin against an average team on"
    " neutral ground, in points, and its standard deviation. Without a URL: the model's ratings"
    " at the end of its training data."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "url", nargs="?", metavar="URL",
        help="HTTP address of a running daemon, for its current ratings",
    )  # fmt: skip
    add_model(parser)
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Exit codes: 0, 69 no daemon there, 78 no such model."""
    if args.url:
        try:
            told = ask(args.url, "/v1/ratings", "a daemon's ratings", _checked)
        except ValueError as error:
            return end("ratings", UNAVAILABLE, str(error))
    else:
        from nbad.model.forecaster import Forecaster, ModelError
        from nbad.web.ratings import ratings_table

        try:
            forecaster = Forecaster.load(args.model or configured(args).model.path)
        except ConfigError as error:
            return end("ratings", CONFIG, *error.problems)
        except ModelError as error:
            return end("ratings", CONFIG, str(error))
        told = ratings_table(forecaster.ratings, forecaster.name, 0)
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in table(told)))
    return OK


def _checked(told: dict[str, Any]) -> dict[str, Any]:
    told["teams"][:1]
    return told


def table(told: dict[str, Any]) -> list[str]:
    """The ratings in columns."""
    learnt = f", {told['learnt']} results since" if told["learnt"] else ""
    lines = [
        f"{told['model']}: season {told['season'] or 'unknown'}{learnt};"
        f" home is worth {told['home_points']:.1f} points",
        f"{'':4}{'team':5}{'points':>7}{'sd':>6}",
    ]
    lines += [
        f"{team['rank']:>3} {team['tricode']:5}{team['points']:+7.1f}{team['sd']:6.1f}"
        f"  {team['name']}"
        for team in told["teams"]
    ]
    return lines
