"""Who reads which box score: the feed is asked for those that somebody reads, and for no other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson
import trio

from nbad.domain import Status
from nbad.feed.boxscore import BoxScore, parse_box_score
from nbad.feed.client import FeedClient, FeedError
from nbad.feed.decode import BadData
from nbad.feed.endpoints import box_score_url
from nbad.feed.poll_plan import TrackedGame, backoff_s, box_score_interval_s
from nbad.feed.turns import Turns
from nbad.observe.troubles import Troubles

WANTED_S = 60.0
"""Who reads a box score reads it again within this time: so long it is kept new."""

_BEGUN = {Status.LIVE, Status.HALFTIME, Status.FINAL}
# A box score that cannot be had is asked for ever less often, down to this.
_MOST_BACKOFF_S = 60.0
# So long a box score waits for a request that neither board nor plays want.
_PATIENCE_S = 10.0


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
    """Between HTTP, which asks, and :func:`keep_box_scores`, which brings. At most one order a game
    of the night."""

    def __init__(self) -> None:
        self._orders: dict[str, _Order] = {}
        self._asked = trio.Event()

    async def newest(self, game_id: str) -> bytes:
        """The box score as JSON; waits where none is known that is good now. It is kept new for
        :data:`WANTED_S` from here."""
        order = self._orders.setdefault(game_id, _Order())
        while True:
            now = trio.current_time()
            order.wanted_until = now + WANTED_S
            self._asked.set()
            self._asked = trio.Event()
            if order.told is not None and now <= order.good_until:
                return order.told
            await order.came.wait()

    async def ordered(self) -> None:
        """Wait until somebody asks."""
        await self._asked.wait()

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
        most_s = max(again_s, _MOST_BACKOFF_S)
        order.next_at = now + max(backoff_s(2 * again_s, order.failures, most_s), wait_s)


async def keep_box_scores(
    client: FeedClient,
    boxes: BoxOrders,
    turns: Turns,
    troubles: Troubles,
    spare: Callable[[], bool],
) -> None:
    """Ask for the box scores that somebody reads, one after the other, until cancelled.

    They are of a few readers and of no forecast: so nothing of them passes the stages. ``spare``
    says whether there is room for a request that neither board nor plays want.
    """
    while True:
        poll = client.config.poll
        found = boxes.next(turns.games, trio.current_time())
        if found is None:
            await boxes.ordered()
            continue
        next_at, game_id = found
        if next_at > trio.current_time():
            with trio.move_on_at(next_at):
                await boxes.ordered()
            continue
        if turns.failing(board=True):  # while the feed refuses all, that one asks for all
            await trio.sleep(poll.live_interval_s)
            continue
        with trio.move_on_after(_PATIENCE_S):  # in the end it takes a turn as they do
            while True:
                if spare():
                    break
                await trio.sleep(1 / client.config.poll.max_requests_per_s)
        if (game := turns.games.get(game_id)) is not None:
            await _bring(client, boxes, game, troubles)


async def _bring(
    client: FeedClient, boxes: BoxOrders, game: TrackedGame, troubles: Troubles
) -> None:
    again_s = box_score_interval_s(game, client.config.poll)
    key = ("box score", game.game_id)
    try:
        box = await _fetch(client, game.game_id)
    except (FeedError, BadData) as error:
        troubles.note(
            "boxscore_unavailable", key, game_id=game.game_id, kind=error.kind, error=str(error)
        )
        boxes.fail(game.game_id, trio.current_time(), again_s, error.retry_after_s)
        return
    except Exception as error:  # a bug of ours costs this box score, and nothing else
        troubles.note("game_failed", key, stage="boxscore", game_id=game.game_id, exc_info=error)
        boxes.fail(game.game_id, trio.current_time(), again_s, 0.0)
        return
    good_s = 2 * again_s + client.config.feed.timeout_s
    boxes.bring(box, trio.current_time(), again_s, good_s)
    troubles.over(key, what="boxscore")


async def _fetch(client: FeedClient, game_id: str) -> BoxScore:
    answer = await client.get(box_score_url(client.config.feed, game_id), retries=0)
    # Never accepted, so never conditional: what is not kept for ever cannot be "as before".
    assert answer is not None
    box = parse_box_score(answer.body)
    if box.game_id != game_id:
        raise BadData(f"gameId: expected {game_id}, was {box.game_id}")
    return box
