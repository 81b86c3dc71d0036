"""The poller: what the feed says, tick by tick."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter

import httpx
import structlog
import trio

from nbad.channels import Sender
from nbad.domain import FeedState, Schedule, Scoreboard, Status
from nbad.feed.cache_timing import CacheTiming
from nbad.feed.client import Answer, FeedClient, FeedError, RateLimiter, Tap
from nbad.feed.decode import BadData
from nbad.feed.endpoints import play_by_play_url, scoreboard_url
from nbad.feed.poll_plan import TrackedGame, pause_s, prune_tracked, to_fetch, update_tracked
from nbad.feed.schedule import parse_schedule
from nbad.feed.scoreboard import parse_scoreboard
from nbad.observe.timing import Tick, record
from nbad.settings.current import Runtime, Settings
from nbad.stages.envelopes import Fetched, Payload

log = structlog.get_logger()

# At least every so often a tick passes, whatever the feed does: well within the unit's WatchdogSec.
_BEAT_S = 10.0
_STALE_S = 120.0
# One bad answer among good ones is no news: the feed is down once it gave no good one for so long.
_DOWN_S = 5.0
# A board from before what is known is believed once nothing else was said for so long.
_CONFIRM_S = 30.0
_SCHEDULE_EVERY_S = 6 * 3600.0
_SCHEDULE_AGAIN_S = 300.0
# The last play of a game says that it is over: it is looked for in the last twenty or so only.
_END_OF_GAME = (b'"actionType":"game"', b'"actionType": "game"')
_END_WITHIN = 16_384


@dataclass(slots=True)
class _State:
    """What the poller knows between ticks. Bounded by the night."""

    games: dict[str, TrackedGame] = field(default_factory=dict)
    inbox: dict[str, Payload] = field(default_factory=dict)
    board_modified: float | None = None
    regressed_at: float | None = None
    boards: int = 0
    schedule: Schedule | None = None
    tip_offs: tuple[str, ...] = ()
    answered_at: float | None = None
    changed_at: float = 0.0
    failing_since: float | None = None
    failures: int = 0
    pace: CacheTiming = field(default_factory=CacheTiming)
    ticks: int = 0

    def next_tick(self, runtime: Runtime) -> Tick:
        """A tick that begins now, with what is in force for it."""
        self.ticks += 1
        return Tick(self.ticks, trio.current_time(), runtime)


def merge_fetched(waiting: Fetched, newer: Fetched) -> tuple[Fetched, int]:
    """Two ticks as one: the newest payload of each game, and how many it superseded."""
    payloads = {p.game_id: p for p in waiting.payloads if p.game_id not in newer.dropped}
    superseded = sum(payload.game_id in payloads for payload in newer.payloads)
    payloads |= {payload.game_id: payload for payload in newer.payloads}
    newer.tick.errors.update(waiting.tick.errors)  # the one thing of the older tick's trace to keep
    board = newer if newer.scoreboard is not None else waiting
    return (
        replace(
            newer,
            scoreboard=board.scoreboard,
            scoreboard_modified=board.scoreboard_modified,
            payloads=tuple(payloads.values()),
            schedule=newer.schedule or waiting.schedule,
            dropped=tuple(dict.fromkeys(waiting.dropped + newer.dropped)),
        ),
        superseded,
    )


async def poll(
    fetched: Sender[Fetched],
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    now: Callable[[], float] = time.time,
    tap: Tap | None = None,
) -> None:
    """Ask the feed, tick by tick, until cancelled; trouble with it is logged and lived with."""
    state = _State(changed_at=trio.current_time())
    limiter = RateLimiter()
    with fetched:
        while True:
            config = settings.current.config
            # A changed [feed] takes a new client, between two ticks.
            async with (
                FeedClient(config, limiter, transport, tap) as client,
                trio.open_nursery() as nursery,
            ):
                state.board_modified = None  # of another feed, perhaps
                with trio.move_on_after(config.feed.timeout_s) as patience:
                    await _refresh_schedule(client, state)
                # One that is slow comes when it comes, beside the ticks.
                nursery.start_soon(_keep_schedule, client, state, patience.cancelled_caught)
                while settings.current.config.feed == config.feed:
                    tick = state.next_tick(settings.current)
                    client.config = tick.runtime.config
                    await fetched.send(await _tick(client, nursery, state, tick, now))
                    await _rest(fetched, settings, state, _due(state, tick, now()), now)
                nursery.cancel_scope.cancel()
            for game in state.games.values():
                game.in_flight = False


def _due(state: _State, tick: Tick, now: float) -> float:
    """When the tick after ``tick`` is due, on Trio's clock; ``now`` in s since the epoch."""
    lines = [game.entry for game in state.games.values()]
    config = tick.runtime.config
    quiet = trio.current_time() - state.changed_at
    pause = pause_s(lines, state.tip_offs, now, quiet, config)
    if state.failing_since is not None:  # who cannot see the night must not sleep through it
        pause = min(pause, _DOWN_S)
    if any(line.status.in_play for line in lines):
        return state.pace.next_at(tick.started, pause)
    return tick.started + pause


