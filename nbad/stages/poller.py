"""The poller: requests each document of the feed when it may have changed; passes it on at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import structlog
import trio

from nbad.channels import Sender, Watcher
from nbad.domain import Schedule, Status
from nbad.feed.beside import keep_odds, keep_schedule
from nbad.feed.box_orders import BoxOrders, keep_box_scores
from nbad.feed.client import Answer, FeedClient, FeedError, RateLimiter, Tap
from nbad.feed.endpoints import play_by_play_url, scoreboard_url
from nbad.feed.health import FeedHealth
from nbad.feed.poll_plan import TrackedGame, odds_interval_s
from nbad.feed.times import epoch_s
from nbad.feed.turns import BOARD, Now, PollTarget, Turns
from nbad.observe.timing import Counts, Overruns, Tick, no_counts, record
from nbad.observe.troubles import Troubles
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Poll
from nbad.stages.envelopes import BOX, ODDS, Document, Fetched

log = structlog.get_logger()

# At least every so often a tick passes, whatever the feed does: well within the unit's WatchdogSec.
_BEAT_S = 10.0
# Documents that arrive within this time of each other make one tick: fifteen answers to fifteen
# requests made at once are one piece of news.
_GATHER_S = 0.01
# Odds that nobody has changed for so long are of another night.
_ODDS_STALE_S = 86_400.0


@dataclass(slots=True)
class _News:
    """What came since the last tick: the newest document of each place, the schedule, the places
    of plays and board that could not be had, and how many errors of each kind.

    ``asked_first`` is when the first of it was asked for, ``arrived_first`` when the first came.
    """

    documents: dict[str, Document] = field(default_factory=dict)
    schedule: Schedule | None = None
    failed: set[str] = field(default_factory=set)
    errors: Counts = field(default_factory=no_counts)
    asked_first: float = math.inf
    arrived_first: float = math.inf

    @property
    def any(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.documents or self.schedule or self.failed)

    @property
    def board(self) -> bool:
        """Whether the board came, or could not be had."""
        return BOARD in self.documents or BOARD in self.failed


@dataclass(slots=True)
class _State:
    """What the poller knows between ticks. Bounded by the night; times on Trio's clock."""

    settings: Settings
    night: Watcher[tuple[TrackedGame, ...]]
    health: FeedHealth
    wall_clock: Callable[[], float]
    began: float
    troubles: Troubles = field(default_factory=Troubles)
    overruns: Overruns = field(default_factory=Overruns)
    limiter: RateLimiter = field(default_factory=RateLimiter)
    turns: Turns = field(default_factory=Turns)
    news: _News = field(default_factory=_News)
    wakeup: trio.Event = field(default_factory=trio.Event)
    rest: trio.CancelScope = field(default_factory=trio.CancelScope)  # the poller's, while it waits
    changed: trio.Event = field(default_factory=trio.Event)  # as `wakeup`, but for no answer
    unread_since: float | None = None  # when the board was asked for that the parser has not read
    schedule_tried: bool = False
    odds_modified: float | None = None
    clock_offset_s: float = 0.0
    followed: tuple[TrackedGame, ...] | None = None
    planned_with: Poll | None = None
    ticks: int = 0
    # A logger is bound once for all ticks' lines, as long as the settings are the same.
    bound_with: Runtime | None = None
    log: Any = None
    sent_at: float = 0.0

    def wake(self) -> None:
        """Wake the poller: something is to be done now, or the night or the settings changed."""
        wakeup, self.wakeup = self.wakeup, trio.Event()
        wakeup.set()

    def came(self, next_at: float) -> None:
        """Plays came, which are asked for again at ``next_at``: wake the poller where they were
        the last that a tick waits for, else when it has something to do. Fifteen answers need not
        wake it fifteen times."""
        due_at = min(next_at, self.tick_at)
        if due_at <= trio.current_time():
            self.wake()
        else:
            self.rest.deadline = min(self.rest.deadline, due_at)

    def turn(self) -> None:
        """Wake all: the night or the settings changed."""
        changed, self.changed = self.changed, trio.Event()
        changed.set()
        self.wake()

    @property
    def now(self) -> Now:
        """This moment, by the feed's own clock where ours is wrong."""
        at = trio.current_time()
        # A Date before ours may be that of a copy, or of a wrong clock: no reason to sleep longer.
        wall = max(self.wall_clock(), self.feed_time)
        return Now(at, wall, at - self.health.changed_at)

    @property
    def feed_time(self) -> float:
        """What time it is for the feed, in s since the epoch."""
        return self.wall_clock() + self.clock_offset_s

    def spare(self) -> bool:
        """Whether there is room for a request that neither board nor plays want."""
        poll_ = self.settings.current.config.poll
        due = self.turns.due(self.now, poll_)
        return self.limiter.room(poll_.max_requests_per_s) > len(due)

    def odds_interval_s(self) -> float | None:
        """How long from one request for the odds to the next; None where none are wanted."""
        if not self.settings.current.config.odds.enabled:
            return None
        return odds_interval_s(self.night.value, self.feed_time)

    async def wait_until_changed(self) -> None:
        """Wait until the night or the settings change."""
        await self.changed.wait()

    def arrive(self, place: str, document: Document, asked_at: float) -> None:
        """Add an answer to the next tick."""
        self.news.documents[place] = document
        self.news.failed.discard(place)
        self.news.asked_first = min(self.news.asked_first, asked_at)
        self.ended()

    def ended(self) -> None:
        """A request ended, well or not: the next tick is soon."""
        self.news.arrived_first = min(self.news.arrived_first, trio.current_time())

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
            if not self.turns.board_read:
                self.turns.board_read = True
                self.turns.answered(BOARD, self.now, self.settings.current.config.poll)
            self.health.answered(now, changed=True)
        else:
            self.health.news(now)

    def box_came(self, game_id: str, answer: Answer) -> None:
        """Add a box score to the next tick, and send it."""
        place = BOX + game_id
        document = Document(place, answer.body, self.wall_clock(), answer.last_modified)
        self.arrive(place, document, answer.asked_at)
        self.wake()

    def odds_came(self, client: FeedClient, answer: Answer | None) -> None:
        """Add the odds, or that they are as before, to the next tick, and send it."""
        if answer is not None:
            self.odds_modified = answer.last_modified
        modified = self.odds_modified
        if modified is not None and self.feed_time - modified >= _ODDS_STALE_S:
            return
        document = Document(ODDS, None, self.wall_clock(), modified)
        if answer is not None:
            document = document._replace(body=answer.body, accept=partial(client.accept, answer))
        # As if asked for just now: a slow answer delayed nobody.
        self.arrive(ODDS, document, trio.current_time())
        self.wake()

    def schedule_came(self, schedule: Schedule | None) -> None:
        """Add the schedule, None where it is as before, to the next tick."""
        if schedule is not None:
            self.news.schedule = schedule
            self.turns.tip_offs = tuple(map(epoch_s, schedule.tip_offs))
            self.ended()
        self.schedule_tried = True
        self.wake()

    def schedule_failed(self, kind: str) -> None:
        """The schedule could not be had; ``kind`` says why."""
        self.news.errors[kind] += 1
        self.schedule_tried = True
        self.wake()

    @property
    def tick_at(self) -> float:
        """When the next tick is sent: at once, unless answers to the same requests are pending."""
        if not self.news.any:
            down_at = self.health.down_at()
            beat = self.sent_at + _BEAT_S
            return min(beat, down_at) if self.sent_at < down_at else beat
        if not self.ticks and not (self.schedule_tried and self.news.board):
            # What is told first is told with the ratings that the season's results give.
            return self.began + min(self.settings.current.config.feed.timeout_s, _BEAT_S)
        if not any(document.in_flight for document in self.turns.documents.values()):
            return -math.inf
        return self.news.arrived_first + _GATHER_S

    def tick(self, runtime: Runtime) -> Fetched:
        """All that came since the last one, as a tick."""
        now = trio.current_time()
        self.ticks += 1
        if runtime is not self.bound_with:
            self.bound_with, self.log = runtime, log.bind()
        news, self.news = self.news, _News()
        tick = Tick(
            self.ticks, min(news.asked_first, now), runtime, feed_errors=news.errors,
            overruns=self.overruns, log=self.log,
        )  # fmt: skip
        documents = tuple(news.documents.values())
        games = self.night.value
        tick.idle = not any(game.status.in_play for game in games)
        # At half-time nothing changes, and nothing is amiss.
        live = any(game.status is Status.LIVE for game in games)
        tick.feed = self.health.state(now, live=live)
        tick.feed_age_s = self.health.age_s(now)
        tick.errors["poll"] = sum(news.errors.values())
        tick.clocks_agree = not self.clock_offset_s
        self.sent_at = now
        record("poll", tick, len(documents), (now - tick.started) * 1e3 if documents else 0.0)
        failed = tuple(sorted(news.failed))
        return Fetched(tick, now, self.wall_clock(), documents, news.schedule, failed)


