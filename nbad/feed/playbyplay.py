"""An action of ``playbyplay_{game_id}.json`` → a play, and what became of those known before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbad.domain import Play
from nbad.feed.decode import MOST_PERIODS, MOST_POINTS, BadData, clock_s, identity, integer, text


def parse_play(action: Any) -> Play:
    """Read one action; ``BadData`` names it where it cannot be read."""
    number = integer(action, "actionNumber")
    said = action.get
    try:
        # By place, not by name, which takes longer: in the order of Play's fields.
        return Play(
            number,
            integer(action, "orderNumber"),
            integer(action, "period", MOST_PERIODS),
            clock_s(said("clock")),
            integer(action, "scoreHome", MOST_POINTS),
            integer(action, "scoreAway", MOST_POINTS),
            text(action, "actionType"),
            str(said("subType") or ""),
            identity(action, "teamId"),
            identity(action, "possession"),
            str(said("description") or ""),
            str(said("timeActual") or ""),
            str(said("edited") or ""),
            identity(action, "personId"),
            str(said("playerNameI") or ""),
        )
    except BadData as error:
        raise BadData(f"action {number}: {error}") from None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a game's plays stand to those known before.

    ``unchanged``: how many leading plays are the same. ``corrected``: a known play was changed or
    taken back, or one was put in before the last known. ``older``: everything new about them is
    what they lack, namely the newest, as in a snapshot from before, or where the last plays were
    taken back.
    """

    unchanged: int
    corrected: bool
    older: bool


def compare(known: tuple[Play, ...], plays: tuple[Play, ...]) -> Comparison:
    """Compare the plays of a game with those known before."""
    # Most are the very same objects, which a comparison of tuples sees before it looks into them.
    if plays[: len(known)] == known:
        return Comparison(len(known), corrected=False, older=False)
    pairs = enumerate(zip(known, plays, strict=False))
    shorter = min(len(known), len(plays))
    unchanged = next((at for at, (was, now) in pairs if was is not now and was != now), shorter)
    by_number = {play.number: play for play in known}
    newest = max(play.edited for play in plays) if plays else ""
    fresh = any(
        play != by_number.get(play.number)
        and (play.number not in by_number or play.edited >= by_number[play.number].edited)
        for play in plays
    )
    lacking = by_number.keys() - {play.number for play in plays}
    older = not fresh and all(by_number[number].edited >= newest for number in lacking)
    return Comparison(unchanged, corrected=True, older=older)
