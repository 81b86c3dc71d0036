"""The file ``knowledge.json``: the games played and the last odds, whole or refused.

Two lines. The first says the format, and the length and the digest of the second, which is JSON.
The games are kept, not the ratings: these follow from them and from the model, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from hashlib import sha256
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from nbad.domain import Result
from nbad.feed.decode import MOST_POINTS
from nbad.pattern.knowledge import Knowledge
from nbad.pattern.market import Line
from nbad.pattern.players import MOST_OF_A_PLAYER, MOST_PLAYERS, STATS, GameLines
from nbad.pattern.quotes import MOST, Quote, Quotes
from nbad.pattern.tracker import MOST_GAMES, PlayedGame, RatingsTracker

# Six thousand games, with the players of half of them, are 6 MB.
MOST_BYTES = 32 * 1024 * 1024
_FORMAT = 1
_GameId = Annotated[str, StringConstraints(pattern=r"^\d{10}$")]
_Utc = Annotated[str, StringConstraints(max_length=40)]
_Id = Annotated[int, Field(ge=0, le=2**53)]
_Points = Annotated[int, Field(ge=0, le=MOST_POINTS)]
_Count = Annotated[float, Field(ge=0, le=MOST_OF_A_PLAYER, allow_inf_nan=False)]
_Margin = Annotated[float, Field(ge=-1_000, le=1_000, allow_inf_nan=False)]
_Moment = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Five = Annotated[list[_Id], Field(max_length=5)]
# Person, team, and one count for each of STATS.
_Player = tuple[
    _Id, _Id, Annotated[list[_Count], Field(min_length=len(STATS), max_length=len(STATS))]
]


class StateError(Exception):
    """A file that cannot be trusted; the message says why."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class _Game(_Part):
    result: tuple[_GameId, _Utc, _Id, _Id, _Points, _Points]
    fives: tuple[_Five, _Five] = ([], [])
    players: Annotated[list[_Player], Field(max_length=MOST_PLAYERS)] | None = None


class _Quote(_Part):
    margin: _Margin
    total: _Margin | None
    doubt: _Margin
    heard: _Moment


class _Body(_Part):
    games: Annotated[list[_Game], Field(max_length=MOST_GAMES)]
    odds: Annotated[dict[_GameId, _Quote], Field(max_length=MOST)]


def encode(games: Sequence[PlayedGame], quotes: Mapping[str, Quote]) -> bytes:
    """The file's content: the same games and quotes, the same bytes."""
    body = orjson.dumps(
        {
            "games": [_told(game) for game in games],
            "odds": {
                game_id: {
                    "margin": quote.line.margin,
                    "total": quote.line.total,
                    "doubt": quote.line.doubt,
                    "heard": quote.heard,
                }
                for game_id, quote in sorted(quotes.items())
            },
        }
    )
    head = {"nbad_state": _FORMAT, "bytes": len(body), "sha256": sha256(body).hexdigest()}
    return orjson.dumps(head) + b"\n" + body + b"\n"


def decode(content: bytes) -> Knowledge:
    """The inverse of :func:`encode`. Raises :class:`StateError` for any other content."""
    first, _, body = content.partition(b"\n")
    body = body.removesuffix(b"\n")
    try:
        head = orjson.loads(first)
    except orjson.JSONDecodeError:
        head = None
    if not isinstance(head, dict) or "nbad_state" not in head:
        raise StateError("expected a state file of nbad, was another")
    if head["nbad_state"] != _FORMAT:
        raise StateError(f"expected format {_FORMAT}, was {head['nbad_state']!r:.20}")
    if head.get("bytes") != len(body) or head.get("sha256") != sha256(body).hexdigest():
        raise StateError("expected what was written, was cut or changed")
    try:
        # The digest only shows that the bytes are complete: each value has its own bounds.
        kept = _Body.model_validate_json(body)
    except ValidationError as error:
        found: Any = error.errors()[0]
        raise StateError(f"{'.'.join(map(str, found['loc']))}: {found['msg']}") from None
    quotes = {
        game_id: Quote(Line(quote.margin, quote.total, quote.doubt), quote.heard)
        for game_id, quote in kept.odds.items()
    }
    return Knowledge(RatingsTracker(games=map(_played, kept.games)), Quotes(quotes))


def _told(game: PlayedGame) -> dict[str, Any]:
    told: dict[str, Any] = {"result": astuple(game.result)}
    if game.lines is not None:
        told["fives"] = [game.lines.home_five, game.lines.away_five]
        told["players"] = [
            [person, team, counts] for person, (team, counts) in game.lines.lines.items()
        ]
    return told


def _played(game: _Game) -> PlayedGame:
    result = Result(*game.result)
    if game.players is None:
        return PlayedGame(result)
    lines = {person: (team, tuple(counts)) for person, team, counts in game.players}
    home, away = map(tuple, game.fives)
    return PlayedGame(result, GameLines(home, away, lines))
