"""A game's clocks, score and record, whoever plays it."""

from __future__ import annotations

import random

from nbad.simulator import rates
from nbad.simulator.court import Side
from nbad.simulator.events import At, Event
from nbad.simulator.league import Club


class Ledger:
    """What the scorers' table keeps. ``clock`` and ``wall`` are in seconds."""

    def __init__(self, home: Club, away: Club, rng: random.Random) -> None:
        self.rng = rng
        self.sides = (Side(home), Side(away))
        self.score = [0, 0]
        self.events: list[Event] = []
        self.period = 0
        self.clock = 0.0
        self.wall = 0.0
        self.ball = At.HOME

    def run(self, seconds: float) -> None:
        """Let the game clock and the wall clock run."""
        before = self.clock
        self.clock = max(0.0, self.clock - seconds)
        # The feed's clock has whole seconds, and tenths in the last minute.
        self.clock = round(self.clock, 1) if self.clock < 60 else float(round(self.clock))
        self.wall += before - self.clock

    def dead(self, seconds: float) -> None:
        """Let the wall clock run alone."""
        self.wall += seconds * self.rng.uniform(0.6, 1.4)

    @property
    def elapsed(self) -> float:
        """Game seconds since tip-off."""
        return rates.elapsed_s(self.period, self.clock)

    @property
    def late(self) -> bool:
        """Whether these are the last two minutes of the period."""
        return self.clock <= 120

    def lead(self, side: At) -> int:
        """The points by which a side leads."""
        return self.score[side] - self.score[side.other]

    def note(
        self,
        kind: str,
        sub: str = "",
        side: At | None = None,
        place: int | None = None,
        *,
        other: int = 0,
        made: bool | None = None,
        descriptor: str = "",
        qualifiers: tuple[str, ...] = (),
        spot: tuple[float, float] | None = None,
        linked: int = -1,
        ball: At | None = None,
        nobodys: bool = False,
    ) -> int:
        """Write an event down and return its index."""
        person = 0 if side is None or place is None else self.sides[side].person(place)
        event = Event(
            kind=kind,
            sub=sub,
            period=self.period,
            clock=self.clock,
            wall=round(self.wall, 1),
            side=side,
            ball=None if nobodys else (self.ball if ball is None else ball),
            person=person,
            other=other,
            made=made,
            descriptor=descriptor,
            qualifiers=qualifiers,
            place=spot,
            linked=linked,
        )
        self.events.append(event)
        if side is not None:
            self.score[side] += event.points
        return len(self.events) - 1
