"""``nbad relay``: the stream, the page and HTTP alone, fed by the log."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

from nbad.cli.run import add_config
from nbad.exit_codes import CONFIG, USAGE, end, leave
from nbad.model.unused_imports import without_unused
from nbad.settings.load import find
from nbad.systemd.activation import ActivationError, Inherited, take_inherited

_MOST_WORKERS = 256


HELP = "the stream and the page alone, fed by the log that [publish] writes to Redis"
DESCRIPTION = (
    "Serves the stream and the page, fed by the log that [publish] writes to "
    "Redis, until SIGTERM or SIGINT. SIGHUP reloads."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_config(parser)
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N",
        help="worker processes on the stream's port; their HTTP ports are [http] "
        "port and those after it",
    )  # fmt: skip
    # What a worker is started with by the process that watches it.
    parser.add_argument("--sockets", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    if not 1 <= args.workers <= _MOST_WORKERS:
        return end("relay", USAGE, f"workers: expected 1 to {_MOST_WORKERS}, was {args.workers}")
    from nbad.signals import Signals

    signals = Signals()  # heard from now on: what is imported below takes a while
    path: Path | None = find(args.config)
    if args.workers > 1:
        with without_unused():
            from nbad.relay.workers import run_workers

        return leave(run_workers(path, args.workers, signals))
    with without_unused():
        from nbad.relay.process import run_relay

    try:
        inherited = _given(args.sockets) if args.sockets else take_inherited()
    except ActivationError as error:
        return end("relay", CONFIG, str(error))
    return leave(run_relay(path, inherited, signals, watched=bool(args.sockets)))


def _given(numbers: str) -> Inherited:
    """The sockets of a worker: ``STREAM[,STREAM…]:HTTP[,HTTP…]``, as descriptors."""
    stream, http = (
        tuple(socket.socket(fileno=int(number)) for number in part.split(","))
        for part in numbers.split(":")
    )
    return Inherited(stream, http)
