"""``nbad run``: the daemon."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nbad.exit_codes import leave
from nbad.settings.load import find, load
from nbad.settings.schema import Config, Http, Server

HELP = "the daemon: feed, predictions, WebSocket stream"
DESCRIPTION = "Runs the daemon until SIGTERM or SIGINT. SIGHUP reloads its configuration."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_config(parser)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help="the configuration; default: ./nbad.toml, then /etc/nbad/nbad.toml, then the defaults",
    )  # fmt: skip


def configured(args: argparse.Namespace) -> Config:
    """The configuration that ``--config`` and the environment give. Raises ConfigError."""
    return load(find(args.config), os.environ).config


def address(section: Server | Http) -> str:
    """``HOST:PORT`` of a section, for a client on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(section.host, section.host)
    return f"{f'[{host}]' if ':' in host else host}:{section.port}"


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    from nbad.signals import Signals

    signals = Signals()  # heard from now on: what is imported below takes half a second
    # The model's arrays are small: numpy's threads would only wait for work, awake.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from nbad.model.unused_imports import without_unused

    with without_unused():
        from nbad.daemon import run_daemon

    leave(run_daemon(find(args.config), signals))
