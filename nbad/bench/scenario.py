"""A slate: games that are all in play, and all change with every poll."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from nbad.simulator import MAX_GAMES, GamesNight, simulate_night

LARGEST = 2 * MAX_GAMES
# Where in a game's changes each quarter is taken: late enough in it to be what it is called, and
# the last with room for some 60 changes more.
QUARTERS = {1: 0.15, 2: 0.40, 3: 0.65, 4: 0.85}
# The wall clock since tip-off at which the slate is first seen: late in the first quarter.
_UNDER_WAY_S = 1500.0
# Tip-offs this far apart, so that not all games are in the same time-out.
_APART_S = 45.0


def slate(games: int) -> GamesNight:
    """``games`` (1 to 30) that are in play at ``starts_at`` and for an hour and a half from then.

    ``ValueError`` for another number. More than 15 are two nights of the same clubs.
    """
    if not 1 <= games <= LARGEST:
        raise ValueError(f"games: expected 1 to {LARGEST}, was {games}")
    seed = 1
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


@dataclass(frozen=True, slots=True)
class Documents:
    """What the feed says at one moment: the board, and each game's plays by its id."""

    board: bytes
    plays: dict[str, bytes]


def changes(night: GamesNight, quarter: int) -> Iterator[Documents]:
    """Of every game one change after the other, from ``quarter`` (1 to 4) on, and the board that
    goes with them. Ends with the game that ends first."""
    feeds = {game_id: night.feed(game_id) for game_id in night.game_ids}
    first = {name: int(len(feed.moments) * QUARTERS[quarter]) for name, feed in feeds.items()}
    board = orjson.loads(night.scoreboard(night.starts_at).body)
    steps = min(len(feed.moments) - first[name] for name, feed in feeds.items())
    for step in range(steps):
        plays = {}
        for name, feed in feeds.items():
            said = feed.play_by_play(first[name] + step)
            assert said is not None  # it has begun
            plays[name] = said.body
        board["scoreboard"]["games"] = [
            orjson.Fragment(feed.entry(first[name] + step)) for name, feed in feeds.items()
        ]
        yield Documents(orjson.dumps(board), plays)
