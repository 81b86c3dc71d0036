"""The poller: each document of the feed asked for when it may have changed, told as it comes."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial

import httpx
import structlog
import trio

from nbad.channels import Sender, Watcher
from nbad.domain import Schedule, Status
from nbad.feed.cache_timing import CacheTiming
from nbad.feed.client import Answer, FeedClient, FeedError, RateLimiter, Tap
from nbad.feed.decode import BadData, epoch_s
from nbad.feed.endpoints import play_by_play_url, scoreboard_url
from nbad.feed.health import DOWN_AFTER_S, FeedHealth
from nbad.feed.poll_plan import TrackedGame, board_interval_s, plays_interval_s, urgency_s
from nbad.feed.schedule import read_schedule
from nbad.observe.timing import Tick, record
from nbad.observe.troubles import Troubles
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Poll
from nbad.stages.envelopes import Document, Fetched

log = structlog.get_logger()

BOARD = ""  # the board's place among the documents, which are by game id

# At least every so often a tick passes, whatever the feed does: well within the unit's WatchdogSec.
_BEAT_S = 10.0
# Of an answer's time into the mean of its document's answers.
_SMOOTHING = 0.1
# What a plain loop takes for a document, of what we do: it also connects, and reads it all anew.
_LOOP = 1.5
# Documents that arrive within this time of each other make one tick: fifteen answers to fifteen
# requests made at once are one piece of news.
_GATHER_S = 0.01
# A document that is refused again and again is asked for ever less often, down to once in so many
# live intervals.
_MOST_BACKOFF = 15
_SCHEDULE_EVERY_S = 6 * 3600.0
_SCHEDULE_AGAIN_S = 300.0


@dataclass(slots=True)
class _Due:
    """A document's turns: when it is ``due`` next, on Trio's clock, how long its answers take, and
    how its cache behaves."""

    at: float
    took_s: float = 0.0
    timing: CacheTiming = field(default_factory=CacheTiming)
    in_flight: bool = False
    failures: int = 0


@dataclass(slots=True)
class _State:
    """What the poller knows between ticks. Bounded by the night; times on Trio's clock."""

    settings: Settings
    night: Watcher[tuple[TrackedGame, ...]]
    health: FeedHealth
    wall_clock: Callable[[], float]
    began: float
    troubles: Troubles = field(default_factory=Troubles)
    limiter: RateLimiter = field(default_factory=RateLimiter)
    bell: trio.Event = field(default_factory=trio.Event)
    documents: dict[str, _Due] = field(default_factory=dict)
    inbox: dict[str, Document] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)
    asked_first: float = math.inf
    arrived_first: float = math.inf
    board_failed: bool = False
    unread_since: float | None = None  # when the board was asked for that the parser has not read
    schedule: Schedule | None = None
    schedule_tried: bool = False
    tip_offs: tuple[float, ...] = ()
    clock_offset_s: float = 0.0
    ticks: int = 0
    sent_at: float = 0.0

    def ring(self) -> None:
        """Wake the poller: something came, or is to be done otherwise."""
        bell, self.bell = self.bell, trio.Event()
        bell.set()

    def begin(self) -> None:
        """Ask for everything anew, as of another feed."""
        self.documents = {BOARD: _Due(trio.current_time())}

    def follow(self, poll: Poll) -> None:
        """Have a turn for the plays of each game that wants them, and for no other."""
        now = trio.current_time()
        wanted = {g.game_id for g in self.night.value if plays_interval_s(g, now, poll) is not None}
        for game_id in wanted - self.documents.keys():
            self.documents[game_id] = _Due(now)
        for game_id in self.documents.keys() - wanted - {BOARD}:
            if not self.documents[game_id].in_flight:
                del self.documents[game_id]

    def interval_s(self, place: str, game: TrackedGame | None, poll: Poll) -> float:
        """How often the document is asked for, where nothing is known of its cache."""
        now = trio.current_time()
        if place != BOARD:
            wanted = plays_interval_s(game, now, poll) if game else None
            return poll.idle_interval_s if wanted is None else wanted
        wall = self.wall_clock() + self.clock_offset_s
        quiet = now - self.health.changed_at
        return board_interval_s(self.night.value, self.tip_offs, wall, quiet, poll)

    def due(self, poll: Poll) -> list[str]:
        """The documents whose turn it is, the most urgent first."""
        now = trio.current_time()
        games = {game.game_id: game for game in self.night.value}
        turns = [
            (document.at - urgency_s(games.get(place), poll), place)
            for place, document in self.documents.items()
            if not document.in_flight and document.at <= now and not self._waits(place)
        ]
        return [place for _, place in sorted(turns)]

    def next_at(self) -> float:
        """When the next document's turn comes."""
        turns = (
            document.at
            for place, document in self.documents.items()
            if not document.in_flight and not self._waits(place)
        )
        return min(turns, default=math.inf)

    def _waits(self, place: str) -> bool:
        """Whether plays wait for the board: while the feed refuses all, that one asks for all."""
        if place == BOARD or not self.documents[BOARD].failures:
            return False
        return self.documents[place].failures > 0

    def answered(self, place: str, config: Poll) -> None:
        """Give a document that came its next turn."""
        document = self.documents.get(place)
        if document is None:
            return
        if place == BOARD and document.failures:
            for other in self.documents.values():  # what was refused with it is worth asking for
                if other.failures:
                    other.at = trio.current_time()
        document.failures = 0
        self.plan(place, document, config)

    def plan(self, place: str, document: _Due, poll: Poll) -> None:
        """When to ask next: just after the cache takes a new copy, else at the next beat."""
        now = trio.current_time()
        game = next((game for game in self.night.value if game.game_id == place), None)
        interval = self.interval_s(place, game, poll)
        known = document.timing.next_at(interval)
        live = any(game.status.in_play for game in self.night.value)
        if live and known is not None:
            document.at = min(known, now + max(interval, poll.refresh_interval_s))
        elif interval == poll.live_interval_s:
            document.at = self._next_beat(place, document, interval)
        else:
            document.at = now + interval

    def hasten(self) -> None:
        """Bring the turns forward that the night, as it is known now, wants sooner."""
        poll = self.settings.current.config.poll
        for place, document in self.documents.items():
            if not document.in_flight and not document.failures:
                before = document.at
                self.plan(place, document, poll)
                document.at = min(before, document.at)

    def _next_beat(self, place: str, document: _Due, interval: float) -> float:
        """An interval on, and as much more as a plain loop, which asks for one document after the
        other, would take for all: so no feed is asked more often, and a slow one less.

        Plays half a beat after the board: a score is in both, and so seen twice as soon.
        """
        now = trio.current_time()
        board = self.documents[BOARD]  # asked for alone: what one answer takes
        beat = interval + min(_LOOP * board.took_s * len(self.documents), interval)
        after_board = place != BOARD and board.timing.next_at(interval) is None
        origin = board.at + beat / 2 if after_board else document.at
        return origin + math.ceil((now + beat / 4 - origin) / beat) * beat

    def refused(self, place: str, error: FeedError, poll: Poll) -> None:
        """Ask for a document that could not be had ever less often."""
        document = self.documents.get(place)
        if document is None:
            return
        document.failures += 1
        game = next((game for game in self.night.value if game.game_id == place), None)
        # Whether it was one bad answer among good ones is seen before the feed is called down.
        first = min(self.interval_s(place, game, poll), DOWN_AFTER_S / 2)
        most = max(first, _MOST_BACKOFF * poll.live_interval_s)
        backoff = min(first * 2.0 ** min(document.failures - 1, 10), most)
        backoff *= random.uniform(0.8, 1.2)
        document.at = trio.current_time() + max(backoff, error.retry_after_s)

    def board_came(self, asked: float) -> None:
        """Take a board for a good answer, unless the last one could not be read."""
        if self.unread_since is None:
            self.health.answered(trio.current_time(), changed=True)
            self.unread_since = asked
        else:
            self.health.failed(self.unread_since)

    def accept(self, client: FeedClient, place: str, answer: Answer) -> None:
        """The parser could read it: ask only for what is newer from now on."""
        client.accept(answer)
        now = trio.current_time()
        if place == BOARD:
            self.unread_since = None
            self.health.answered(now, changed=True)
        else:
            self.health.news(now)

    def arrive(self, place: str, document: Document, asked_at: float) -> None:
        """Put an answer where the next tick takes it from."""
        self.inbox[place] = document
        self.asked_first = min(self.asked_first, asked_at)
        self.arrived_first = min(self.arrived_first, trio.current_time())

    @property
    def ripe_at(self) -> float:
        """When what came goes out: at once, but for what was asked for with it."""
        if not (self.inbox or self.failed or self.schedule or self.board_failed):
            down_at = self.health.down_at()
            beat = self.sent_at + _BEAT_S
            return min(beat, down_at) if self.sent_at < down_at else beat
        if not self.ticks and not self._whole:
            # What is told first is told with the ratings that the season's results give.
            return self.began + self.settings.current.config.feed.timeout_s
        if not any(document.in_flight for document in self.documents.values()):
            return -math.inf
        return self.arrived_first + _GATHER_S

    @property
    def _whole(self) -> bool:
        """Whether all that a first tick is made of was asked for, and came or did not."""
        return self.schedule_tried and (BOARD in self.inbox or self.board_failed)

    def tick(self, runtime: Runtime) -> Fetched:
        """All that came since the last one, as a tick."""
        now = trio.current_time()
        self.ticks += 1
        tick = Tick(self.ticks, min(self.asked_first, now), runtime)
        documents = tuple(self.inbox.values())
        games = self.night.value
        tick.idle = not any(game.status.in_play for game in games)
        # At half-time nothing changes, and nothing is amiss.
        live = any(game.status is Status.LIVE for game in games)
        tick.feed = self.health.state(now, live=live)
        tick.feed_age_s = self.health.age_s(now)
        tick.errors["poll"] = self.errors.total()
        tick.feed_errors = self.errors
        fetched = Fetched(
            tick, now, self.wall_clock(), documents, self.schedule, tuple(sorted(self.failed))
        )
        self.inbox, self.failed, self.errors, self.schedule = {}, set(), Counter(), None
        self.board_failed = False
        self.asked_first = self.arrived_first = math.inf
        self.sent_at = now
        if documents:
            record("poll", tick, len(documents), (now - tick.started) * 1e3)
        else:
            record("poll", tick, 0, 0.0)
        return fetched


