"""Files that a command is to write."""

from __future__ import annotations

import argparse
from pathlib import Path


def picture(name: str) -> Path:
    """The type of a ``--plot``: a file that ends in ``.png``."""
    path = Path(name)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"expected FILE.png, was {name!r}")
    return path
