"""Why a connection could not be had, in the system's words."""

from __future__ import annotations


def cause(error: BaseException) -> str:
    """What is behind ``error``: Trio gathers those of every address that was tried in a group."""
    found: BaseException = error.__cause__ or error
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return str(getattr(found, "strerror", None) or found)