async def _rest(
    fetched: Sender[Fetched],
    settings: Settings,
    state: _State,
    due: float,
    now: Callable[[], float],
) -> None:
    """Wait until ``due`` or for other settings.

    Nothing is asked meanwhile, but an empty tick goes through now and then: a pipeline that sleeps
    till noon must be told apart from one that is stuck.
    """
    seen = settings.current
    while not await _other_settings_before(settings, seen, due):
        tick = state.next_tick(settings.current)
        _judge_feed(state, tick)
        await fetched.send(Fetched(tick, received_at=now()))


async def _other_settings_before(settings: Settings, seen: Runtime, deadline: float) -> bool:
    """Wait until the settings are not ``seen`` any more, or until ``deadline``, at most a beat.

    True: the next tick is due.
    """
    with trio.move_on_at(min(deadline, trio.current_time() + _BEAT_S)):
        await settings.wait_until_other_than(seen)
        return True
    return trio.current_time() >= deadline


async def _tick(
    client: FeedClient,
    nursery: trio.Nursery,
    state: _State,
    tick: Tick,
    now_s: Callable[[], float],
) -> Fetched:
    """One round: the board, then at once the plays of all games that are due."""
    begun = perf_counter()
    board, answer = await _board(client, state)
    now = trio.current_time()
    if board:
        state.boards += 1
        update_tracked(state.games, board, now)
    dropped = prune_tracked(state.games, now)
    due = to_fetch(state.games.values(), now, client.config)
    left = len(due)
    all_in = trio.Event()

    async def fetch(game: TrackedGame) -> None:
        nonlocal left
        try:
            await _plays(client, state, game)
        finally:
            game.in_flight = False
            left -= 1
            if not left:
                all_in.set()

    for game in due:
        game.in_flight, game.asked_at = True, now
        nursery.start_soon(fetch, game)
    if due:
        # A game that is slow or being retried joins a later tick: it holds nobody up. But the first
        # board comes with its plays, or a restart would show games without them.
        first = board is not None and state.boards == 1
        patience = client.config.feed.timeout_s if first else client.config.poll.live_interval_s
        with trio.move_on_after(patience):
            await all_in.wait()
    payloads, state.inbox = tuple(state.inbox.values()), {}
    if board or payloads:
        state.changed_at = trio.current_time()
    schedule, state.schedule = state.schedule, None
    _judge_feed(state, tick)
    tick.errors["poll"], state.failures = state.failures, 0
    record("poll", tick, len(due), (perf_counter() - begun) * 1e3)
    return Fetched(
        tick,
        board,
        answer.last_modified if answer else None,
        now_s(),
        payloads,
        schedule,
        dropped,
    )


def _judge_feed(state: _State, tick: Tick) -> None:
    now = trio.current_time()
    # At half-time nothing changes, and nothing is amiss.
    live = any(game.entry.status is Status.LIVE for game in state.games.values())
    tick.idle = not any(game.entry.status.in_play for game in state.games.values())
    answered = state.answered_at
    failing = state.failing_since
    if failing is not None and (answered is None or now - failing >= _DOWN_S):
        tick.feed = FeedState.DOWN
    elif live and now - state.changed_at > _STALE_S:
        tick.feed = FeedState.STALE
    tick.feed_age_s = now - answered if answered is not None else 0.0


