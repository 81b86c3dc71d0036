"""From the RFC 3339 times of games: their day in America, their season, and which are over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

# A game is over this long after tip-off, so that its result says the same whenever the schedule is
# read: the expectation of a game must not move while it is played.
_OVER_AFTER = timedelta(hours=4)
# A season begins in this month or later.
_FIRST_MONTH = 9


def season_at(start_utc: str) -> int | None:
    """The two digits of the season that is on at a time; None where that is unknown."""
    moment = _moment(start_utc)
    return None if moment is None else (moment.year - (moment.month < _FIRST_MONTH)) % 100


def over_by(start_utc: str) -> str:
    """The latest start of the games that are over by ``start_utc``, in the same form."""
    moment = _moment(start_utc)
    return "9999" if moment is None else (moment - _OVER_AFTER).strftime("%Y-%m-%dT%H:%M:%SZ")


def game_day(start_utc: str) -> int | None:
    """The number of the day on which a game is played, as America counts it; None if unknown."""
    moment = _moment(start_utc)
    # From noon to nearly midnight in the East is one UTC date once ten hours are taken off.
    return None if moment is None else (moment - timedelta(hours=10)).toordinal()


def _moment(start_utc: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(start_utc)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
