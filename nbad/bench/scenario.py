"""A slate: games that are all in play, and all change at once."""

from __future__ import annotations

from nbad.simulator import MAX_GAMES, GamesNight, simulate_night

LARGEST = 2 * MAX_GAMES
# The wall clock since tip-off at which the slate is first seen: late in the first quarter.
_UNDER_WAY_S = 1500.0
# Tip-offs this far apart, so that not all games are in the same time-out.
_APART_S = 45.0


def slate(games: int, seed: int = 1) -> GamesNight:
    """``games`` (1 to 30) that are in play at ``starts_at`` and for an hour and a half from then.

    ``ValueError`` for another number. More than 15 are two nights of the same clubs.
    """
    if not 1 <= games <= LARGEST:
        raise ValueError(f"games: expected 1 to {LARGEST}, was {games}")
    night = _night(min(games, MAX_GAMES), seed)
    more = games - MAX_GAMES
    while more > 0:
        seed += 1
        try:
            return night.and_also(_night(more, seed))
        except ValueError:
            continue  # the two seeds number their games alike: another one will not
    return night


def _night(games: int, seed: int) -> GamesNight:
    tip_offs = [-_UNDER_WAY_S - number * _APART_S for number in range(games)]
    return simulate_night(games, seed, tip_offs=tip_offs)
