"""Ticks joined into one, for `[server] batch_interval_ms`."""

from __future__ import annotations

from dataclasses import replace

from nbad.stages.envelopes import Forecasts


def join(held: Forecasts, newer: Forecasts) -> Forecasts:
    """Both as one tick, the newer: the newest of each game, and what was dropped and stayed so.

    A correction is not lost: a game that the held tick marked corrected is so in the joined one.
    """
    corrected = {game.update.entry.game_id for game in held.games if game.update.corrected}
    games = {game.update.entry.game_id: game for game in held.games}
    for game_id in newer.dropped:
        games.pop(game_id, None)
    for game in newer.games:
        game_id = game.update.entry.game_id
        games[game_id] = (
            replace(game, update=replace(game.update, corrected=True))
            if game_id in corrected
            else game
        )
    back = {game.update.entry.game_id for game in newer.games}
    dropped = [game_id for game_id in held.dropped if game_id not in back]
    return Forecasts(newer.tick, tuple(games.values()), (*dropped, *newer.dropped))
