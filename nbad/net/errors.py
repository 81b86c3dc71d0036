"""What is behind an error that Trio or a client wraps."""

from __future__ import annotations


def first_error(error: BaseException) -> BaseException:
    """The first error of a group, of a group within it, and so on; ``error`` itself where it is
    none."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def forget_frames(error: BaseException) -> None:
    """Take ``error``'s traceback from it.

    h11 raises its errors from a frame that holds them, a circle that would keep all of the
    connection, with what was read of a body, until the collector comes.
    """
    error.with_traceback(None)


def cause(error: BaseException) -> str:
    """Why a connection could not be had, in the system's words: Trio gathers the errors of every
    address that was tried in a group."""
    found = first_error(error.__cause__ or error)
    return str(getattr(found, "strerror", None) or found)
