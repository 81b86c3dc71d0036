"""Imports that a process that serves does not need are not paid for."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# LightGBM imports each of these where it is installed, to take its data in their forms; the daemon
# gives it numpy's. With nba_api, which needs it, pandas is always installed. And structlog imports
# rich, to colour what no daemon writes.
UNUSED = ("pandas", "pyarrow", "sklearn", "matplotlib", "graphviz", "dask", "cffi", "rich")


@contextmanager
def without_unused() -> Iterator[None]:
    """In the block :data:`UNUSED` cannot be imported, unless they already were, and nothing is
    looked through for garbage: what is imported stays.

    For a process that serves or predicts: what is imported in the block stays without them.
    """
    hidden = [name for name in UNUSED if name not in sys.modules]
    # None in its place is Python's own way to say that a module cannot be imported.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        if collects:
            gc.freeze()
            gc.enable()
