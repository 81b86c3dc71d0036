"""How a feed misbehaves on request: which answer goes wrong, and in what way.

    KIND[:PROBABILITY][@GAME_ID]        503:0.1    stall    truncate:0.05@0022500123    403@odds

A decision is a pure function of the seed, the path and how often that path was asked for: it does
not depend on what else is asked for, or when.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import orjson

KINDS = {
    "stall": "accepts the request, sends its head or nothing, and hangs",
    "truncate": "promises the whole length, sends half of it and closes",
    "regress": "a snapshot 30 to 120 s older, in feed time",
    "html": "200 with an HTML page",
    "reset": "resets the connection",
    "garbage": "200 with JSON that does not parse",
    "nulls": "a required field null or missing",
    "slow": "sends the body a few bytes at a time",
}
REGRESS_S = (30.0, 120.0)
_STATUSES = range(400, 600)
_SPEC = re.compile(r"(?P<kind>[^:@]+)(?::(?P<chance>[^:@]*))?(?:@(?P<game>[^:@]*))?")
_EXPECTED = (
    f"KIND[:PROBABILITY][@GAME_ID] with KIND an HTTP status from 400 to 599 or one of "
    f"{', '.join(KINDS)}"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail. ``status`` is the HTTP status for the kind ``status``, else 0."""

    kind: str
    probability: float = 1.0
    game_id: str = ""
    status: int = 0

    def concerns(self, path: str) -> bool:
        """Whether an address may be hit: all, or those of its game. Of a game's nulls, the
        scoreboard tells too."""
        if not self.game_id or self.game_id in path:
            return True
        return self.kind == "nulls" and "/scoreboard/" in path


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that strikes. ``draw`` in [0, 1) is what it leaves to chance, decided."""

    fault: Fault
    draw: float


@dataclass(frozen=True, slots=True)
class Faults:
    """All that may go wrong, in the order in which it is tried."""

    faults: tuple[Fault, ...] = ()
    seed: int = 1

    def decide(self, path: str, count: int) -> Struck | None:
        """What goes wrong with the ``count``-th request for ``path``, if anything."""
        for place, fault in enumerate(self.faults):
            if not fault.concerns(path):
                continue
            word = f"{self.seed} {place} {path} {count}".encode()
            digest = hashlib.blake2b(word, digest_size=16).digest()
            strike = int.from_bytes(digest[:8], "big") / 2**64
            draw = int.from_bytes(digest[8:], "big") / 2**64
            if strike < fault.probability:
                return Struck(fault, draw)
        return None


def parse_fault(spec: str) -> Fault:
    """Read one specification; ``ValueError`` says what was expected. No probability: always."""
    match = _SPEC.fullmatch(spec)
    kind, chance, game = match.group("kind", "chance", "game") if match else ("", None, None)
    status = 0
    if kind.isascii() and kind.isdigit() and int(kind) in _STATUSES:
        kind, status = "status", int(kind)
    elif kind not in KINDS:
        raise ValueError(f"fault: expected {_EXPECTED}, was {spec!r}")
    probability = 1.0
    if chance is not None:
        try:
            probability = float(chance)
        except ValueError:
            probability = -1.0
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"fault {spec!r}: expected a probability from 0 to 1, was {chance!r}")
    if game is not None and not re.fullmatch(r"[0-9]{10}|odds", game):
        raise ValueError(f"fault {spec!r}: expected a game id of ten digits or odds, was {game!r}")
    return Fault(kind, probability, game or "", status)


def parse_faults(specs: list[str], seed: int = 1) -> Faults:
    """Read all of them; ``ValueError`` for the first that cannot be read."""
    return Faults(tuple(parse_fault(spec) for spec in specs), seed)


_GAME_FIELDS = ("gameStatus", "homeTeam", "awayTeam", "gameId", "gameTimeUTC", "period")
_ACTION_FIELDS = ("actionNumber", "clock", "period", "scoreHome", "orderNumber")


def with_nulls(body: bytes, draw: float, game_id: str = "") -> bytes:
    """A document with a needed field null (or, half the time, missing): in the entry of
    ``game_id``, or of any game, or in the last play."""
    document: dict[str, Any] = orjson.loads(body)
    missing = draw * 2 % 1.0 >= 0.5
    entry: dict[str, Any] | None = None
    fields: tuple[str, ...] = _GAME_FIELDS
    if "scoreboard" in document:
        games = document["scoreboard"]["games"]
        wanted = [game for game in games if game_id in ("", game["gameId"])]
        entry = wanted[int(draw * len(wanted))] if wanted else None
    elif "actions" in document.get("game", {}):
        fields = _ACTION_FIELDS
        entry = document["game"]["actions"][-1]
    elif "game" in document:
        entry = document["game"]
    if entry is not None:
        # An id that is asked for by name stays, or nobody knew whose the trouble is.
        named = tuple(name for name in fields if not (game_id and name == "gameId"))
        field = named[int(draw * 7919) % len(named)]
        if missing:
            entry.pop(field, None)
        else:
            entry[field] = None
    return orjson.dumps(document)
