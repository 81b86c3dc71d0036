"""Who is on the court: line-ups, tiredness, fouls, and the choice of who does what."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from nbad.simulator.league import Club

# How much of a side's play goes through each place of the roster.
_USAGE = (1.1, 1.2, 0.9, 1.3, 1.4, 0.9, 0.9, 0.8, 0.7, 0.7, 0.6, 0.5, 0.5)
_REBOUNDS = (0.9, 1.4, 1.8, 0.6, 0.6, 1.2, 0.8, 1.2, 0.7, 0.9, 0.8, 0.7, 0.6)
_STINT_S = {True: 560.0, False: 330.0}  # of a starter, of a reserve
_ROTATION = 10
FOULED_OUT = 6


@dataclass(slots=True)
class Side:
    """One team's bench and court during a game; places are indices into the roster."""

    club: Club
    on: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])
    fouls: list[int] = field(default_factory=list)
    since: list[float] = field(default_factory=list)  # elapsed s of the last coming or going
    timeouts: int = 7
    team_fouls: int = 0
    late_fouls: int = 0  # of those, in the last two minutes of the period

    def __post_init__(self) -> None:
        self.fouls = [0] * len(self.club.players)
        self.since = [0.0] * len(self.club.players)

    def person(self, place: int) -> int:
        """The person id at a place of the roster."""
        return self.club.players[place].person_id

    def shooter(self, rng: random.Random) -> int:
        """A place on the court, by usage."""
        return rng.choices(self.on, [_USAGE[place] for place in self.on])[0]

    def rebounder(self, rng: random.Random) -> int:
        """A place on the court, by rebounding."""
        return rng.choices(self.on, [_REBOUNDS[place] for place in self.on])[0]

    def mate(self, rng: random.Random, place: int) -> int:
        """Another place on the court than ``place``."""
        return rng.choice([other for other in self.on if other != place])

    def fouler(self, rng: random.Random) -> int:
        """A place on the court; those near to fouling out take care."""
        return rng.choices(self.on, [1.0 / (1 + self.fouls[place]) for place in self.on])[0]

    def available(self) -> list[int]:
        """Places on the bench that may still come in, the usual rotation first."""
        return [
            place
            for place in range(len(self.club.players))
            if place not in self.on and self.fouls[place] < FOULED_OUT
        ]

    def swaps(self, rng: random.Random, elapsed: float, *, closing: bool) -> list[tuple[int, int]]:
        """Who goes out for whom at this dead ball, as pairs of places, carried out at once.

        ``closing``: the end of a close game, where the starters return.
        """
        pairs: list[tuple[int, int]] = []
        bench = [place for place in self.available() if place < _ROTATION] or self.available()
        for place in list(self.on):
            if not bench:
                break
            gone = self.fouls[place] >= FOULED_OUT
            starter = place < 5
            stint = elapsed - self.since[place]
            if closing:
                tired = not starter and any(other < 5 for other in bench)
            else:
                tired = stint > _STINT_S[starter] * rng.uniform(0.7, 1.4)
            if not (gone or (tired and len(pairs) < 3)):
                continue
            if closing:
                fresh = min(bench)
            else:
                fresh = min(bench, key=lambda other: self.since[other] + rng.uniform(0, 90))
            bench.remove(fresh)
            self.on[self.on.index(place)] = fresh
            self.since[place] = self.since[fresh] = elapsed
            pairs.append((place, fresh))
        return pairs

    def new_period(self) -> None:
        """Forget the team fouls."""
        self.team_fouls = self.late_fouls = 0

    def foul(self, place: int, *, late: bool, counts: bool = True) -> None:
        """Charge a personal foul; ``counts``: towards the bonus, as offensive ones do not."""
        self.fouls[place] += 1
        if counts:
            self.team_fouls += 1
            self.late_fouls += late

    def penalty(self, *, overtime: bool) -> bool:
        """Whether the foul just charged gives free throws whatever it was."""
        return self.team_fouls >= (4 if overtime else 5) or self.late_fouls >= 2
