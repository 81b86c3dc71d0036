"""One line a minute for all stages, instead of one per stage and tick: ``[log] stages``."""

from __future__ import annotations

import structlog

from nbad.observe.statistics import Summary
from nbad.observe.timing import Tick

log = structlog.get_logger()

_EVERY_S = 60.0


class StageSummary:
    """The latency of the stages since the last line."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._ticks = 0
        self._stages: dict[str, Summary] = {}

    def served(self, tick: Tick, now: float) -> None:
        """Take in a served tick, and log where a minute is over; ``now`` in seconds."""
        if tick.runtime.config.log.stages != "summary":
            self._since = None
            return
        if self._since is None:
            self._since, self._ticks, self._stages = now, 0, {}
        self._ticks += 1
        for name, ms in tick.timing_ms.items():
            self._stages.setdefault(name, Summary()).add(ms)
        if now - self._since >= _EVERY_S:
            log.info(
                "stage_summary",
                seconds=round(now - self._since, 1),
                ticks=self._ticks,
                feed=tick.feed,
                stages={name: part.as_dict() for name, part in self._stages.items()},
            )
            self._since, self._ticks, self._stages = now, 0, {}
