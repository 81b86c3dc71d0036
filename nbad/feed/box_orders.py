"""Which box scores are requested: those that clients read, and those that may show a score before
board and plays do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson
import trio

from nbad.domain import FINAL, HALFTIME, LIVE
from nbad.feed.boxscore import parse_box_score
from nbad.feed.cache_timing import CacheTiming
from nbad.feed.client import Answer, FeedClient, FeedError
from nbad.feed.decode import BadData
from nbad.feed.endpoints import box_score_url
from nbad.feed.poll_plan import TrackedGame, backoff_s, box_score_interval_s
from nbad.feed.turns import Turns
from nbad.observe.troubles import Troubles
from nbad.settings.schema import Poll

WANTED_S = 60.0
"""A box score is kept current for this long after it was last read."""

_BEGUN = (LIVE, HALFTIME, FINAL)
# An unavailable box score is requested less and less often: down to the first interval while it is
# read, else to the second. So is any box score until the feed is known to have them.
_MOST_BACKOFF_S, _MOST_UNREAD_S = 60.0, 3600.0
# How long a box score waits for a request that neither board nor plays need.
_PATIENCE_S = 10.0
# So often it is looked at whether any is worth asking for, where none was.
_LOOK_EVERY_S = 10.0


@dataclass(slots=True)
class _Order:
    """What is known of one game's. ``told`` is the newest as JSON, good until ``good_until``;
    ``held_until`` is when the feed wants to be asked again at the earliest; ``tag`` tells its last
    answer from others. Times on Trio's clock."""

    wanted_until: float = -math.inf
    next_at: float = -math.inf
    held_until: float = -math.inf
    in_flight: bool = False
    failures: int = 0
    told: bytes | None = None
    good_until: float = -math.inf
    came: trio.Event = field(default_factory=trio.Event)
    timing: CacheTiming = field(default_factory=CacheTiming)
    tag: str = ""

    def observe(
        self, asked: float, arrived: float, headers: Mapping[str, str], *, changed: bool
    ) -> None:
        """Take note of an answer's headers. It comes whole each time, changed or not."""
        tag = headers.get("etag") or headers.get("last-modified", "")
        changed = changed and (not tag or tag != self.tag)
        self.timing.observe(asked, arrived, headers, changed=changed)
        self.tag = tag


class BoxOrders:
    """Connects HTTP, which orders box scores, with :func:`keep_box_scores`, which requests them. At
    most one order per game of the night."""

    def __init__(self) -> None:
        self._orders: dict[str, _Order] = {}
        self._changed = trio.Event()
        self.begin()

    def begin(self) -> None:
        """Start over, as with another feed: nobody knows whether it has box scores."""
        self._known, self._refused, self._probe_at = False, 0, -math.inf
        for order in self._orders.values():
            order.next_at = order.held_until = -math.inf
            order.failures, order.timing, order.tag = 0, CacheTiming(), ""

    async def newest(self, game_id: str) -> bytes:
        """The box score as JSON; waits where none is known that is good now. It is kept new for
        :data:`WANTED_S` from here."""
        order = self._orders.setdefault(game_id, _Order())
        if not self.is_read(game_id):
            order.next_at = min(order.next_at, max(order.held_until, trio.current_time()))
        while True:
            now = trio.current_time()
            order.wanted_until = now + WANTED_S
            self.wake()
            if order.told is not None and now <= order.good_until:
                return order.told
            await order.came.wait()

    def is_read(self, game_id: str) -> bool:
        """Whether somebody reads it."""
        order = self._orders.get(game_id)
        return order is not None and order.wanted_until >= trio.current_time()

    async def changed(self) -> None:
        """Wait for an order or a response."""
        await self._changed.wait()

    def wake(self) -> None:
        """Wake the tasks in :meth:`changed`."""
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def next(self, turns: Turns, poll: Poll) -> tuple[float, str] | None:
        """When which game's is to be asked for next; None where none is.

        A game that is no longer followed is forgotten, one that has not begun has none yet.
        """
        games = turns.games
        for game_id in self._orders.keys() - games.keys():
            del self._orders[game_id]
        found = []
        for game_id, game in games.items():
            read = self.is_read(game_id) and game.status in _BEGUN
            if not read and not (game.status.in_play and turns.box_score_pays(game_id, poll)):
                continue
            order = self._orders.setdefault(game_id, _Order())
            if not order.in_flight:
                probes = not read and not self._known
                at = max(order.next_at, self._probe_at) if probes else order.next_at
                found.append((at, game_id))
        return min(found, default=None)

    def ask(self, game_id: str) -> _Order:
        """The order of a box score that is now asked for."""
        order = self._orders.setdefault(game_id, _Order())
        order.in_flight = True
        if not self._known:  # one request will tell
            self._refused += 1
            self._probe_at = trio.current_time() + backoff_s(
                _MOST_BACKOFF_S, self._refused, _MOST_UNREAD_S
            )
        return order

    def put_off(self, game_id: str, wait_s: float) -> None:
        """Ask for others first."""
        order = self._orders.setdefault(game_id, _Order())
        order.next_at = trio.current_time() + wait_s

    def bring(
        self, order: _Order, told: bytes | None, interval_s: float, again_s: float, good_s: float
    ) -> None:
        """Give whoever waits the newest, good for ``good_s`` at least. It is asked for once its
        cache has another, about every ``interval_s``; where none is known, in ``again_s``."""
        now = trio.current_time()
        self._known, order.failures = True, 0
        known = order.timing.next_at(interval_s)
        # One that is emptied, or says too much, freezes none for an hour.
        order.next_at = now + again_s if known is None else min(known, now + max(again_s, WANTED_S))
        if told is not None:
            order.told = told
            # While its cache has no other, this one is as good as any.
            order.good_until = max(now + good_s, order.next_at + _PATIENCE_S)
            order.came.set()
            order.came = trio.Event()

    def fail(self, game_id: str, order: _Order, again_s: float, wait_s: float) -> None:
        """Ask ever less often for what could not be had, and not within ``wait_s``."""
        now = trio.current_time()
        order.failures += 1
        most_s = _MOST_BACKOFF_S if self.is_read(game_id) else _MOST_UNREAD_S
        backoff = backoff_s(2 * again_s, order.failures, max(again_s, most_s))
        order.held_until = now + wait_s
        order.next_at = now + max(backoff, wait_s)


