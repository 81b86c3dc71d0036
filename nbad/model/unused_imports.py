"""Imports that the daemon does not need are not paid for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# LightGBM imports each of these where it is installed, to take its data in their forms; the daemon
# gives it numpy's. With nba_api, which needs it, pandas is always installed.
UNUSED = ("pandas", "pyarrow", "sklearn", "matplotlib", "graphviz", "dask", "cffi")


@contextmanager
def without_unused() -> Iterator[None]:
    """In the block :data:`UNUSED` cannot be imported, unless they already were.

    For a process that only predicts: a LightGBM imported in the block stays without them.
    """
    hidden = [name for name in UNUSED if name not in sys.modules]
    # None in its place is Python's own way to say that a module cannot be imported.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