async def _board(client: FeedClient, state: _State) -> tuple[Scoreboard | None, Answer | None]:
    """The scoreboard, where it changed."""
    url = scoreboard_url(client.config.feed)
    asked = trio.current_time()
    try:
        with trio.move_on_after(_BEAT_S) as patience:
            answer = await client.get(url, state.pace.observe)
        if patience.cancelled_caught:
            raise FeedError(  # noqa: TRY301
                "timeout", f"{url}: no answer, retries included, within {_BEAT_S:g} s"
            )
        board = parse_scoreboard(answer.body) if answer is not None else None
    except (FeedError, BadData) as error:
        if state.failing_since is None:
            state.failing_since = asked
        state.failures += 1
        log.warning("feed_error", what="scoreboard", kind=_kind(error), error=str(error))
        return None, None
    now = state.answered_at = trio.current_time()
    state.failing_since = None
    if answer is None or board is None:
        state.regressed_at = None
        return None, None
    modified = answer.last_modified
    if modified and state.board_modified and modified < state.board_modified:
        # An edge of the CDN that lags: what it says was said before. Or the date known was wrong.
        if state.regressed_at is None:
            state.regressed_at = now
        if now - state.regressed_at < _CONFIRM_S:
            state.failures += 1
            log.warning("feed_regressed", what="scoreboard", kind="regressed", modified=modified)
            return None, None
    client.accept(answer)
    state.board_modified, state.regressed_at = modified, None
    for skipped in board.skipped:
        log.warning("game_skipped", game_id=skipped.partition(":")[0], reason=skipped)
    return board, answer


async def _plays(client: FeedClient, state: _State, game: TrackedGame) -> None:
    """One game's play-by-play into the inbox, where it changed."""
    line = game.entry
    game_id = line.game_id
    try:
        answer = await client.get(play_by_play_url(client.config.feed, game_id))
    except FeedError as error:
        state.failures += 1
        log.warning(
            "feed_error", what="playbyplay", game_id=game_id, kind=error.kind, error=str(error)
        )
        return
    game.asked_for = line
    if answer is None:
        return
    # A body that is cut or garbled is not remembered: the next round asks for it whole again.
    if _is_whole(answer.body):
        client.accept(answer)
    ended = any(answer.body.find(mark, -_END_WITHIN) >= 0 for mark in _END_OF_GAME)
    if ended and not game.ended:
        game.ended_at = trio.current_time()
    game.ended = ended
    state.inbox[game_id] = Payload(game_id, answer.body, answer.received_at, answer.last_modified)


def _is_whole(body: bytes) -> bool:
    """Whether a play-by-play is neither cut nor garbled, without reading it.

    Its list of plays is the only one of objects, so a cut within it does not end like this. What
    ends otherwise is taken where as many braces open as close.
    """
    return body.endswith(b"}]}}") or body.count(b"{") == body.count(b"}")


async def _keep_schedule(client: FeedClient, state: _State, at_once: bool) -> None:
    """Refresh the season's schedule, beside the ticks."""
    while True:
        wait = _SCHEDULE_EVERY_S if state.tip_offs or state.schedule else _SCHEDULE_AGAIN_S
        await trio.sleep(0 if at_once else wait)
        at_once = False
        await _refresh_schedule(client, state)


async def _refresh_schedule(client: FeedClient, state: _State) -> None:
    try:
        answer = await client.get(client.config.feed.schedule_url)
        if answer is not None:
            state.schedule = parse_schedule(answer.body)
            state.tip_offs = state.schedule.tip_offs
            client.accept(answer)
    except (FeedError, BadData) as error:
        state.failures += 1
        log.warning("schedule_unavailable", kind=_kind(error), error=str(error))


def _kind(error: FeedError | BadData) -> str:
    return error.kind if isinstance(error, FeedError) else "unreadable"
