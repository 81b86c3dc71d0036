"""``/v1/games/ID/boxscore``: the feed's box score, requested while clients read it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import trio
from starlette.requests import Request
from starlette.responses import Response

from nbad.stream.journal import StreamJournal
from nbad.web.answers import refusal, tagged

if TYPE_CHECKING:
    from nbad.feed.box_orders import BoxOrders

# The first reader waits for the feed's answer, so long; after that it may come again.
_WITHIN_S = 5.0
_RETRY_AFTER = {"retry-after": "5"}


async def box_score(request: Request, journal: StreamJournal, orders: BoxOrders | None) -> Response:
    """404 where there can be none, 503 where it did not come in time."""
    game_id = request.path_params["game_id"]
    if orders is None:
        return refusal(404, "a relay has no box scores: ask the daemon")
    body = journal.body(game_id)
    if body is None:
        return refusal(404, f"no game {game_id} tonight, and no box score is kept")
    if orjson.loads(body)["status"] in ("scheduled", "postponed"):
        return refusal(404, f"{game_id} has not begun")
    with trio.move_on_after(_WITHIN_S):
        return tagged(request, await orders.newest(game_id), "application/json")
    return refusal(503, f"the feed has not sent the box score of {game_id}", _RETRY_AFTER)