def merge_fetched(waiting: Fetched, newer: Fetched) -> tuple[Fetched, int]:
    """Two ticks as one: the newest document of each address, and how many it superseded.

    It began with the older one's first request, and keeps its errors.
    """
    documents = {document.game_id: document for document in waiting.documents}
    superseded = sum(document.game_id in documents for document in newer.documents)
    for document in newer.documents:
        # A 304 says that what waits is still so: it does not take its place.
        if document.body is not None or document.game_id not in documents:
            documents[document.game_id] = document
    newer.tick.started = min(waiting.tick.started, newer.tick.started)
    newer.tick.errors.update(waiting.tick.errors)
    newer.tick.feed_errors.update(waiting.tick.feed_errors)
    return (
        replace(
            newer,
            documents=tuple(documents.values()),
            schedule=newer.schedule or waiting.schedule,
            failed=tuple(dict.fromkeys(waiting.failed + newer.failed)),
        ),
        superseded,
    )


async def poll(
    fetched: Sender[Fetched],
    night: Watcher[tuple[TrackedGame, ...]],
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    now: Callable[[], float] = time.time,
    tap: Tap | None = None,
) -> None:
    """Ask the feed until cancelled; trouble with it is logged and lived with.

    ``night`` is what the parser knows of the games: from it follows what is asked for. ``now`` is
    the wall clock, in seconds since the epoch.
    """
    began = trio.current_time()
    state = _State(settings, night, FeedHealth(began), now, began, sent_at=began)
    with fetched:
        while True:
            config = settings.current.config
            # A changed [feed] takes a new client; what was in flight with the old one is let go.
            client = FeedClient(config, state.limiter, transport, tap, state.troubles)
            async with client, trio.open_nursery() as nursery:
                state.begin()
                nursery.start_soon(_keep_schedule, client, state)
                nursery.start_soon(_ring_with_night, state)
                nursery.start_soon(_ring_with_settings, state, settings.current)
                while settings.current.config.feed == config.feed:
                    await _go_on(fetched, client, nursery, state)
                nursery.cancel_scope.cancel()


