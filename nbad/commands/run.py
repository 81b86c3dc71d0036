"""``nbad run`` and ``nbad check``: the daemon, and what it would run with."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from nbad.configfile import ConfigError, find, load, shown
from nbad.exits import CONFIG, OK


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``run`` and ``check``."""
    for name, run, help_ in (
        ("run", run_daemon, "the daemon: feed, predictions, WebSocket stream"),
        ("check", check, "validate a configuration and the model it names"),
    ):
        parser = subparsers.add_parser(name, help=help_, description=f"{help_}.")
        parser.add_argument(
            "--config", type=Path, metavar="FILE",
            help="default: ./nbad.toml, then /etc/nbad/nbad.toml, then the built-in defaults",
        )  # fmt: skip
        parser.set_defaults(run=run)


def run_daemon(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    from nbad.daemon import run_daemon as run  # what only the daemon needs takes half a second

    return run(find(args.config))


def check(args: argparse.Namespace) -> int:
    """Print what is in force and where each value came from, or every error. Exit codes: 0, 78."""
    from nbad.daemon import load_model

    path = find(args.config)
    try:
        loaded = load(path, os.environ)
        forecaster = load_model(loaded.config, str(path or "default"))
    except ConfigError as error:
        sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        return CONFIG
    for section, values in loaded.config:
        sys.stdout.write(f"[{section}]\n")
        for key in type(values).model_fields:
            origin = loaded.origin.get(f"{section}.{key}", "default")
            sys.stdout.write(f"{key} = {shown(getattr(values, key))!r}  # {origin}\n")
    sys.stdout.write(f"model {forecaster.name} loads\n")
    return OK