async def poll(
    fetched: Sender[Fetched],
    night: Watcher[tuple[TrackedGame, ...]],
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    now: Callable[[], float] = time.time,
    tap: Tap | None = None,
    boxes: BoxOrders | None = None,
) -> None:
    """Poll the feed until cancelled; its failures are logged, and requests go on.

    ``night`` is what the parser knows of the games, which decides what is requested. ``now`` is the
    wall clock, in seconds since the epoch; ``boxes`` says which box scores are being read.
    """
    began = trio.current_time()
    state = _State(settings, night, FeedHealth(began), now, began, sent_at=began)
    with fetched:
        while True:
            config = settings.current.config
            # A changed [feed] takes a new client; what was in flight with the old one is let go.
            client = FeedClient(config, state.limiter, transport, tap, state.troubles)
            async with client, trio.open_nursery() as nursery:
                state.turns.begin(trio.current_time())
                state.followed = None
                nursery.start_soon(
                    keep_schedule, client, state.troubles, state.schedule_came,
                    state.schedule_failed,
                )  # fmt: skip
                nursery.start_soon(
                    keep_odds, client, state.troubles, state.odds_interval_s,
                    state.wait_until_changed, partial(state.odds_came, client),
                )  # fmt: skip
                if boxes is not None:
                    nursery.start_soon(
                        keep_box_scores, client, boxes, state.turns, state.troubles, state.spare,
                        state.box_came,
                    )  # fmt: skip
                nursery.start_soon(_wake_on_night, state)
                nursery.start_soon(_wake_on_settings, state, settings.current)
                while settings.current.config.feed == config.feed:
                    await _go_on(fetched, client, nursery, state)
                nursery.cancel_scope.cancel()