async def _go_on(
    fetched: Sender[Fetched], client: FeedClient, nursery: trio.Nursery, state: _State
) -> None:
    """Send what is ripe, ask for what is due, and wait for the next of either."""
    runtime = state.settings.current
    client.config = runtime.config
    state.follow(runtime.config.poll)
    rate = runtime.config.poll.max_requests_per_s
    bell = state.bell
    # Who finds no room stays due, and the more urgent go first again.
    for place in state.due(runtime.config.poll)[: state.limiter.room(rate)]:
        document = state.documents[place]
        document.in_flight = True
        nursery.start_soon(_ask, client, state, place, document)
    if state.ripe_at <= trio.current_time():
        await fetched.send(state.tick(runtime))
        return
    next_at = max(state.next_at(), state.limiter.free_at(rate))
    with trio.move_on_at(min(next_at, state.ripe_at)):
        await bell.wait()


async def _ask(client: FeedClient, state: _State, place: str, due: _Due) -> None:
    """Ask for one document, retries included, and put its answer into the inbox."""
    feed = client.config.feed
    url = play_by_play_url(feed, place) if place else scoreboard_url(feed)
    asked = trio.current_time()
    kind_of_document = "playbyplay" if place else "scoreboard"
    try:
        # What has failed before is not tried thrice in a row: its turns come ever less often.
        retries = 0 if due.failures else None
        answer = await client.get(url, due.timing.observe, retries=retries)
    except FeedError as error:
        state.errors[error.kind] += 1
        state.troubles.note(
            "feed_error", kind_of_document, what=kind_of_document, game_id=place or None,
            kind=error.kind, error=str(error),
        )  # fmt: skip
        state.refused(place, error, client.config.poll)
        state.arrived_first = min(state.arrived_first, trio.current_time())
        if place:
            state.failed.add(place)
        else:
            state.board_failed = True
            state.health.failed(asked)
    else:
        took = trio.current_time() - asked
        due.took_s += (took - due.took_s) * (_SMOOTHING if due.took_s else 1.0)
        if answer is not None:
            state.clock_offset_s = client.date_offset_s
            accept = partial(state.accept, client, place, answer)
            if not place:
                state.board_came(asked)
            document = Document(
                place, answer.body, state.wall_clock(), answer.last_modified, accept
            )
            state.arrive(place, document, answer.asked_at)
        elif not place:  # the night is as it was; of plays that are, nothing is to be told
            state.health.answered(trio.current_time(), changed=False)
            state.arrive(place, Document(place, None, state.wall_clock()), asked)
        state.answered(place, client.config.poll)
        if not _failing(state, board=not place):
            state.troubles.over(kind_of_document, what=kind_of_document)
    finally:
        due.in_flight = False
        state.ring()


