"""The commands: argument handling, and nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from nbad import __version__
from nbad.cli import bench, check, demo, evaluate, feed, record, relay, run, stats, train, watch
from nbad.exit_codes import USAGE


class _Parser(argparse.ArgumentParser):
    """Ends with the contract's exit code, on one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    parser = _Parser(prog="nbad", description="Live NBA scores in, live NBA predictions out.")
    parser.add_argument("--version", action="version", version=f"nbad {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser
    )
    for module in (demo, run, relay, watch, check, stats, bench, feed, record, train, evaluate):
        module.add_parser(subparsers)
    args, unknown = parser.parse_known_args(sys.argv[1:] if argv is None else argv)
    if unknown:  # told by the command, whose --help knows what there is
        subparsers.choices[args.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    code: int = args.run(args)
    return code


if __name__ == "__main__":
    sys.exit(main())
