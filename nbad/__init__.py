"""nbad: live NBA scores in, live NBA predictions out, in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbad.embed import pipeline

__all__ = ["__version__", "pipeline"]

__version__ = "0.7.0"


def __getattr__(name: str) -> Any:
    # Half a second of imports, which the commands and the client have no use for.
    if name == "pipeline":
        from nbad.embed import pipeline

        return pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
