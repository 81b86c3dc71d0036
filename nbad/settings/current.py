"""The current settings, and a way to wait for the next ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import trio

from nbad.domain import Forecast
from nbad.settings.access import OPEN, AccessPolicy
from nbad.settings.schema import Config

if TYPE_CHECKING:
    # For its types alone: numpy starts threads, which must find the signals blocked.
    import numpy as np
    from numpy.typing import NDArray

    from nbad.pattern.rating import Ratings


class Model(Protocol):
    """What predicts: one row of features in, one forecast out."""

    @property
    def name(self) -> str:
        """Which model it is, and of which bytes."""

    @property
    def ratings(self) -> Ratings:
        """The strengths of all teams at the end of what it learnt from."""

    def forecast(self, matrix: NDArray[np.float64]) -> list[Forecast]:
        """The forecasts of ``matrix``, shape (rows, features), one a row."""


class ToldModel:
    """A model of which only the name is known, for relays and recorders, which do not forecast."""

    def __init__(self) -> None:
        self.name = "unknown"

    @property
    def ratings(self) -> Ratings:
        """None: raises NotImplementedError."""
        raise NotImplementedError("what forecasts nothing has no ratings")

    def forecast(self, matrix: NDArray[np.float64]) -> list[Forecast]:
        """None: raises NotImplementedError."""
        raise NotImplementedError("this forecasts nothing")


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a tick is computed with, fixed at its start: a reload takes effect between two ticks."""

    config: Config
    forecaster: Model
    access: AccessPolicy = OPEN


class Settings:
    """Holds the current configuration and model.

    ``given`` is what was configured; a stand-by polls less often than that.

    The daemon replaces it as a whole; the poller reads it at the start of each tick and attaches it
    to the tick, so that a tick is computed with one configuration. Only what lives between ticks
    (listeners, log files) waits for changes.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.given = runtime
        self._current = runtime
        self._stretch = 1.0
        self._changed = trio.Event()

    @property
    def current(self) -> Runtime:
        return self._current

    def replace(self, runtime: Runtime) -> None:
        """Replace the current settings, and wake the waiting tasks."""
        self.given = runtime
        self._put_in_force()

    def stretch_polling(self, factor: float) -> None:
        """From now on poll at ``factor`` times the configured intervals."""
        if factor != self._stretch:
            self._stretch = factor
            self._put_in_force()

    def _put_in_force(self) -> None:
        self._current = _stretched(self.given, self._stretch)
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def wait_until_other_than(self, seen: Runtime) -> Runtime:
        """Wait until the settings are not ``seen`` any more; return what they are then.

        Returns at once if they changed meanwhile, so no change is missed. Safe to cancel.
        """
        while self._current is seen:
            await self._changed.wait()
        return self._current


def _stretched(runtime: Runtime, factor: float) -> Runtime:
    if factor == 1.0:
        return runtime
    poll = runtime.config.poll
    intervals = ("live_interval_s", "idle_interval_s", "refresh_interval_s")
    longer = poll.model_copy(update={name: getattr(poll, name) * factor for name in intervals})
    return replace(runtime, config=runtime.config.model_copy(update={"poll": longer}))
