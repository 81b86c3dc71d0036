"""Follows the night within this program, without a daemon, until every game is over.

python examples/follow.py [nbad.toml]
"""

import sys

import trio

import nbad


async def main(config: str | None) -> None:
    over = set()
    async with nbad.pipeline(config) as games:
        async for game in games:
            score = f"{game.away.tricode} {game.away.score} @ {game.home.tricode} {game.home.score}"
            chance = f"{game.forecast.home_win:.1%}" if game.forecast else "-"
            print(f"{game.status:9} Q{game.period} {score:17} home wins {chance}")
            if game.status in ("final", "postponed"):
                over.add(game.game_id)
            if over >= games.now.keys():  # not by their status: that may not have been told yet
                break


trio.run(main, sys.argv[1] if len(sys.argv) > 1 else None)
