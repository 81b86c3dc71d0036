"""What books make of a simulated game: from its sides' true strengths, with a margin of theirs."""

from __future__ import annotations

import math
import random
from statistics import NormalDist
from typing import Any

from nbad.simulator import rates
from nbad.simulator.game_info import GameInfo

# The books of the feed's own document: its name for each, whose margin it takes, where.
_BOOKS = (
    ("sr:book:108", "Sportsbet", 0.045, "https://sportsbet.com.au", "AUS"),
    ("sr:book:18149", "DraftKings", 0.042, "https://sportsbook.draftkings.com", "USA"),
    ("sr:book:18186", "FanDuel", 0.048, "https://sportsbook.fanduel.com", "USA"),
)
# A price moves every so often until tip-off, by so many points of margin each time.
_STEP_S, _STEPS, _STEP_SD = 1800.0, 12, 0.25
# What the books do not know of the sides, and what one thinks otherwise than the others.
_UNKNOWN_SD, _APART_SD = 1.0, 0.3
_FAIR = NormalDist()


def steps_of(info: GameInfo, t: float) -> int:
    """How many times the prices of a game have moved by the moment ``t``; none moves after the
    game's time."""
    return min(max(0, _STEPS - math.ceil((info.scheduled - t) / _STEP_S)), _STEPS)


def moment_of_step(info: GameInfo, step: int) -> float:
    """When they moved for the ``step``-th time; 0 is when they opened."""
    return info.scheduled - (_STEPS - step) * _STEP_S


def quotes(info: GameInfo, step: int) -> dict[str, Any]:
    """A game of ``odds_todaysGames.json`` after ``step`` moves: the same for the same arguments."""
    rng = random.Random(f"nbad books {info.game_id}")
    expected = rates.HOME_POINTS + info.home.strength - info.away.strength
    expected += rng.gauss(0, _UNKNOWN_SD)
    moves = [rng.gauss(0, _STEP_SD) for _ in range(_STEPS)]
    opening = expected - sum(moves)
    now = opening + sum(moves[:step])
    apart = [rng.gauss(0, _APART_SD) for _ in _BOOKS]
    number = rng.randrange(10**7, 10**8)
    return {
        "gameId": info.game_id,
        "sr_id": f"sr:match:{number}",
        "srMatchId": str(number),
        "homeTeamId": str(info.home.team_id),
        "awayTeamId": str(info.away.team_id),
        "markets": [
            {
                "name": name,
                "odds_type_id": kind,
                "group_name": "regular",
                "books": [
                    _book(book, now + bias, opening + bias, spread=name == "spread")
                    for book, bias in zip(_BOOKS, apart, strict=True)
                ],
            }
            for name, kind in (("2way", 1), ("spread", 4))
        ],
    }


def _book(
    book: tuple[str, str, float, str, str], margin: float, opening: float, *, spread: bool
) -> dict[str, Any]:
    identity, name, share, url, country = book
    outcomes = []
    for number, (side, sign) in enumerate((("home", 1), ("away", -1)), 1):
        outcome: dict[str, Any] = {"odds_field_id": number if not spread else 9 + number,
                                   "type": side}  # fmt: skip
        if spread:
            handicap, first = _handicap(margin), _handicap(opening)
            price = _price(sign * (margin + handicap), share)
            before = _price(sign * (opening + first), share)
            told = {"spread": f"{sign * handicap:.1f}", "opening_spread": sign * first}
        else:
            price, before = _price(sign * margin, share), _price(sign * opening, share)
            told = {}
        trend = "up" if price > before else "down" if price < before else "equal"
        outcome |= {"odds": f"{price:.3f}", "opening_odds": f"{before:.3f}", "odds_trend": trend}
        outcomes.append(outcome | told)
    return {"id": identity, "name": name, "outcomes": outcomes, "url": url, "countryCode": country}


def _handicap(margin: float) -> float:
    """The home side's, to the half point: a favourite's is negative."""
    return -round(margin * 2) / 2


def _price(ahead: float, share: float) -> float:
    """The decimal price of a win by more than nothing where ``ahead`` points are expected, the
    book's ``share`` taken out of it."""
    return max(1.001, round(1 / (_FAIR.cdf(ahead / rates.MARGIN_SD) * (1 + share)), 3))
