"""``odds_todaysGames.json`` → what the market expects of each game.

A book's two prices say more than 100 % together: that is its margin, and taken out of both alike.
A price then says a probability, a spread with its prices a margin; the median of all books is what
is told, and how far they lie apart is its doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np

from nbad.feed.decode import BadData, document, game_id, items
from nbad.model.normal import normal_quantile
from nbad.pattern.market import GAME_SD, Line

# No document has more games, no market more books; a price outside of these is none.
_MOST = 200
_PRICES, _SPREADS = (1.001, 1000.0), (-60.0, 60.0)


def parse_odds(body: bytes) -> dict[str, Line]:
    """What the market expects of each game that it quotes, by game id.

    What cannot be read of a book or a game is left out; raises
    :class:`~nbad.feed.decode.BadData` where it is no such document.
    """
    lines: dict[str, Line] = {}
    for game in items({"games": document(body, "odds", "games")}, "games")[:_MOST]:
        try:
            identity = game_id(game)
            margins = list(_margins(game))
        except BadData:
            continue
        if margins:
            lines[identity] = _line(margins)
    return lines


def _line(margins: list[tuple[str, float]]) -> Line:
    """The median by kind of market, the mean of these, and what the books disagree by."""
    kinds = [median(of) for kind in ("2way", "spread") if (of := _of(margins, kind))]
    middle = sum(kinds) / len(kinds)
    apart = median(abs(margin - middle) for _, margin in margins)
    return Line(round(middle, 2), None, round(apart, 2))


def _of(margins: list[tuple[str, float]], kind: str) -> list[float]:
    return [margin for name, margin in margins if name == kind]


def _margins(game: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Of each book the kind of market, and by how much it expects the home side to win."""
    for market in items(game, "markets")[:_MOST]:
        name = market.get("name") if isinstance(market, dict) else None
        if name not in ("2way", "spread"):
            continue
        for book in items(market, "books")[:_MOST]:
            margin = _margin(book, spread=name == "spread")
            if margin is not None:
                yield name, margin


def _margin(book: Any, *, spread: bool) -> float | None:
    """None where the book quotes nothing that can be."""
    outcomes = book.get("outcomes") if isinstance(book, dict) else None
    if not isinstance(outcomes, list):
        return None
    sides = {
        outcome["type"]: outcome
        for outcome in outcomes[:4]
        if isinstance(outcome, dict) and outcome.get("type") in ("home", "away")
    }
    if len(sides) != 2:
        return None
    home, away = (_number(sides[side].get("odds"), *_PRICES) for side in ("home", "away"))
    if home is None or away is None:
        return None
    likely = (1 / home) / (1 / home + 1 / away)
    beyond = GAME_SD * float(normal_quantile(np.array([likely]))[0])
    if not spread:
        return beyond
    # The home side's handicap: a favourite's is negative.
    handicap = _number(sides["home"].get("spread"), *_SPREADS)
    return None if handicap is None else beyond - handicap


def _number(value: Any, least: float, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value) if not isinstance(value, str) or len(value) < 16 else None
    except ValueError:
        return None
    return number if number is not None and least <= number <= most else None
