"""The commands: argument handling, and nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from nbad import __version__
from nbad.cli._interrupt import at_once, interruptible
from nbad.cli._parser import Help, Parser
from nbad.cli._stdout import guarded
from nbad.exit_codes import OK, UNAVAILABLE, end

# What an installation without extras lacks, and the extra that brings it.
_EXTRAS = {"lightgbm": "train", "matplotlib": "train", "scipy": "train", "tqdm": "train",
           "rich": "watch", "pyarrow": "export"}  # fmt: skip

_LIBGOMP = "libgomp.so.1"

COMMANDS = (
    "demo", "run", "relay", "watch", "check", "ratings", "stats", "bench", "feed", "record",
    "train", "evaluate", "export", "report", "install-service", "completion",
)  # fmt: skip
"""In the order of ``--help``. Each is a module of this package (a dash an underscore) that has
``HELP``, ``DESCRIPTION``, ``add_arguments`` and ``run``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of ``argv``, or of the process's own arguments; return its exit code."""
    if argv is None:
        return interruptible(lambda: guarded(lambda: _run(sys.argv[1:])))
    return _run(list(argv))


def _run(arguments: list[str]) -> int:
    parser = Parser(prog="nbad", description="Live NBA scores in, live NBA predictions out.")
    parser.add_argument("--version", action="version", version=f"nbad {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=Parser
    )
    # Only what is asked for is imported: a relay starts in half the time without the rest.
    alone = arguments[:1] != ["completion"] and set(arguments[:1]) & set(COMMANDS)
    told_at_once = arguments[:1] in (["version"], ["--version"])
    with at_once():
        for name in () if told_at_once else alone or COMMANDS:
            module = import_module(f"nbad.cli.{name.replace('-', '_')}")
            command = subparsers.add_parser(
                name, help=module.HELP, description=module.DESCRIPTION, formatter_class=Help
            )
            module.add_arguments(command)
            command.set_defaults(run=module.run, commands=subparsers)
    version = subparsers.add_parser("version", help="the version", description="The version.")
    version.set_defaults(run=_version)
    args, unknown = parser.parse_known_args(arguments)
    if unknown:  # told by the command, whose --help knows what there is
        subparsers.choices[args.command].unknown(unknown)
    try:
        code: int = args.run(args)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        problem = f"{error.name} is not installed; pip install 'nbad[{extra}]'"
        return end(args.command, UNAVAILABLE, problem)
    except OSError as error:  # of LightGBM's import: no package of Python's brings the library
        if _LIBGOMP not in str(error):
            raise
        problem = f"LightGBM needs the system's {_LIBGOMP}; apt install libgomp1 (Fedora: libgomp)"
        return end(args.command, UNAVAILABLE, problem)
    return code


def _version(_: argparse.Namespace) -> int:
    sys.stdout.write(f"nbad {__version__}\n")
    return OK
