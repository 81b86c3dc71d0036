"""The commands: argument handling, and nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nbad import __version__
from nbad.cli import (
    bench,
    check,
    completion,
    demo,
    evaluate,
    feed,
    ratings,
    record,
    relay,
    run,
    stats,
    train,
    watch,
)
from nbad.cli._parser import Help, Parser
from nbad.exit_codes import OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    parser = Parser(prog="nbad", description="Live NBA scores in, live NBA predictions out.")
    parser.add_argument("--version", action="version", version=f"nbad {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=Parser
    )
    for module in (
        demo,
        run,
        relay,
        watch,
        check,
        ratings,
        stats,
        bench,
        feed,
        record,
        train,
        evaluate,
        completion,
    ):
        module.add_parser(subparsers)
    version = subparsers.add_parser("version", help="the version", description="The version.")
    version.set_defaults(run=_version)
    for command in subparsers.choices.values():
        command.formatter_class = Help
    args, unknown = parser.parse_known_args(sys.argv[1:] if argv is None else argv)
    if unknown:  # told by the command, whose --help knows what there is
        subparsers.choices[args.command].unknown(unknown)
    code: int = args.run(args)
    return code


def _version(_: argparse.Namespace) -> int:
    sys.stdout.write(f"nbad {__version__}\n")
    return OK


if __name__ == "__main__":
    sys.exit(main())
