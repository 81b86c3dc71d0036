"""Games that are not on: simulated from the facts of real ones, or replayed from a record.

    league → play (events) → corrections (slots) → changes → game_feed (documents) → games_night

A game is played possession by possession; then its scorers are simulated, who are late and err;
what they show becomes a list of changes, each with its moment, from which any moment's documents
are made. A replay is the same list, made from a record.
"""

from nbad.simulator.games_night import GamesNight
from nbad.simulator.replay import replay_game
from nbad.simulator.simulate import MAX_GAMES, simulate_night

__all__ = ["MAX_GAMES", "GamesNight", "replay_game", "simulate_night"]
