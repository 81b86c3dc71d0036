"""From what happened to what the feed shows: the list of changes, moment by moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from nbad.simulator.corrections import Slot
from nbad.simulator.events import Event
from nbad.simulator.game_info import Action, GameInfo, utc_text
from nbad.simulator.writer import Writer

_DETAILS = ("x", "y", "side", "xLegacy", "yLegacy")


@dataclass(frozen=True, slots=True)
class Change:
    """From ``at`` on, the action of that number is this one, or none. Actions are never mutated."""

    at: float
    number: int
    action: Action | None


def changes_of(info: GameInfo, tip: float, slots: list[Slot]) -> tuple[Change, ...]:
    """What the feed changes, in order of time; ``slots`` are in order of play.

    At every moment the scores and totals of all plays shown are those of the plays shown before
    them: a play put right, in or out late changes those after it too.
    """
    shown = _Shown(info, tip, slots)
    updates: list[tuple[float, int, Event | Slot | None]] = []
    for place, slot in enumerate(slots):
        updates += ((at, place, event) for at, event in slot.versions)
        if slot.detailed_at > slot.versions[0][0]:
            updates.append((slot.detailed_at, place, slot))
    updates.sort(key=lambda update: update[:2])
    changes: list[Change] = []
    for at, group in groupby(updates, key=lambda update: update[0]):
        changes.extend(shown.step(at, [(place, what) for _, place, what in group]))
    return tuple(changes)


class _Shown:
    """What the feed shows while time goes by."""

    def __init__(self, info: GameInfo, tip: float, slots: list[Slot]) -> None:
        self._info = info
        self._tip = tip
        self._slots = slots
        self._numbers = {slot.index: slot.number for slot in slots if slot.index >= 0}
        self._events: dict[int, Event] = {}  # by place
        self._actions: dict[int, Action] = {}  # by place, as shown
        self._whole: dict[int, Action] = {}  # by place, with details yet to be shown
        self._writer = Writer(info, tip)
        self._end = -1  # the last place that the writer wrote

    def step(self, at: float, updates: list[tuple[int, Event | Slot | None]]) -> Iterator[Change]:
        """Apply what happens at one moment and give what changes."""
        again = False
        fresh: list[int] = []
        touched: list[int] = []
        for place, what in updates:
            if isinstance(what, Slot):
                touched.append(place)
            elif what is None:
                del self._events[place]
                again = True
            else:
                again = again or place <= self._end
                self._events[place] = what
                fresh.append(place)
        if again:
            yield from self._rewrite(at)
            return
        for place in fresh:
            action = self._show(at, place, self._write(at, place))
            yield Change(at, self._slots[place].number, action)
        for place in touched:
            if place in self._whole:
                self._actions[place] = self._whole.pop(place) | {"edited": utc_text(at)}
                yield Change(at, self._slots[place].number, self._actions[place])

    def _write(self, at: float, place: int) -> Action:
        slot = self._slots[place]
        event = self._events[place]
        self._end = place
        return self._writer.write(
            event, slot.number, slot.order, at, self._numbers.get(event.linked, 0)
        )

    def _show(self, at: float, place: int, action: Action) -> Action:
        slot = self._slots[place]
        if at < slot.detailed_at:
            self._whole[place] = action
            action = {key: value for key, value in action.items() if key != "shotDistance"}
            action |= dict.fromkeys(_DETAILS)
        self._actions[place] = action
        return action

    def _rewrite(self, at: float) -> Iterator[Change]:
        """Write everything anew and give what differs from what was shown."""
        before = self._actions
        self._actions = {}
        self._whole = {}
        self._writer = Writer(self._info, self._tip)
        self._end = -1
        for place in sorted(self._events):
            action = self._show(at, place, self._write(at, place))
            old = before.get(place)
            if old is not None and old | {"edited": ""} == action | {"edited": ""}:
                self._actions[place] = old
            else:
                action["edited"] = utc_text(at)
                yield Change(at, self._slots[place].number, action)
        for place in before.keys() - self._events.keys():
            yield Change(at, self._slots[place].number, None)
