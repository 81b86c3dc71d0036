"""The feed's values made plain: numbers that come as strings, clocks, times, ids.

Each raises :class:`BadData`, which names the field, what was expected and what was found.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

_DIGITS = 16
_CLOCK = re.compile(r"PT(\d{1,3})M(\d{1,2}(?:\.\d+)?)S")


class BadData(ValueError):  # noqa: N818 - it names the data, which is bad, not an error of ours
    """The feed said something that cannot be read."""


def document(body: bytes, what: str, name: str) -> Any:
    """The value ``name`` of the JSON document ``what``."""
    try:
        return field(orjson.loads(body), name)
    except orjson.JSONDecodeError as error:
        raise BadData(f"expected {what} in JSON, was {error}") from None


def items(mapping: Any, name: str) -> list[Any]:
    """A needed list."""
    value = field(mapping, name)
    if not isinstance(value, list):
        raise BadData(f"{name}: expected a list, was {type(value).__name__}")
    return value


def field(mapping: Any, name: str) -> Any:
    """The value of a needed field, which may not be missing or null."""
    if not isinstance(mapping, dict):
        raise BadData(f"expected an object with {name}, was {_shown(mapping)}")
    value = mapping.get(name)
    if value is None:
        raise BadData(f"{name}: expected a value, was {'null' if name in mapping else 'missing'}")
    return value


# No side ever had more than 186 points, no game more than 10 periods, and ids have 10 digits. What
# is far beyond is no basketball, and would cost memory, or be a number that nobody can read back.
MOST_POINTS = 999
MOST_PERIODS = 25
_MOST = 2**53


def integer(mapping: Any, name: str, most: int = _MOST) -> int:
    """A whole number from 0 to ``most`` that may come as a string (``scoreHome``)."""
    value = mapping.get(name) if type(mapping) is dict else None
    if type(value) is str and value.isdecimal() and len(value) <= _DIGITS:
        value = int(value)
    if type(value) is not int or not 0 <= value <= most:  # the type, for True is an int too
        value = field(mapping, name) if value is None else value
        within = f" up to {most}" if most < _MOST else ""
        raise BadData(f"{name}: expected a whole number{within}, was {_shown(value)}")
    return value


def identity(mapping: Any, name: str) -> int:
    """The id of whom or what a play names; 0 where it names nobody."""
    return integer(mapping, name) if mapping.get(name) else 0


def text(mapping: Any, name: str) -> str:
    """A string that is not empty."""
    if type(mapping) is dict and type(value := mapping.get(name)) is str and value:
        return value
    value = field(mapping, name)
    if not isinstance(value, str) or not value:
        raise BadData(f"{name}: expected text, was {_shown(value)}")
    return value


def game_id(mapping: Any, name: str = "gameId") -> str:
    """Ten digits, the leading zeros put back where a number lost them."""
    value = str(field(mapping, name)).rjust(10, "0")
    if len(value) != 10 or not value.isascii() or not value.isdigit():
        raise BadData(f"{name}: expected ten digits, was {_shown(value)}")
    return value


def clock_s(value: Any, name: str = "clock") -> float:
    """``PT11M58.00S`` in seconds, to a hundredth; empty or null is 0."""
    if value is None or value == "":
        return 0.0
    seconds = _clock_s(value) if isinstance(value, str) else None
    if seconds is None:
        raise BadData(f"{name}: expected a clock like PT11M58.00S, was {_shown(value)}")
    return seconds


# A quarter has 720 whole seconds, and its last minute tenths: the same clocks come all night.
@lru_cache(maxsize=4096)
def _clock_s(value: str) -> float | None:
    match = _CLOCK.fullmatch(value)
    return round(int(match[1]) * 60 + float(match[2]), 2) if match else None


def epoch_s(value: str, name: str = "time") -> float:
    """An RFC 3339 time in seconds since the epoch; UTC where it names no offset.

    The feed writes tenths of a second (``…:19.0Z``), which :mod:`datetime` reads since 3.11.
    """
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        raise BadData(f"{name}: expected an RFC 3339 time, was {_shown(value)}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
