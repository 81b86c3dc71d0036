"""A game, possession by possession."""

from __future__ import annotations

import random
from collections.abc import Callable

from nbad.simulator import rates
from nbad.simulator.court import FOULED_OUT
from nbad.simulator.events import At, Event
from nbad.simulator.league import Club
from nbad.simulator.ledger import Ledger

_TURNOVERS = ("bad pass", "lost ball", "traveling", "out-of-bounds", "3-second violation")
_MAX_PERIODS = 10


def play_game(home: Club, away: Club, rng: random.Random) -> list[Event]:
    """The events of one whole game, in the order in which they happened."""
    return _Game(home, away, rng).play()


class _Game(Ledger):
    """A game being played."""

    def __init__(self, home: Club, away: Club, rng: random.Random) -> None:
        super().__init__(home, away, rng)
        edge = home.strength - away.strength + rates.HOME_POINTS
        self.edge = (edge / 2, -edge / 2)
        self.called = 0  # timeouts in this period
        self.context: tuple[str, ...] = ()  # qualifiers that the next shot inherits

    # The game and its periods.

    def play(self) -> list[Event]:
        """Play until somebody has won."""
        opener = At.HOME
        while self.period < 4 or self.score[0] == self.score[1]:
            if self.period == _MAX_PERIODS:  # no game was ever that long: let it be decided
                self.sudden_point()
                break
            self.period += 1
            opener = self.start_period(opener)
            while self.clock > 0:
                self.possession()
            self.dead(3)
            self.note("period", "end")
            if self.period == 2:
                self.wall += rates.HALFTIME_S
            elif self.period < 4 or self.score[0] == self.score[1]:
                self.dead(rates.BREAK_S)
        self.dead(15)
        self.note("game", "end", nobodys=True)
        return self.events

    def start_period(self, opener: At) -> At:
        """Open a period; return the side that had, or has, the opening tip."""
        self.clock = rates.PERIOD_S if self.period <= 4 else rates.OVERTIME_S
        self.called = 0
        for side in self.sides:
            side.new_period()
        self.ball = opener if self.period in (1, 4) else opener.other
        self.note("period", "start", nobodys=self.period == 1)
        self.dead(5)
        if self.period > 1:
            self.substitute()
        if self.period == 1 or self.period > 4:
            opener = self.rng.choice((At.HOME, At.AWAY))
            self.run(self.rng.choice((2.0, 3.0)))
            centre, rival = self.sides[opener].on[2], self.sides[opener.other].on[2]
            self.ball = opener
            loser = self.sides[opener.other].person(rival)
            self.note(
                "jumpball", "recovered", opener, centre, other=loser, descriptor="startperiod"
            )
        return opener

    def sudden_point(self) -> None:
        """End a game that would not end, by a technical free throw before the last period's end."""
        end = self.events.pop()
        self.note("freethrow", "1 of 1", At.HOME, 0, made=True, descriptor="technical")
        self.events.append(end)

    # Dead balls.

    def substitute(self) -> None:
        """Let both sides change players."""
        closing = self.period >= 4 and self.clock < 330 and abs(self.score[0] - self.score[1]) <= 15
        for at, side in zip(At, self.sides, strict=True):
            for out, fresh in side.swaps(self.rng, self.elapsed, closing=closing):
                self.note("substitution", "out", at, out)
                self.note("substitution", "in", at, fresh)

    def stop(self) -> None:
        """A dead ball: timeouts, substitutions."""
        due = (self.clock < 420 and self.called < 1) or (self.clock < 180 and self.called < 2)
        caller: At | None = None
        if due and self.period <= 4:
            caller = self.rng.choice((At.HOME, At.AWAY))
        else:
            trailing = At.HOME if self.score[0] < self.score[1] else At.AWAY
            close = abs(self.score[0] - self.score[1]) <= 8
            chance = 0.16 if self.period >= 4 and self.late and close else 0.09
            if self.rng.random() < chance:
                caller = trailing
        if caller is not None and not self.sides[caller].timeouts:
            caller = caller.other
        if caller is not None and self.sides[caller].timeouts:
            self.sides[caller].timeouts -= 1
            self.called += 1
            marks = ("team", "mandatory") if due else ("team",)
            self.note("timeout", "full", caller, qualifiers=marks)
            self.dead(rates.TIMEOUT_S)
        if self.rng.random() < 0.5 or self.gone():
            self.substitute()

    def gone(self) -> bool:
        """Whether somebody on the court has fouled out."""
        return any(side.fouls[place] >= FOULED_OUT for side in self.sides for place in side.on)

    def personal(self, side: At, kind: str, shots: int, fouled: int) -> None:
        """Note a personal foul by the side that defends."""
        defence = self.sides[side]
        place = defence.fouler(self.rng)
        defence.foul(place, late=self.late)
        if not shots and defence.penalty(overtime=self.period > 4):
            shots = 2
        marks = (f"{shots}freethrow",) if shots else ()
        if defence.penalty(overtime=self.period > 4):
            marks = (*marks, "inpenalty")
        drawn = self.sides[side.other].person(fouled)
        self.dead(6)
        self.note(
            "foul", "personal", side, place,
            other=drawn, descriptor=kind, qualifiers=marks, ball=side.other,
        )  # fmt: skip
        self.dead(rates.FOUL_S)
        self.stop()

    def free_throws(self, side: At, place: int, shots: int) -> bool:
        """Shoot them; return whether the same side keeps the ball after a missed last one."""
        if place not in self.sides[side].on:  # who fouled out or was hurt does not shoot
            place = self.sides[side].shooter(self.rng)
        for shot in range(1, shots + 1):
            self.dead(rates.FREE_THROW_S)
            made = self.rng.random() < rates.FREE_THROW_MADE
            index = self.note("freethrow", f"{shot} of {shots}", side, place, made=made)
            if shot == shots:
                return not made and self.rebound(side, index, free_throw=True)
            if not made:
                marks = ("team", "deadball")
                self.note("rebound", "offensive", side, qualifiers=marks, linked=index)
        return False

    def rebound(self, side: At, index: int, *, free_throw: bool = False) -> bool:
        """Who gets the missed shot of ``side``; return whether ``side`` keeps the ball."""
        if self.clock <= 0:
            return False
        chance = rates.OFFENSIVE_REBOUND_AFTER_FREE_THROW if free_throw else rates.OFFENSIVE_REBOUND
        kept = self.rng.random() < chance
        owner = side if kept else side.other
        team = self.rng.random() < rates.TEAM_REBOUND
        self.run(min(self.clock / 2, self.rng.choice((0.0, 1.0, 2.0, 3.0))))
        self.ball = owner
        sub = "offensive" if kept else "defensive"
        if team:
            self.note("rebound", sub, owner, qualifiers=("team",), linked=index)
            self.dead(rates.DEAD_BALL_S)
            self.note("stoppage", "out-of-bounds")
            self.stop()
        else:
            place = self.sides[owner].rebounder(self.rng)
            self.note("rebound", sub, owner, place, linked=index)
        return kept

    # A possession.

    def possession(self) -> None:
        """Play until the ball changes hands or the period ends."""
        side = self.ball
        mean = rates.AFTER_STEAL_MEAN_S if "fastbreak" in self.context else rates.POSSESSION_MEAN_S
        limit = rates.SHOT_CLOCK_S
        steps: tuple[Callable[[At], bool], ...] = (self.turnover, self.common_foul, self.shot)
        while self.clock > 0:
            if self.must_foul(side):
                kept = self.deliberate_foul(side)
            else:
                self.work(mean, limit)
                if self.clock <= 0:
                    break
                kept = steps[self.choose()](side)
            if not kept:
                self.ball = side.other
                return
            if "2ndchance" in self.context:
                mean, limit = rates.SECOND_CHANCE_MEAN_S, rates.SECOND_CHANCE_CLOCK_S
        self.ball = side.other

    def work(self, mean: float, limit: float) -> None:
        """Let the clock run until something happens; it may run out."""
        seconds = self.rng.gauss(mean, rates.POSSESSION_SD_S)
        if self.period >= 4 and self.clock < 240:
            # Who trails hurries, who leads takes the time that there is.
            lead = self.lead(self.ball)
            seconds += 3 if lead > 3 else -5 if lead < -6 else -2 if lead < 0 else 0
        seconds = min(limit - 0.5, max(1.5, seconds))
        if seconds >= self.clock - 0.4:  # the last shot of the period, or none
            if self.clock < 0.7 or self.rng.random() < 0.2:
                seconds = self.clock
            else:
                seconds = self.clock - self.rng.uniform(0.2, min(2.5, self.clock - 0.2))
        self.run(seconds)

    def choose(self) -> int:
        """Which step ends the wait: 0 a turnover, 1 a foul or stoppage, 2 a shot."""
        chance = self.rng.random()
        if chance < rates.TURNOVER:
            return 0
        return 1 if chance < rates.TURNOVER + rates.PERSONAL_FOUL + rates.STOPPAGE else 2

    def must_foul(self, side: At) -> bool:
        """Whether the defence trails so late that it stops the clock."""
        low = 1 if self.clock < 24 else 3
        return self.period >= 4 and 1.5 < self.clock < 38 and low <= self.lead(side) <= 9

    def deliberate_foul(self, side: At) -> bool:
        """The defence fouls at once. Return whether the offence keeps the ball."""
        self.run(min(self.clock - 0.5, self.rng.uniform(1.5, 5.0)))
        place = self.sides[side].shooter(self.rng)
        self.context = ()
        self.personal(side.other, "take", 0, place)
        if self.sides[side.other].penalty(overtime=self.period > 4):
            return self.free_throws(side, place, 2)
        return True

    def turnover(self, side: At) -> bool:
        """The ball is lost."""
        place = self.sides[side].shooter(self.rng)
        draw = self.rng.random()
        self.context = ("fromturnover",)
        if draw < rates.OFFENSIVE_FOUL_OF_TURNOVERS:
            self.sides[side].foul(place, late=self.late, counts=False)
            drawn = self.sides[side.other].person(self.sides[side.other].fouler(self.rng))
            self.note("foul", "offensive", side, place, other=drawn)
            self.note("turnover", "offensive foul", side, place)
        elif draw < rates.OFFENSIVE_FOUL_OF_TURNOVERS + rates.STEAL_OF_TURNOVERS:
            thief = self.sides[side.other].shooter(self.rng)
            stolen = self.sides[side.other].person(thief)
            sub = self.rng.choice(_TURNOVERS[:2])
            self.note("turnover", sub, side, place, other=stolen)
            self.note("steal", "", side.other, thief)
            self.context = ("fastbreak", "fromturnover")
            return False
        else:
            self.note("turnover", self.rng.choice(_TURNOVERS[2:]), side, place)
        self.dead(rates.DEAD_BALL_S)
        self.stop()
        return False

    def common_foul(self, side: At) -> bool:
        """A foul away from a shot, or the ball out of bounds: the offence goes on."""
        total = rates.PERSONAL_FOUL + rates.STOPPAGE
        if self.rng.random() < rates.STOPPAGE / total:
            review = self.rng.random() < 0.2
            self.note("stoppage", "replay" if review else "out-of-bounds")
            self.dead(rates.REVIEW_S if review else rates.DEAD_BALL_S)
            self.stop()
            return True
        if self.rng.random() < rates.TECHNICAL / rates.PERSONAL_FOUL:
            self.technical(side.other)
            return True
        place = self.sides[side].shooter(self.rng)
        self.personal(side.other, self.rng.choice(("", "", "loose ball")), 0, place)
        if self.sides[side.other].penalty(overtime=self.period > 4):
            self.context = ()
            return self.free_throws(side, place, 2)
        return True

    def technical(self, side: At) -> None:
        """A technical foul against ``side``: one free throw, and play goes on."""
        place = self.sides[side].shooter(self.rng)
        self.note("foul", "technical", side, place, qualifiers=("1freethrow",))
        self.dead(rates.FREE_THROW_S)
        made = self.rng.random() < rates.FREE_THROW_MADE
        shooter = self.sides[side.other].shooter(self.rng)
        self.note("freethrow", "1 of 1", side.other, shooter, made=made, descriptor="technical")

    def shot(self, side: At) -> bool:
        """A shot from the field, with what comes of it."""
        rng, offence = self.rng, self.sides[side]
        place = offence.shooter(rng)
        desperate = self.period >= 4 and self.clock < 60 and -9 < self.lead(side) <= -3
        three = rng.random() < (0.7 if desperate else rates.THREE_SHARE)
        if rng.random() < (rates.SHOOTING_FOUL_OF_THREES if three else rates.SHOOTING_FOUL_OF_TWOS):
            shots = 3 if three else 2
            self.personal(side.other, "shooting", shots, place)
            self.context = ()
            return self.free_throws(side, place, shots)
        chance = rates.THREE_MADE if three else rates.TWO_MADE
        chance += self.edge[side] * rates.PROBABILITY_PER_POINT
        chance -= self.lead(side) * rates.EASE_PER_POINT_OF_LEAD
        if "fastbreak" in self.context:
            chance += 0.06
        made = rng.random() < chance
        rim = not three and rng.random() < rates.RIM_SHARE_OF_TWOS
        sub, descriptor, spot = self.describe(three=three, rim=rim)
        marks = ("pointsinthepaint", *self.context) if rim else self.context
        assisted = made and rng.random() < (rates.ASSISTED_THREE if three else rates.ASSISTED_TWO)
        blocker: int | None = None
        if not made and not three and rng.random() < rates.BLOCKED_OF_MISSED_TWOS:
            blocker = self.sides[side.other].rebounder(rng)
        other = 0
        if assisted:
            other = offence.person(offence.mate(rng, place))
        elif blocker is not None:
            other = self.sides[side.other].person(blocker)
        index = self.note(
            "3pt" if three else "2pt", sub, side, place,
            made=made, descriptor=descriptor, qualifiers=marks, spot=spot, other=other,
        )  # fmt: skip
        self.context = ()
        if made:
            if rng.random() < rates.AND_ONE:
                self.personal(side.other, "shooting", 1, place)
                return self.free_throws(side, place, 1)
            return False
        if blocker is not None:
            self.note("block", "", side.other, blocker, linked=index)
        kept = self.rebound(side, index)
        self.context = ("2ndchance",) if kept else ()
        return kept

    def describe(self, *, three: bool, rim: bool) -> tuple[str, str, tuple[float, float]]:
        """Sub-type, descriptor, and the shot's distance (feet) and angle (degrees)."""
        rng = self.rng
        # A long shot from a wider angle would be taken out of bounds.
        angle = round(rng.uniform(-55, 55) if three else rng.uniform(-75, 75), 1)
        if three:
            descriptor = rng.choice(("", "pullup", "step back"))
            return "Jump Shot", descriptor, (round(rng.uniform(24.0, 28.5), 2), angle)
        if rim:
            sub = rng.choices(("Layup", "DUNK", "Hook"), (0.72, 0.2, 0.08))[0]
            descriptor = rng.choice(("driving", "cutting", "running", ""))
            return sub, descriptor, (round(rng.uniform(0.5, 5.0), 2), angle)
        descriptor = rng.choice(("", "pullup", "turnaround", "fadeaway"))
        return "Jump Shot", descriptor, (round(rng.uniform(6.0, 21.5), 2), angle)