async def _go_on(
    fetched: Sender[Fetched], client: FeedClient, nursery: trio.Nursery, state: _State
) -> None:
    """Send the tick and start the requests that are due, and wait for the next of either."""
    runtime = state.settings.current
    client.config = runtime.config
    poll_, rate = runtime.config.poll, runtime.config.poll.max_requests_per_s
    wakeup, now = state.wakeup, state.now
    if state.night.value is not state.followed or poll_ is not state.planned_with:
        state.followed, state.planned_with = state.night.value, poll_
        state.turns.follow(state.followed, now, poll_)
    # What exceeds the rate stays due, and the most urgent go first again.
    for place in state.turns.due(now, poll_)[: state.limiter.room(rate)]:
        document = state.turns.documents[place]
        document.in_flight = True
        nursery.start_soon(_ask, client, state, place, document)
    if state.tick_at <= trio.current_time():
        await fetched.send(state.tick(runtime))
        return
    next_at = max(state.turns.next_at(), state.limiter.free_at(rate))
    state.rest = trio.CancelScope(deadline=min(next_at, state.tick_at))
    with state.rest:
        await wakeup.wait()


async def _ask(client: FeedClient, state: _State, place: str, target: PollTarget) -> None:
    """Ask for one document, retries included, and put its answer into the inbox."""
    feed = client.config.feed
    url = play_by_play_url(feed, place) if place else scoreboard_url(feed)
    asked = trio.current_time()
    kind_of_document = "playbyplay" if place else "scoreboard"
    try:
        # What has failed before is not tried thrice in a row: its turns come ever less often.
        retries = 0 if target.failures else None
        answer = await client.get(url, target.timing.observe, retries=retries)
    except FeedError as error:
        state.news.errors[error.kind] += 1
        state.troubles.note(
            "feed_error", kind_of_document, what=kind_of_document, game_id=place or None,
            kind=error.kind, error=str(error),
        )  # fmt: skip
        rate_limited, wait_s = error.kind == "status_429", error.retry_after_s
        state.turns.refused(place, state.now, client.config.poll, wait_s, rate_limited=rate_limited)
        state.ended()
        state.news.failed.add(place)
        if not place:
            state.health.failed(asked)
    else:
        target.took(trio.current_time() - asked)
        state.turns.connect_s = client.connect_s
        if answer is not None:
            state.clock_offset_s = client.date_offset_s
            accept = partial(state.accept, client, place, answer)
            if not place:
                state.board_came(asked)
            document = Document(
                place, answer.body, state.wall_clock(), answer.last_modified, accept
            )
            state.arrive(place, document, answer.asked_at)
        else:
            if not place:
                state.health.answered(trio.current_time(), changed=False)
            if not place or target.failures:  # of plays that are as they were, nothing is told
                state.arrive(place, Document(place, None, state.wall_clock()), asked)
        state.turns.answered(place, state.now, client.config.poll)
        if state.troubles.noted and not state.turns.failing(board=not place):
            state.troubles.over(kind_of_document, what=kind_of_document)
    finally:
        target.in_flight = False
        if place:
            state.came(target.at)
        else:
            state.wake()  # whether plays are asked for depends on it


async def _wake_on_night(state: _State) -> None:
    while True:
        try:
            await state.night.wait()
        except trio.EndOfChannel:
            return  # the parser ended, and with it the poller's channel
        state.turn()


async def _wake_on_settings(state: _State, seen: Runtime) -> None:
    while True:
        seen = await state.settings.wait_until_other_than(seen)
        state.turn()
