"""``nbad export``: what was kept, as CSV or Parquet."""

from __future__ import annotations

import argparse
import contextlib
import sys
from itertools import islice
from pathlib import Path

from nbad.cli.run import add_config, configured
from nbad.exit_codes import CONFIG, FAILED, OK, UNAVAILABLE, USAGE, end
from nbad.settings.load import ConfigError

# Rows in memory at once.
_LOT = 20_000


HELP = "export past nights and recordings as CSV or Parquet"
DESCRIPTION = (
    "Writes one file each of games, plays (with the forecast after each), forecasts"
    " (every 30 s), features (every 30 s, from recorded payloads) and timings (from a log)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "folder", type=Path, nargs="?", metavar="DIR",
        help="a folder that the daemon or `nbad record` wrote; default: [record] path of the "
        "configuration",
    )  # fmt: skip
    add_config(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--format", choices=("csv", "parquet"), default="csv", help="format of the tables"
    )
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="the daemon's log, for the timings"
    )


def run(args: argparse.Namespace) -> int:
    """Exit codes: 0 written, 64 nothing to export, 69 Parquet without pyarrow, 78 a wrong
    configuration, 1 it failed."""
    from nbad.recording.nights import NightsError
    from nbad.training.export import tables, writing

    if args.format == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            return end("export", UNAVAILABLE,
                       "pyarrow is not installed; pip install 'nbad[export]'")  # fmt: skip
    folder: Path | None = args.folder
    try:
        folder = folder or configured(args).record.path
    except ConfigError as error:
        return end("export", CONFIG, *error.problems)
    if folder is None:
        return end("export", USAGE, "expected DIR, as [record] path is empty")
    written: list[str] = []
    with contextlib.ExitStack() as opened:
        try:
            log = opened.enter_context(args.log.open("rb")) if args.log else None
            args.out.mkdir(parents=True, exist_ok=True)
            for name, rows in tables(folder, log):
                count = 0
                remaining = iter(rows)
                with writing(args.out, name, args.format) as write:
                    while lot := list(islice(remaining, _LOT)):
                        write(lot)
                        count += len(lot)
                written.append(f"{args.out / f'{name}.{args.format}'}: {count} rows\n")
        except OSError as error:  # a full disk names no file
            what = error.filename or args.out
            return end("export", FAILED, f"{what}: {error.strerror}")
        except (ValueError, NightsError) as error:
            return end("export", FAILED, str(error))
    if not written:
        return end("export", USAGE, f"{folder}: expected past nights (nights.sqlite) or a"
                   " recording (*.rec), was neither, and no --log")  # fmt: skip
    sys.stdout.write("".join(written))  # at the end: a reader that stops early still gets all files
    return OK
