"""The feed's times: RFC 3339 in its documents, HTTP dates in its headers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from nbad.feed.decode import BadData, shown, text

# The league was founded in 1946. The feed writes year 1 for a time that is not known yet.
_FIRST_YEAR, _LAST_YEAR = 1946, 2200
# What is longer is none, and would be kept where times are.
_LONGEST_TIME = 40


@lru_cache(maxsize=4096)
def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def epoch_s(value: Any, name: str = "time") -> float:
    """An RFC 3339 time in seconds since the epoch; UTC where it names no offset.

    The feed writes tenths of a second (``…:19.0Z``), which :mod:`datetime` reads since 3.11.
    Raises :class:`BadData`, also for a year in which no game can be.
    """
    if not isinstance(value, str) or len(value) > _LONGEST_TIME:
        raise BadData(f"{name}: expected an RFC 3339 time, was {shown(value)}")
    try:
        return _moment(value).timestamp()
    except (ValueError, OverflowError):
        raise BadData(f"{name}: expected an RFC 3339 time, was {shown(value)}") from None


def utc(mapping: Any, name: str) -> str:
    """A needed RFC 3339 time, in UTC to the second."""
    return _utc(text(mapping, name), name)


def utc_or_none(value: Any) -> str | None:
    """An RFC 3339 time in UTC to the second; None where none is said, or none that can be."""
    return _utc_or_none(value) if type(value) is str and len(value) <= _LONGEST_TIME else None


@lru_cache(maxsize=256)  # every board says the same tip-offs
def _utc_or_none(value: str) -> str | None:
    try:
        return _utc(value, "time")
    except BadData:
        return None


def _utc(value: Any, name: str) -> str:
    epoch_s(value, name)
    return _moment(value).strftime("%Y-%m-%dT%H:%M:%SZ")


# How the feed says when a play happened, in tenths, and when it was edited, in whole seconds. Every
# month has these days: others take the long way.
_PLAIN_TIME = re.compile(
    r"20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9])?Z"
).fullmatch


def stamp(value: Any) -> str:
    """When a play happened or was edited, in the feed's own form (``2026-01-15T02:10:19.0Z``).

    In that form times are in order as texts are, which costs nothing for the hundreds of plays of
    a document. Any other form is brought to it; empty where there is none that can be read.
    """
    if type(value) is str and _PLAIN_TIME(value):
        return value if len(value) == 22 else value[:-1] + ".0Z"
    try:
        epoch_s(value)
    except BadData:
        return ""
    return _stamped(_moment(value))


# The two plain forms as lines of text, and what stands where in them.
_FORMS = ("20__-__-__T__:__:__._Z\n", "20__-__-__T__:__:__Z\n")
_MARKS = {len(form): [m for m in enumerate(form) if m[1] != "_"] for form in _FORMS}


def stamps(values: list[Any]) -> list[str]:
    """What :func:`stamp` makes of each of ``values``: of hundreds in one form, as a document has
    them, in a third of the time."""
    try:
        lines = "\n".join(values) + "\n"
        width, count = len(lines) // len(values), len(values)
        marks = _MARKS[width]
        if (
            len(lines) == width * count
            and all(lines[at::width] == mark * count for at, mark in marks)
            and "T24" not in lines  # since Python 3.13 a time
            and all(map(datetime.fromisoformat, values))
        ):
            return values if width == 23 else lines[:-1].replace("Z", ".0Z").split("\n")
    except (TypeError, KeyError, ZeroDivisionError, ValueError):
        pass  # there is one that is none, or of another form, or there are none
    return list(map(stamp, values))


@lru_cache(maxsize=64)  # one board is that of all its games
def stamp_of(seconds: float) -> str:
    """Seconds since the epoch in the feed's own form; empty for a moment that cannot be."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return _stamped(moment) if _FIRST_YEAR <= moment.year <= _LAST_YEAR else ""


def _stamped(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 100_000}Z"


@lru_cache(maxsize=64)  # the answers of a tick are mostly of the same second
def http_date_s(value: str | None) -> float | None:
    """An HTTP date in seconds since the epoch; None where there is none that can be read."""
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, TypeError, OverflowError):
        return None
