"""A client's messages, parsed and checked: each is one JSON object with an ``op``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import orjson

from nbad.stream.batch import EVERYTHING, Interest
from nbad.stream.cursor import Since

MAX_BYTES = 4096
"""The longest message a client may send."""

PER_SECOND = 5
"""How many frames a second are read from a client, of any kind; more wait in its socket."""


MAX_NAMES = 100
"""How many games and teams one filter may name; a night has 15 and 30."""


# Characters of an unknown key.
_SHOWN = 40


class BadRequestError(Exception):
    """A message that cannot be acted on; its ``code`` and text are for the one who sent it."""

    code = "bad_request"


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Narrow to ``interest`` and go on from ``since``."""

    interest: Interest
    since: Since | None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """No more batches."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer with the same ``id``, any JSON value."""

    id: object


Request = Subscribe | Unsubscribe | Ping


def parse_request(text: str | bytes) -> Request:
    """A client's message. Raises :class:`BadRequestError` saying what was expected."""
    if isinstance(text, bytes):
        raise BadRequestError("expected a text message, was a binary one")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"expected JSON, was not: at character {error.pos + 1}") from None
    if not isinstance(message, dict):
        raise BadRequestError(f"expected an object, was {_kind(message)}")
    match message.get("op"):
        case "subscribe":
            _only(message, ("op", "games", "teams", "since"))
            since = message.get("since")
            return Subscribe(
                narrow(_names(message, "games"), _names(message, "teams", upper=True)),
                None if since is None else parse_since(since),
            )
        case "unsubscribe":
            _only(message, ("op",))
            return Unsubscribe()
        case "ping":
            _only(message, ("op", "id"))
            try:
                orjson.dumps(message.get("id"))
            except TypeError:  # so deeply nested that it can be read, and not be written
                raise BadRequestError("id: expected a value that can be sent back") from None
            return Ping(message.get("id"))
    raise BadRequestError("op: expected subscribe, unsubscribe or ping")


def narrow(games: frozenset[str], teams: frozenset[str]) -> Interest:
    """The interest in these. Raises :class:`BadRequestError` where they are too many.

    All who want everything share one object: two empty sets are half a KB.
    """
    count = len(games) + len(teams)
    if count > MAX_NAMES:
        raise BadRequestError(f"expected at most {MAX_NAMES} games and teams, were {count}")
    return Interest(games, teams) if count else EVERYTHING


def parse_since(value: object) -> Since:
    """``EPOCH.SEQ``. Raises :class:`BadRequestError`."""
    if isinstance(value, str):
        epoch, _, seq = value.rpartition(".")
        if epoch and seq.isascii() and seq.isdecimal() and len(seq) < 16:
            return Since(epoch, int(seq))
    raise BadRequestError("since: expected EPOCH.SEQ, as in snapshot and batch")


def _only(message: dict[str, Any], known: tuple[str, ...]) -> None:
    """Refuse unknown keys: a misspelt one would silently narrow nothing."""
    for key in message:
        if key not in known:
            key = key[:_SHOWN]  # comparing it costs its length squared
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise BadRequestError(
                f"{key}: expected a known key, was unknown; the nearest is {near}"
            )


def _names(message: dict[str, Any], key: str, *, upper: bool = False) -> frozenset[str]:
    names = message.get(key)
    if names is None:
        return frozenset()
    if not isinstance(names, list):
        raise BadRequestError(f"{key}: expected a list of strings, was {_kind(names)}")
    for name in names:
        if not isinstance(name, str):
            raise BadRequestError(f"{key}: expected a list of strings, {_kind(name)} was in it")
    return frozenset(name.upper() if upper else name for name in names)


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")
