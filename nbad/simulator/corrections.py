"""The scorers' errors, and when they are corrected."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from nbad.simulator.events import Event

# Nothing is put right after the game, so that its last moment is its truth.
_QUIET_END_S = 240.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in the order of plays, and what the feed says there from when on.

    ``versions`` are (moment, event) with the moments rising, in seconds since the epoch; None where
    the play is not, or no longer, there. ``detailed_at`` is when its shot gets place and style.
    ``number`` is the actionNumber, ``order`` the orderNumber; ``index`` that of the true event in
    the game, -1 for a play that never was.
    """

    number: int
    order: int
    index: int
    versions: tuple[tuple[float, Event | None], ...]
    detailed_at: float


@dataclass(frozen=True, slots=True)
class _Draft:
    """A slot before it has its numbers."""

    index: int
    event: Event
    versions: tuple[tuple[float, Event | None], ...]
    late: bool = False


def publish(events: list[Event], tip: float, rng: random.Random) -> list[Slot]:
    """Decide when each event appears, which ones wrongly, and when that is put right.

    Every game has a shot scored with the wrong points, a free throw with the wrong result, a play
    that comes late and one that never was, at least; moments are whole seconds. In order of play.
    """
    moments = _moments(events, tip, rng)
    drafts = [
        _Draft(index, event, ((moment, event),))
        for index, (event, moment) in enumerate(zip(events, moments, strict=True))
    ]
    last = moments[-1]
    taken: set[int] = set()
    for pick, change in (
        (_wrong_points, _misread),
        (_wrong_throw, _misread),
        (_may_come_late, _delay),
        (_may_come_late, _delay),
        (_wrong_points, _misread),
        (_wrong_throw, _delay),
    ):
        wanted = [
            draft.index
            for draft in drafts
            if draft.index not in taken
            and pick(draft.event)
            and draft.versions[0][0] < last - _QUIET_END_S
        ]
        if wanted:
            index = rng.choice(wanted)
            taken.add(index)
            drafts[index] = change(drafts[index], rng)
    _invent(drafts, last, rng)
    return _number(drafts, rng)


def _moments(events: list[Event], tip: float, rng: random.Random) -> list[float]:
    """When each event is published: a few seconds after it happened, never before the last one."""
    moments: list[float] = []
    last = 0.0
    lag = 2.0
    previous = -1.0
    for event in events:
        if event.wall != previous:
            lag = rng.uniform(1.0, 4.5)
            previous = event.wall
        last = max(last, float(int(tip + event.wall + lag) + 1))
        moments.append(last)
    return moments


def _wrong_points(event: Event) -> bool:
    return bool(event.made) and event.kind in ("2pt", "3pt") and event.sub == "Jump Shot"


def _wrong_throw(event: Event) -> bool:
    # Not the last of its set: no rebound then hangs on its result.
    return event.kind == "freethrow" and event.sub in ("1 of 2", "1 of 3", "2 of 3")


def _may_come_late(event: Event) -> bool:
    return event.kind in ("rebound", "steal", "block", "foul", "stoppage")


def _misread(draft: _Draft, rng: random.Random) -> _Draft:
    """Publish it wrongly, then right."""
    right = draft.event
    if right.kind == "freethrow":
        wrong = replace(right, made=not right.made)
    else:
        wrong = replace(right, kind="2pt" if right.kind == "3pt" else "3pt")
    at = draft.versions[0][0]
    fixed = at + rng.randrange(15, 100)
    return replace(draft, versions=((at, wrong), (fixed, right)))


def _delay(draft: _Draft, rng: random.Random) -> _Draft:
    """Publish it late, in its place among plays that came before it."""
    at = draft.versions[0][0] + rng.randrange(20, 110)
    return replace(draft, versions=((at, draft.event),), late=True)


def _invent(drafts: list[_Draft], last: float, rng: random.Random) -> None:
    """Put in plays that never were, taken back later."""
    hosts: list[Callable[[Event], Event | None]] = [_phantom_foul, _phantom_basket]
    for make in hosts:
        places = [
            place
            for place, draft in enumerate(drafts)
            if draft.versions[0][0] < last - _QUIET_END_S and make(draft.event) is not None
        ]
        if not places:
            continue
        place = rng.choice(places)
        phantom = make(drafts[place].event)
        assert phantom is not None
        at = drafts[place].versions[0][0]
        gone = at + rng.randrange(10, 80)
        drafts.insert(place + 1, _Draft(-1, phantom, ((at, phantom), (gone, None))))


def _phantom_foul(event: Event) -> Event | None:
    if event.kind != "rebound" or not event.person or event.side is None:
        return None
    return replace(
        event, kind="foul", sub="personal", descriptor="loose ball", linked=-1, qualifiers=()
    )


def _phantom_basket(event: Event) -> Event | None:
    """A tip-in counted at first, then waved off."""
    if event.kind != "rebound" or event.sub != "offensive" or not event.person:
        return None
    return replace(
        event,
        kind="2pt",
        sub="Layup",
        made=True,
        descriptor="tip",
        qualifiers=("pointsinthepaint", "2ndchance"),
        place=(1.5, 10.0),
        linked=-1,
    )


def _number(drafts: list[_Draft], rng: random.Random) -> list[Slot]:
    """Number the plays as they come in; those that come late squeeze in between by their order."""
    numbers: dict[int, int] = {}
    number = 1
    for place in sorted(range(len(drafts)), key=lambda place: drafts[place].versions[0][0]):
        number += 1 if rng.random() < 0.84 else rng.randrange(2, 4)  # as the real ones have gaps
        numbers[place] = number
    slots: list[Slot] = []
    order = 0
    for place, draft in enumerate(drafts):
        order = order + 1000 if draft.late else max(numbers[place] * 10_000, order + 1000)
        shot = draft.event.kind in ("2pt", "3pt")
        detailed = draft.versions[0][0]
        if shot and rng.random() < 0.12:
            detailed += rng.randrange(5, 13)
        slots.append(Slot(numbers[place], order, draft.index, draft.versions, detailed))
    return slots
