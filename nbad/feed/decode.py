"""The feed's values made plain: numbers that come as strings, clocks, ids; times are in
:mod:`nbad.feed.times`.

Each raises :class:`BadData`, which names the field, what was expected and what was found.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import orjson

T = TypeVar("T")

BOM = b"\xef\xbb\xbf"
_DIGITS = 16
LONGEST_LABEL = 400
_CLOCK = re.compile(r"PT(?=\d)(?:(\d{1,3})M)?(?:(\d{1,3}(?:\.\d+)?)S)?", re.ASCII)


class BadData(ValueError):  # noqa: N818 - it names the data, which is bad, not an error of ours
    """The feed said something that cannot be read. ``kind`` and ``retry_after_s`` are as those of
    :class:`~nbad.feed.client.FeedError`."""

    kind = "unreadable"
    retry_after_s = 0.0


def document(body: bytes, what: str, name: str) -> Any:
    """The value ``name`` of the JSON document ``what``. A byte order mark before it is no fault."""
    body = body.removeprefix(BOM)
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            said = _loosely(body)
        except (ValueError, RecursionError):
            raise BadData(f"expected {what} in JSON, was {error}") from None
    return field(said, name)


def _loosely(body: bytes) -> Any:
    """What some put into JSON though it is none costs the value that it is in, not the document:
    NaN, and a number that no machine holds, is null; half a character is one that is not known; a
    raw tab is a tab.

    Raises ``ValueError`` or ``RecursionError`` where it is no JSON to anybody.
    """
    text = body.decode("utf-8", "replace")
    said = json.loads(
        text, strict=False, parse_constant=_none, parse_float=_finite, parse_int=_whole
    )
    return orjson.loads(json.dumps(said, ensure_ascii=False).encode("utf-8", "replace"))


def _none(_: str) -> None:
    return None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= _DIGITS else None


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def items(mapping: Any, name: str) -> list[Any]:
    """A needed list."""
    value = field(mapping, name)
    if not isinstance(value, list):
        raise BadData(f"{name}: expected a list, was {type(value).__name__}")
    return value


def field(mapping: Any, name: str) -> Any:
    """The value of a needed field, which may not be missing or null."""
    if not isinstance(mapping, dict):
        raise BadData(f"expected an object with {name}, was {shown(mapping)}")
    value = mapping.get(name)
    if value is None:
        raise BadData(f"{name}: expected a value, was {'null' if name in mapping else 'missing'}")
    return value


# No side ever had more than 186 points, no game more than 10 periods, and ids have 10 digits. What
# is far beyond is no basketball, and would cost memory, or be a number that nobody can read back.
MOST_POINTS = 999
MOST_PERIODS = 25
MOST_INTEGER = 2**53


def integer(mapping: Any, name: str, most: int = MOST_INTEGER) -> int:
    """A whole number from 0 to ``most`` that may come as a string (``scoreHome``) or as ``7.0``."""
    value: Any = mapping.get(name) if type(mapping) is dict else None
    if type(value) is not int and _is_whole(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= most:  # the type, for True is an int too
        value = field(mapping, name) if value is None else value
        within = f" up to {most}" if most < MOST_INTEGER else ""
        raise BadData(f"{name}: expected a whole number{within}, was {shown(value)}")
    return value


def _is_whole(value: Any) -> bool:
    if type(value) is str:
        return value.isascii() and value.isdigit() and len(value) <= _DIGITS
    return type(value) is float and value.is_integer()


def integer_or_none(mapping: Any, name: str, most: int = MOST_INTEGER) -> int | None:
    """A whole number from 0 to ``most``; None where none is said, or none that can be."""
    value = mapping.get(name) if type(mapping) is dict else None
    if type(value) is int and 0 <= value <= most:  # nearly always
        return value
    try:
        return integer(mapping, name, most)
    except BadData:
        return None


def identity(mapping: Any, name: str) -> int:
    """The id of whom or what a play names; 0 where it names nobody."""
    return (mapping.get(name) and integer_or_none(mapping, name)) or 0


def label(mapping: Any, name: str) -> str:
    """A text to show, cut where it is longer than any that makes sense; empty where none is."""
    value = mapping.get(name)
    return _shortened(value) if type(value) is str else ""


def _shortened(value: str) -> str:
    return value[:LONGEST_LABEL].strip()


def text(mapping: Any, name: str) -> str:
    """A string that is not empty."""
    if type(mapping) is dict and type(value := mapping.get(name)) is str and value:
        return value
    value = field(mapping, name)
    if not isinstance(value, str) or not value:
        raise BadData(f"{name}: expected text, was {shown(value)}")
    return value


def game_id(mapping: Any, name: str = "gameId") -> str:
    """Ten digits, the leading zeros put back where a number lost them."""
    value = field(mapping, name)
    if type(value) is str and len(value) == 10:  # nearly always
        digits = value
    else:
        digits = str(value).rjust(10, "0") if isinstance(value, str | int) else ""
    if len(digits) != 10 or not digits.isascii() or not digits.isdigit() or not int(digits):
        raise BadData(f"{name}: expected ten digits, was {shown(value)}")
    return digits


class Known(dict[str, T], Generic[T]):
    """What ``read`` makes of texts, kept: a look-up takes half as long as one of ``lru_cache``.
    Bounded: what is full begins anew, and a long text is read each time.

    ``known[value]`` raises TypeError where ``value`` is no text.
    """

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[str], T]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, value: str) -> T:
        found = self._read(value)
        if len(value) <= _LONGEST_KNOWN:
            if len(self) >= _MOST_KNOWN:
                self.clear()
            self[value] = found
        return found


_MOST_KNOWN, _LONGEST_KNOWN = 4096, 40


def _clock_s(value: str) -> float:
    """Seconds; infinity, more than any period has, where it is no clock."""
    match = _CLOCK.fullmatch(value.strip()) if len(value) < 24 else None
    if match is None:
        return math.inf
    minutes, seconds = match.groups()
    return round(int(minutes or 0) * 60 + float(seconds or 0), 2)


# A quarter has 720 whole seconds, and its last minute tenths: the same clocks come all night, and
# so do kinds of plays and players.
CLOCKS = Known(_clock_s)
LABELS = Known(_shortened)


def clock_or_none(value: Any, period: int) -> float | None:
    """``PT11M58.00S``, or ``PT12M`` or ``PT58S``, in seconds left of ``period``, to a hundredth.

    None where it is empty, cannot be read, or is longer than such a period: it is then unknown,
    which is not 0:00.
    """
    seconds = CLOCKS[value] if type(value) is str else math.inf
    return seconds if seconds <= period_s(period) else None


def period_s(period: int) -> float:
    """How long a period is: a quarter, or an overtime."""
    return 720.0 if period <= 4 else 300.0


def shown(value: Any) -> str:
    """A value as an error shows it: short, however long or deep it is."""
    try:
        shown = repr(value)
    except RecursionError:  # JSON may be nested deeper than Python follows
        return f"a {type(value).__name__} that is too deep"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
