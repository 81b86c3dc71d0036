"""Who has the ball after a play."""

from __future__ import annotations

from nbad.domain import Play

# Whether the side that made the play has the ball after it (1) or the other (−1): where the play
# changed nothing in the score, and where it did. After a miss the rebound decides.
_AFTER = {
    "2pt": (1, -1), "3pt": (1, -1), "heave": (1, -1), "rebound": (1, 1), "jumpball": (1, 1),
    "turnover": (-1, -1),
}  # fmt: skip
# After any other play the ball is where it was.
DECIDE_POSSESSION = frozenset({*_AFTER, "freethrow", "period"})


def possession_after(play: Play, kind: str, side: int, scored: bool, before: int) -> int:
    """+1 where the home side has the ball after ``play``, −1 where the away side has it, else 0.

    ``side`` made the play, ``scored`` says whether it changed the score, ``before`` had the ball.
    The feed's own field names who had it *during* the play, and only one of the two forms of
    play-by-play has it: so it is read from the plays, the same in training and live.
    """
    if kind == "period":
        return 0  # who starts it shows in its first play
    if not side:
        return before
    if kind == "freethrow":
        return _after_free_throw(play, side, scored, before)
    after = _AFTER.get(kind)
    return before if after is None else side * after[scored]


def _after_free_throw(play: Play, side: int, scored: bool, before: int) -> int:
    if "echnical" in play.description:
        return before
    number, _, of = play.subkind.partition(" of ")
    last = number == of and bool(of)
    # A flagrant or clear-path foul leaves the ball to the side that was fouled.
    keeps = "lagrant" in play.description or "lear" in play.description
    return -side if last and scored and not keeps else side
