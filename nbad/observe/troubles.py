"""Troubles that last: said when they begin, once a minute while they last, and when they end."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
import trio

from nbad.observe.timing import Tick

log = structlog.get_logger()

SAID_EVERY_S = 60.0
# Different troubles kept apart; what else comes shares the place of the one that began first.
_MOST = 256


@dataclass(slots=True)
class _Trouble:
    began: float
    said: float
    count: int = 1  # in all
    unsaid: int = 0


class Troubles:
    """One line where a hundred would say the same. Times are on Trio's clock."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, Hashable], _Trouble] = {}

    def note(self, event: str, key: Hashable, **fields: Any) -> None:
        """Log ``event`` as a warning with ``fields`` where the trouble ``key`` begins, else at most
        once a minute, with ``repeated``: how often it came since it was last said."""
        now = trio.current_time()
        trouble = self._open.get((event, key))
        if trouble is None:
            if len(self._open) >= _MOST:
                del self._open[next(iter(self._open))]
            self._open[event, key] = _Trouble(now, now)
            log.warning(event, **_said(fields))
            return
        trouble.count += 1
        trouble.unsaid += 1
        if now - trouble.said >= SAID_EVERY_S:
            log.warning(event, **_said(fields), repeated=trouble.unsaid)
            trouble.said, trouble.unsaid = now, 0

    def over(self, key: Hashable, **fields: Any) -> None:
        """Log that the troubles ``key`` ended, if any was open: how many there were, how long they
        lasted."""
        ended = [at for at in self._open if at[1] == key]
        if not ended:
            return
        troubles = [self._open.pop(at) for at in ended]
        log.info(
            "trouble_over",
            **fields,
            count=sum(trouble.count for trouble in troubles),
            seconds=round(trio.current_time() - min(trouble.began for trouble in troubles), 1),
        )


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
