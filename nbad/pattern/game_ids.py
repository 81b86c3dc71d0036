"""What a game's id says. Ten digits: 00 for the league, what kind of game it is, two digits of the
year in which its season begins, and a number."""

from __future__ import annotations

from collections.abc import Sequence

# The kinds whose results tell how strong a team is: regular season, playoffs, play-in, cup final.
# Not preseason (001) and not the all-star game (003).
_COUNTED = ("002", "004", "005", "006")
# The league's first, 1946-47: two digits mean a year from then on.
_FIRST_SEASON = 46


def counts(game_id: str) -> bool:
    """Whether a game's result tells how strong the two teams are."""
    return game_id.startswith(_COUNTED)


def is_playoff(game_id: str) -> bool:
    """Whether it is a game of the playoffs."""
    return game_id.startswith("004")


def season_of(game_id: str) -> int:
    """The two digits of its season."""
    return int(game_id[3:5])


def season_name(season: int) -> str:
    """``2025-26`` for the two digits 25."""
    first = season + (1900 if season >= _FIRST_SEASON else 2000)
    return f"{first}-{(first + 1) % 100:02d}"


def in_seasons(game_id: str) -> tuple[int, str]:
    """A key that puts ids in the order of their seasons, of which playoffs are part: ids alone put
    the playoffs of a season behind the next one's first games. ``ValueError`` of what is no id."""
    return (season_of(game_id) - _FIRST_SEASON) % 100, game_id


def write_runs(game_ids: Sequence[str]) -> str:
    """Ids in order as ``first-last`` of each run of consecutive ones, blanks between."""
    runs: list[list[int]] = []
    for number in map(int, game_ids):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(f"{first:010}-{last:010}" for first, last in runs)


def read_runs(text: str) -> list[range]:
    """The numbers that :func:`write_runs` wrote. ``ValueError`` where it did not."""
    ends = (map(int, run.split("-")) for run in text.split())
    return [range(first, last + 1) for first, last in ends]