def _failing(state: _State, *, board: bool) -> bool:
    """Whether any document of the kind could not be had when it was asked for last."""
    return any(due.failures for place, due in state.documents.items() if board is (place == BOARD))


async def _ring_with_night(state: _State) -> None:
    while True:
        try:
            await state.night.wait()
        except trio.EndOfChannel:
            return  # the parser ended, and with it the poller's channel
        state.hasten()
        state.ring()


async def _ring_with_settings(state: _State, seen: Runtime) -> None:
    while True:
        seen = await state.settings.wait_until_other_than(seen)
        state.hasten()  # the intervals may be others
        state.ring()


async def _keep_schedule(client: FeedClient, state: _State) -> None:
    """Refresh the season's schedule, beside the ticks."""
    while True:
        wait_s = await _refresh_schedule(client, state)
        state.schedule_tried = True
        state.ring()
        await trio.sleep(wait_s)


async def _refresh_schedule(client: FeedClient, state: _State) -> float:
    """Fetch and read it where it changed; in how many seconds to look again."""
    try:
        answer = await client.get(client.config.feed.schedule_url)
        if answer is not None:
            state.schedule = await read_schedule(answer.body)
            state.tip_offs = tuple(_epochs(state.schedule.tip_offs))
            client.accept(answer)
            state.arrived_first = min(state.arrived_first, trio.current_time())
    except (FeedError, BadData) as error:
        kind = error.kind if isinstance(error, FeedError) else "unreadable"
        state.errors[kind] += 1
        state.troubles.note("schedule_unavailable", "schedule", kind=kind, error=str(error))
        return getattr(error, "retry_after_s", 0.0) or _SCHEDULE_AGAIN_S
    state.troubles.over("schedule", what="schedule")
    return _SCHEDULE_EVERY_S


def _epochs(moments: Iterable[str]) -> Iterable[float]:
    return map(epoch_s, moments)
