"""The season's schedule and the odds, requested outside the ticks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from nbad.domain import Schedule
from nbad.feed.client import Answer, FeedClient, FeedError
from nbad.feed.decode import BadData
from nbad.feed.endpoints import odds_url
from nbad.feed.poll_plan import backoff_s
from nbad.feed.schedule import read_schedule
from nbad.observe.troubles import Troubles

_SCHEDULE_EVERY_S = 6 * 3600.0
# One that failed is asked for again soon, as the forecasts want its results, then ever less often.
_SCHEDULE_AGAIN_S, _SCHEDULE_MOST_BACKOFF_S = 5.0, 300.0
# How often it is looked whether a game is now so near that its odds are wanted.
_ODDS_LOOK_S = 60.0
_ODDS_MOST_BACKOFF_S = 1800.0


async def keep_schedule(
    client: FeedClient,
    troubles: Troubles,
    came: Callable[[Schedule | None], None],
    failed: Callable[[str], None],
) -> None:
    """Ask for the schedule every few hours, until cancelled.

    ``came`` takes it, None where it is as before; ``failed`` the kind of error.
    """
    failures = 0
    while True:
        try:
            answer = await client.get(client.config.feed.schedule_url)
            schedule = None if answer is None else await read_schedule(answer.body)
        except (FeedError, BadData) as error:
            failures += 1
            troubles.note("schedule_unavailable", "schedule", kind=error.kind, error=str(error))
            failed(error.kind)
            again_s = backoff_s(_SCHEDULE_AGAIN_S, failures, _SCHEDULE_MOST_BACKOFF_S)
            wait_s = max(again_s, error.retry_after_s)
        else:
            if answer is not None:
                client.accept(answer)
            troubles.over("schedule", what="schedule")
            came(schedule)
            wait_s, failures = _SCHEDULE_EVERY_S, 0
        await trio.sleep(wait_s)


async def keep_odds(
    client: FeedClient,
    troubles: Troubles,
    interval_s: Callable[[], float | None],
    changed: Callable[[], Awaitable[None]],
    came: Callable[[Answer | None], None],
) -> None:
    """Ask for the odds, until cancelled, as often as ``interval_s`` says; where that is None, look
    again once what it depends on has ``changed``.

    ``came`` takes the answer, None where it is as before.
    """
    failures = 0
    while True:
        wait_s = interval_s()
        if wait_s is None:
            with trio.move_on_after(_ODDS_LOOK_S):
                await changed()
            continue
        try:
            answer = await client.get(odds_url(client.config.feed), retries=0)
        except FeedError as error:  # a feed may well have none
            failures += 1
            troubles.note("odds_unavailable", "odds", kind=error.kind, error=str(error))
            again_s = backoff_s(2 * wait_s, failures, _ODDS_MOST_BACKOFF_S)
            wait_s = max(again_s, error.retry_after_s)
        else:
            failures = 0
            troubles.over("odds", what="odds")
            came(answer)
        await trio.sleep(wait_s)