async def keep_box_scores(
    client: FeedClient,
    boxes: BoxOrders,
    turns: Turns,
    troubles: Troubles,
    spare: Callable[[], bool],
    arrive: Callable[[str, Answer], None],
) -> None:
    """Ask for the box scores that somebody reads, or that may come first, until cancelled.

    ``spare`` says whether there is room for a request that neither board nor plays want;
    ``arrive`` takes what came for a game.
    """
    boxes.begin()
    async with trio.open_nursery() as nursery:
        while True:
            now, poll = trio.current_time(), client.config.poll
            next_at, game_id = boxes.next(turns, poll) or (math.inf, "")
            if next_at > now:
                with trio.move_on_at(min(next_at, now + _LOOK_EVERY_S)):
                    await boxes.changed()
                continue
            if turns.failing(board=True):  # while the feed refuses all, that one asks for all
                await trio.sleep(poll.live_interval_s)
                continue
            patience_s = _PATIENCE_S if boxes.is_read(game_id) else poll.live_interval_s
            with trio.move_on_after(patience_s):
                while not spare():  # noqa: ASYNC110 - time alone makes room, of which no event tells
                    await trio.sleep(1 / client.config.poll.max_requests_per_s)
            # What somebody reads in the end takes a turn as board and plays do.
            if not boxes.is_read(game_id) and not spare():
                boxes.put_off(game_id, poll.live_interval_s)
            elif (game := turns.games.get(game_id)) is not None:
                order = boxes.ask(game_id)
                nursery.start_soon(_bring, client, boxes, turns, game, order, troubles, arrive)


async def _bring(
    client: FeedClient,
    boxes: BoxOrders,
    turns: Turns,
    game: TrackedGame,
    order: _Order,
    troubles: Troubles,
    arrive: Callable[[str, Answer], None],
) -> None:
    poll, key = client.config.poll, ("box score", game.game_id)
    again_s, tag = box_score_interval_s(game, poll), order.tag
    try:
        url = box_score_url(client.config.feed, game.game_id)
        answer = await client.get(url, order.observe, retries=0)
        # Never accepted, so never conditional: what is not kept for ever cannot be "as before".
        assert answer is not None
        if not order.tag or order.tag != tag:  # first, and whether or not all of it can be read
            arrive(game.game_id, answer)
        read = boxes.is_read(game.game_id)
        told = _as_json(answer.body, game.game_id) if read else None
    except (FeedError, BadData) as error:
        if boxes.is_read(game.game_id):  # nobody misses another
            troubles.note(
                "boxscore_unavailable", key, game_id=game.game_id, kind=error.kind, error=str(error)
            )
        boxes.fail(game.game_id, order, again_s, error.retry_after_s)
    except Exception as error:  # a bug of ours costs this box score, and nothing else
        troubles.note("game_failed", key, stage="boxscore", game_id=game.game_id, exc_info=error)
        boxes.fail(game.game_id, order, again_s, 0.0)
    else:
        good_s = 2 * again_s + client.config.feed.timeout_s
        pays = turns.box_score_pays(game.game_id, poll)
        boxes.bring(order, told, poll.live_interval_s if pays else again_s, again_s, good_s)
        troubles.over(key, what="boxscore")
    finally:
        order.in_flight = False
        boxes.wake()


def _as_json(body: bytes, game_id: str) -> bytes:
    box = parse_box_score(body)
    if box.game_id != game_id:
        raise BadData(f"gameId: expected {game_id}, was {box.game_id}")
    return orjson.dumps(box)
