"""Troubles that last: said when they begin, once a minute while they last, and when they end."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
import trio

from nbad.domain import FeedState
from nbad.observe.timing import Tick

log = structlog.get_logger()

SAID_EVERY_S = 60.0
# Different troubles kept apart; what else comes shares the place of the one that began first.
_MOST = 256
# Lines of an event in a minute, of all its troubles together.
_LINES = 8


@dataclass(slots=True)
class _Trouble:
    began: float
    said: float = -math.inf
    count: int = 0  # in all
    unsaid: int = 0
    open: bool = True
    end_said: float = -math.inf


class Troubles:
    """One line where a hundred would say the same, also where the trouble comes and goes: each is
    said to begin, and to be over, once a minute at most; and of many at once the first are. Times
    are on Trio's clock."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Hashable], _Trouble] = {}
        self._minutes: dict[str, tuple[float, int]] = {}  # of an event: since when, how many lines

    @property
    def noted(self) -> bool:
        """Whether there was any lately."""
        return bool(self._known)

    def note(self, event: str, key: Hashable, **fields: Any) -> None:
        """Log ``event`` as a warning with ``fields`` where the trouble ``key`` begins, else at most
        once a minute, with ``repeated``: how often it came since it was last said."""
        now = trio.current_time()
        trouble = self._known.get((event, key))
        if trouble is None:
            self._make_room(now)
            trouble = self._known[event, key] = _Trouble(now)
        elif not trouble.open and trouble.end_said >= trouble.said:
            trouble.began, trouble.count = now, 0
        trouble.open = True
        trouble.count += 1
        trouble.unsaid += 1
        if now - trouble.said < SAID_EVERY_S or not self._may_say(event, now):
            return
        repeated = {"repeated": trouble.unsaid} if trouble.unsaid > 1 else {}
        log.warning(event, **_said(fields), **repeated)
        trouble.said, trouble.unsaid = now, 0

    def over(self, key: Hashable, **fields: Any) -> None:
        """Log that the troubles ``key`` ended, if any was said to be open: how many there were, how
        long they lasted."""
        now = trio.current_time()
        ended = [trouble for (_, at), trouble in self._known.items() if at == key and trouble.open]
        for trouble in ended:
            trouble.open = False
        if all(trouble.said <= trouble.end_said for trouble in ended):
            return
        for trouble in ended:
            trouble.end_said = now
        log.info(
            "trouble_over",
            **fields,
            count=sum(trouble.count for trouble in ended),
            seconds=round(now - min(trouble.began for trouble in ended), 1),
        )

    def _may_say(self, event: str, now: float) -> bool:
        """Whether ``event``, of all its troubles, still has a line this minute."""
        since, lines = self._minutes.get(event, (now, 0))
        if now - since >= SAID_EVERY_S:
            since, lines = now, 0
        if lines >= _LINES:
            return False
        self._minutes[event] = since, lines + 1
        return True

    def _make_room(self, now: float) -> None:
        """Forget what was over for long, and past the bound what began first."""
        for at in [
            at
            for at, trouble in self._known.items()
            if not trouble.open and now - trouble.said >= SAID_EVERY_S
        ]:
            del self._known[at]
        if len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]


class FeedTurns:
    """Logs how the feed turns: to stale or down as a warning, and back."""

    def __init__(self) -> None:
        self._was: FeedState | None = None

    def note(self, tick: Tick) -> None:
        """Take in how the feed is at a served tick."""
        if tick.feed is (self._was or FeedState.OK):
            return
        tell = log.info if tick.feed is FeedState.OK else log.warning
        tell("feed_state", state=tick.feed, was=self._was, age_s=round(tick.feed_age_s, 1))
        self._was = tick.feed


def note_failed(
    tick: Tick, stage: str, failed: Iterable[tuple[str, Exception]], troubles: Troubles
) -> None:
    """Count and log the games whose work in ``stage`` failed, with the fault: a bug of ours that
    cost those games their turn, and nobody else anything."""
    for game_id, error in failed:
        tick.errors[stage] += 1
        troubles.note(
            "game_failed", (game_id, repr(error)), stage=stage, game_id=game_id, exc_info=error
        )


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
