"""``/v1/games/ID/boxscore``: the feed's own box score. Asking for it is what has it asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import trio

from nbad.stream.journal import StreamJournal

if TYPE_CHECKING:
    from nbad.feed.box_orders import BoxOrders

# The first reader waits for the feed's answer, so long.
_WITHIN_S = 5.0
AGAIN_S = 5
"""When to ask again where it did not come."""


async def box_score(
    game_id: str, journal: StreamJournal, orders: BoxOrders | None
) -> tuple[int, bytes]:
    """Status and JSON of the answer: 404 where there can be none, 503 where it did not come."""
    if orders is None:
        return 404, _error("a relay has no box scores: ask the daemon")
    body = journal.body(game_id)
    if body is None:
        return 404, _error(f"no game {game_id} tonight, and no box score is kept")
    status = orjson.loads(body)["status"]
    if status in ("scheduled", "postponed"):
        return 404, _error(f"{game_id} has not begun")
    with trio.move_on_after(_WITHIN_S):
        return 200, await orders.newest(game_id)
    return 503, _error(f"the feed has not given the box score of {game_id}")


def _error(text: str) -> bytes:
    return orjson.dumps({"error": text})
