"""What ``nbad watch`` asks the daemon of a game that is open: past plays, and its leaders."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import trio

from nbad.cli.render import where

# As often as a box score is worth asking for; the daemon itself asks the feed no sooner.
EVERY_S = 5.0
_LOOK_S = 0.2
_KINDS = ("points", "rebounds", "assists")
_NONE = "-"


def leaders(box: dict[str, Any]) -> list[str]:
    """A line each for points, rebounds and assists, the away side's leader first, in 60 columns.

    None for a kind of which the box score says nothing.
    """
    lines = []
    for kind in _KINDS:
        best = [_best(box[side], kind) for side in ("away", "home")]
        if any(best):
            cells = (f"{box[side]['tricode']} {text or _NONE:19}" for side, text in
                     zip(("away", "home"), best, strict=True))  # fmt: skip
            lines.append(f"{kind:9} {' '.join(cells)}".rstrip())
    return lines


def _best(side: dict[str, Any], kind: str) -> str:
    known = [(player["numbers"][kind], player["name"]) for player in side["players"]
             if player["numbers"][kind]]  # fmt: skip
    if not known:
        return ""
    most, name = max(known, key=lambda found: found[0])
    return f"{name[:15]} {most}"


def past_plays(answer: dict[str, Any]) -> list[str]:
    """A line for each play of ``/v1/games/ID/plays``, the oldest first."""
    plays = (dict(zip(answer["columns"], row, strict=True)) for row in answer["plays"])
    return [
        play_line(where("live", play["period"], play["clock_s"], None), play["away"], play["home"],
                  play["description"])
        for play in plays if play["description"]
    ]  # fmt: skip


def play_line(stands: str, away: int, home: int, description: str) -> str:
    """A play: where the game stood, the score after it, and what happened."""
    return f"{stands:9} {away:3} {home:3}  {description}"


async def keep_opened(
    page: str,
    opened: Callable[[], str | None],
    show_plays: Callable[[str, list[str]], None],
    show_leaders: Callable[[str, list[str]], None],
) -> None:
    """While ``opened`` names a game, ask for its past plays, once, and again and again for its box
    score, and show what comes.

    ``page`` is the daemon's HTTP address, with a query where a token is needed.
    """
    address = urlsplit(page)._replace(fragment="")
    asked, at = None, -math.inf
    async with httpx.AsyncClient(timeout=2 * EVERY_S) as client:

        async def get(path: str) -> dict[str, Any] | None:
            try:
                answer = await client.get(address._replace(path=path).geturl())
                found: dict[str, Any] | None = answer.json() if answer.is_success else None
            except (httpx.HTTPError, httpx.InvalidURL, ValueError):
                return None  # the stream says how the daemon is; the game is shown without
            return found

        while True:
            game_id = opened()
            if game_id is None or (game_id == asked and trio.current_time() < at + EVERY_S):
                await trio.sleep(_LOOK_S)
                continue
            path = f"/v1/games/{game_id}"
            if game_id != asked and (plays := await get(f"{path}/plays")):
                show_plays(game_id, past_plays(plays))
            asked, at = game_id, trio.current_time()
            if box := await get(f"{path}/boxscore"):
                show_leaders(game_id, leaders(box))
