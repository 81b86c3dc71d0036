"""``nbad run``: the daemon."""

from __future__ import annotations

import argparse
from pathlib import Path

from nbad.exit_codes import leave
from nbad.settings.load import find


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``run``."""
    help_ = "the daemon: feed, predictions, WebSocket stream"
    parser = subparsers.add_parser("run", help=help_, description=f"{help_}.")
    add_config(parser)
    parser.set_defaults(run=run_daemon)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help="default: ./nbad.toml, then /etc/nbad/nbad.toml, then the built-in defaults",
    )  # fmt: skip


def run_daemon(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    from nbad.signals import Signals

    signals = Signals()  # heard from now on: what is imported below takes half a second
    from nbad.model.unused_imports import without_unused

    with without_unused():
        from nbad.daemon import run_daemon as run

    leave(run(find(args.config), signals))
