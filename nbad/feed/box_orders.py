"""Who reads which box score: the feed is asked for those that somebody reads, and for no other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
import trio

from nbad.domain import Status
from nbad.feed.boxscore import BoxScore
from nbad.feed.poll_plan import TrackedGame

WANTED_S = 60.0
"""Who reads a box score reads it again within this time: so long it is kept new."""

_BEGUN = {Status.LIVE, Status.HALFTIME, Status.FINAL}
# A box score that cannot be had is asked for ever less often, down to this.
_MOST_BACKOFF_S = 60.0


@dataclass(slots=True)
class _Order:
    """What is known of one game's. ``told`` is the newest as JSON, good until ``good_until``; times
    on Trio's clock."""

    wanted_until: float = -math.inf
    next_at: float = -math.inf
    failures: int = 0
    told: bytes | None = None
    good_until: float = -math.inf
    came: trio.Event = field(default_factory=trio.Event)


class BoxOrders:
    """Between HTTP, which asks, and the poller, which brings. At most one order a game of the
    night."""

    def __init__(self) -> None:
        self._orders: dict[str, _Order] = {}
        self._bell = trio.Event()

    async def newest(self, game_id: str) -> bytes:
        """The box score as JSON; waits where none is known that is good now. It is kept new for
        :data:`WANTED_S` from here."""
        order = self._orders.setdefault(game_id, _Order())
        while True:
            now = trio.current_time()
            order.wanted_until = now + WANTED_S
            self._bell.set()
            self._bell = trio.Event()
            if order.told is not None and now <= order.good_until:
                return order.told
            await order.came.wait()

    async def ordered(self) -> None:
        """Wait until somebody asks."""
        await self._bell.wait()

    def next(self, games: Mapping[str, TrackedGame], now: float) -> tuple[float, str] | None:
        """When which game's is to be asked for next; None where nobody reads any.

        A game that is no longer followed is forgotten, one that has not begun has none yet.
        """
        for game_id in self._orders.keys() - games.keys():
            del self._orders[game_id]
        return min(
            (
                (order.next_at, game_id)
                for game_id, order in self._orders.items()
                if order.wanted_until >= now and games[game_id].status in _BEGUN
            ),
            default=None,
        )

    def bring(self, box: BoxScore, now: float, again_s: float, good_s: float) -> None:
        """Give whoever waits the newest, good for ``good_s``; it is asked for in ``again_s``."""
        order = self._orders.setdefault(box.game_id, _Order())
        order.told, order.failures = orjson.dumps(box), 0
        order.next_at, order.good_until = now + again_s, now + good_s
        order.came.set()
        order.came = trio.Event()

    def fail(self, game_id: str, now: float, again_s: float, wait_s: float) -> None:
        """Ask ever less often for what could not be had, and not within ``wait_s``."""
        order = self._orders.setdefault(game_id, _Order())
        order.failures += 1
        backoff_s = min(again_s * 2.0 ** min(order.failures, 10), max(again_s, _MOST_BACKOFF_S))
        order.next_at = now + max(backoff_s, wait_s)
