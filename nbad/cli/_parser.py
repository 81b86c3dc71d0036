"""The parser of the command line: exit codes, help, and the nearest name for a wrong one."""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import Any, NoReturn

from nbad.exit_codes import USAGE


class Help(argparse.HelpFormatter):
    """Shows defaults, except None, empty and false ones."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help
        shown = (
            action.default not in (None, argparse.SUPPRESS, "", False, []) and action.option_strings
        )
        if text is None or not shown or "%(default)" in text or "default:" in text:
            return text
        return f"{text} (default: %(default)s)"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, the same in every command."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of the table"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``, the same in every command; the configuration is its default."""
    parser.add_argument(
        "--model", type=Path, metavar="DIR",
        help="the model's folder; default: [model] path of the configuration, else the bundled one",
    )  # fmt: skip


class Parser(argparse.ArgumentParser):
    """Exits with code 64 and one line. Allows no abbreviations, which new options would break."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        found = re.match(r"argument COMMAND: invalid choice: '?([^' ]+)'?", message)
        if found:
            message = f"unknown command {found[1]!r}{self._nearest(found[1])}"
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")

    def unknown(self, arguments: list[str]) -> NoReturn:
        """End for unknown arguments, each with the nearest known one."""
        told = " ".join(f"{name}{self._nearest(name)}" for name in arguments)
        self.error(f"unrecognized arguments: {told}")

    def _nearest(self, name: str) -> str:
        known = list(self._option_string_actions)
        for action in self._actions:
            known += list(action.choices or ()) if not action.option_strings else []
        near = difflib.get_close_matches(name.partition("=")[0], known, n=1)
        return f" (did you mean {near[0]}?)" if near else ""
