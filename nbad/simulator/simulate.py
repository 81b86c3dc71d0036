"""A whole simulated night."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime

from nbad.simulator.changes import changes_of
from nbad.simulator.corrections import publish
from nbad.simulator.events import Event
from nbad.simulator.game_feed import GameFeed
from nbad.simulator.game_info import GameInfo
from nbad.simulator.games_night import GamesNight
from nbad.simulator.league import Club, make_league
from nbad.simulator.play import play_game
from nbad.simulator.schedule import game_id, make_season

MAX_GAMES = 15  # thirty clubs

# A winter evening in the East, 9 pm: the simulated now, unless another is asked for.
DEFAULT_START = datetime(2026, 1, 15, 2, 0, tzinfo=UTC).timestamp()

# What the opening moment shows of the games, in this order while there are any: one just over, one
# at half-time, and of the rest three tenths still to come, the others live.
_TO_COME_SHARE = 0.3


def simulate_night(
    games: int = 10,
    seed: int = 1,
    *,
    starts_at: float | None = None,
    tip_off_spread_s: float = 1200.0,
    tip_offs: Sequence[float] | None = None,
) -> GamesNight:
    """A night of ``games`` (1 to 15), the same for the same arguments.

    ``starts_at`` (seconds since the epoch) is the moment at which to begin watching: then one game
    has just ended, one is at half-time, some are live in all quarters, and some tip off over the
    next ``tip_off_spread_s``. ``tip_offs`` says instead when each game tips off, in seconds after
    ``starts_at``. ``ValueError`` for what cannot be.
    """
    if not 1 <= games <= MAX_GAMES:
        raise ValueError(f"games: expected 1 to {MAX_GAMES}, was {games}")
    if tip_off_spread_s < 0:
        raise ValueError(f"tip_off_spread_s: expected 0 or more, was {tip_off_spread_s}")
    if tip_offs is not None and len(tip_offs) != games:
        raise ValueError(f"tip_offs: expected {games} moments, was {len(tip_offs)}")
    start = float(int(DEFAULT_START if starts_at is None else starts_at))
    # Strings seed alike on every Python and machine.
    season_rng = random.Random(f"nbad season {seed}")
    season = make_season(make_league(season_rng), start, games, season_rng)
    pairs = _pairs(season.clubs, games, season_rng)
    played = [
        play_game(home, away, random.Random(f"nbad game {seed} {number}"))
        for number, (home, away) in enumerate(pairs)
    ]
    if tip_offs is None:
        tip_offs = _tip_offs(played, tip_off_spread_s)
    feeds = []
    order = sorted(range(games), key=lambda number: (tip_offs[number], number))
    for place, number in enumerate(order):
        tip = start + round(tip_offs[number], 1)
        home, away = pairs[number]
        # The ball goes up some minutes after the time on the ticket.
        scheduled = float((int(tip) - 240) // 300 * 300)
        info = GameInfo(game_id(season.year, season.next_number + place), scheduled, home, away)
        slots = publish(played[number], tip, random.Random(f"nbad scorers {seed} {number}"))
        feeds.append(GameFeed(info, changes_of(info, tip, slots)))
    opened = min(feed.info.scheduled for feed in feeds) - 6 * 3600
    return GamesNight(tuple(feeds), season, starts_at=start, opened=opened)


def _pairs(clubs: tuple[Club, ...], games: int, rng: random.Random) -> list[tuple[Club, Club]]:
    order = rng.sample(clubs, 2 * games)
    return list(zip(order[::2], order[1::2], strict=True))


def _tip_offs(played: list[list[Event]], spread_s: float) -> list[float]:
    """When each game tips off, in seconds after the opening moment."""
    games = len(played)
    to_come = max(1, round(games * _TO_COME_SHARE)) if games > 3 else games == 1
    live = games - to_come - 2
    tips: list[float] = []
    for number, events in enumerate(played):
        if games > 1 and number == 0:  # over for a few minutes
            tips.append(-(events[-1].wall + 180))
        elif games > 1 and number == 1:  # at half-time, for as long again as it has been
            tips.append(-(_half_time(events) + 420))
        elif number < games - to_come:
            share = (number - 2 + 0.5) / live
            tips.append(-_moment_in_play(events, share))
        else:
            place = number - (games - to_come) + 1
            tips.append(60.0 if to_come == 1 else max(60.0, spread_s * place / to_come))
    return tips


def _half_time(events: list[Event]) -> float:
    """The wall clock at the end of the second quarter."""
    return next(
        event.wall
        for event in events
        if (event.kind, event.sub, event.period) == ("period", "end", 2)
    )


def _moment_in_play(events: list[Event], share: float) -> float:
    """The wall clock at a share of a game's plays, half-time never among them."""
    return events[int(share * len(events))].wall + 1
