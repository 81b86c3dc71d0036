"""Files that a command is to write, tried before its work: minutes later it is too late to say."""

from __future__ import annotations

import argparse
from pathlib import Path


def picture(name: str) -> Path:
    """The type of a ``--plot``: a file that ends in ``.png``."""
    path = Path(name)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"expected FILE.png, was {name!r}")
    return path


def try_to_write(*paths: Path | None) -> None:
    """Raises OSError, with its file's name, where one of ``paths`` cannot be written. None is none.

    What is in a file stays, and one that was not there is not left behind.
    """
    for path in filter(None, paths):
        new = not path.exists()
        path.open("ab").close()
        if new:
            path.unlink()
