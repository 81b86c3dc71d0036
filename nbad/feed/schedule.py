"""``scheduleLeagueV2.json`` → :class:`~nbad.domain.Schedule`."""

from __future__ import annotations

import sys
from typing import Any

import orjson
import trio

from nbad.domain import Result, Schedule
from nbad.feed.decode import (
    MOST_POINTS,
    BadData,
    document,
    field,
    game_id,
    integer,
    items,
)
from nbad.feed.times import utc
from nbad.pattern.game_ids import counts

# A season's document is ten megabytes, which takes a tenth of a second to read: too long for the
# loop, and a thread would hold the interpreter just as long.
_INLINE_BYTES = 200_000
# Thirty teams of 82 games, preseason and playoffs, and as much again.
MOST_GAMES = 5_000


async def read_schedule(body: bytes) -> Schedule:
    """Read the season without holding up the loop: a large document in a process of its own.

    Raises :class:`~nbad.feed.decode.BadData` where it is none. Cancelled, the process is ended.
    """
    if len(body) <= _INLINE_BYTES:
        return parse_schedule(body)
    command = [sys.executable, "-P", "-m", "nbad.feed.schedule"]
    try:
        done = await trio.run_process(
            command, stdin=body, capture_stdout=True, capture_stderr=True, check=False
        )
    except OSError as error:
        raise BadData(f"expected a process to read the schedule in, was: {error}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadData(said[-1][:300] if said else f"its reader ended with {done.returncode}")
    results, tip_offs = orjson.loads(done.stdout)
    return Schedule(tuple(Result(*result) for result in results), tuple(tip_offs))


def main() -> int:
    """Read a schedule on standard input; write its results and tip-offs as JSON."""
    try:
        schedule = parse_schedule(sys.stdin.buffer.read())
    except BadData as error:
        sys.stderr.write(f"{error}\n")
        return 1
    results = [
        [r.game_id, r.start_utc, r.home_id, r.away_id, r.home_score, r.away_score]
        for r in schedule.results
    ]
    sys.stdout.buffer.write(orjson.dumps([results, schedule.tip_offs]))
    return 0


def parse_schedule(body: bytes) -> Schedule:
    """Read the season; a broken entry is passed over, a broken document is ``BadData``."""
    results, tip_offs = [], []
    listed = [
        game
        for date in items(document(body, "a schedule", "leagueSchedule"), "gameDates")
        if isinstance(date, dict) and isinstance(date.get("games"), list)
        for game in date["games"]
    ]
    if len(listed) > MOST_GAMES:
        raise BadData(f"gameDates: expected at most {MOST_GAMES} games, were {len(listed)}")
    for game in listed:
        try:
            start = utc(game, "gameDateTimeUTC")
            if integer(game, "gameStatus") == 1:
                tip_offs.append(start)
            elif (result := _result(game, start)) is not None:
                results.append(result)
        except BadData:
            continue  # to-be-determined playoff games have holes; the ratings do without
    results.sort(key=lambda result: (result.start_utc, result.game_id))
    return Schedule(tuple(results), tuple(sorted(tip_offs)))


def _result(game: Any, start: str) -> Result | None:
    home, away = field(game, "homeTeam"), field(game, "awayTeam")
    scores = integer(home, "score", MOST_POINTS), integer(away, "score", MOST_POINTS)
    identity = game_id(game)
    if integer(game, "gameStatus") != 3 or 0 in scores or not counts(identity):
        return None
    return Result(identity, start, integer(home, "teamId"), integer(away, "teamId"), *scores)


if __name__ == "__main__":
    sys.exit(main())
