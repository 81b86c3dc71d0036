"""Requests of a command to a running daemon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def ask(url: str, path: str, what: str, read: Callable[[Any], T]) -> T:
    """``read`` applied to the JSON at ``path`` of the daemon at ``url``.

    Raises ValueError if it does not answer, or not with ``what``.
    """
    import httpx  # takes some 50 ms, which other uses of a command save

    try:
        answer = httpx.get(f"{url.rstrip('/')}{path}", timeout=5.0)
        return read(answer.raise_for_status().json())
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        hint = "is the daemon running, and is this its [http] address?"
        raise ValueError(f"{url}: expected {what}, was: {error}; {hint}") from None
