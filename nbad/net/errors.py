"""The causes behind wrapped errors."""

from __future__ import annotations


def first_error(error: BaseException) -> BaseException:
    """The first error of a group, of a group within it, and so on; ``error`` itself where it is
    none."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def forget_frames(error: BaseException) -> None:
    """Take ``error``'s traceback from it.

    h11 raises its errors from a frame that refers to them: a cycle that would keep the connection,
    with all that was read of a body, until the collector comes.
    """
    error.with_traceback(None)


def cause(error: BaseException) -> str:
    """Why a connection failed, in the system's words. Trio groups the errors of all addresses that
    were tried."""
    found = first_error(error.__cause__ or error)
    return str(getattr(found, "strerror", None) or found)
