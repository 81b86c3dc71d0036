"""A game in words, for the previews of shared links."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from nbad.pattern.clock import period_name


def stands(game: dict[str, Any]) -> str:
    """Where a game stands, as people say it; a tip-off in UTC: nobody knows where it is read."""
    status, period = game["status"], game["period"]
    if status == "live":
        clock = game["clock_s"]
        if not clock:
            return f"End {period_name(period)}"
        tenths = clock < 60 and clock % 1
        time = f"{clock:.1f}" if tenths else f"{int(clock) // 60}:{int(clock) % 60:02}"
        return f"{period_name(period)} {time}"
    if status == "final":
        return "Final" if period <= 4 else f"Final/{period_name(period)}"
    if status == "scheduled" and game["start_utc"]:
        with suppress(ValueError, OverflowError):  # no time, in another's log or file
            start = datetime.fromisoformat(game["start_utc"]).astimezone(UTC)
            return f"{start:%Y-%m-%d %H:%M} UTC"
    return str(status).capitalize()


def odds(home_win: float) -> tuple[str, str]:
    """Both sides' chances in a game that is not over, away and home: they make 100, and are never
    0 or 100 %."""
    if home_win >= 0.995:
        return "<1%", ">99%"
    if home_win < 0.005:
        return ">99%", "<1%"
    home = round(home_win * 100)
    return f"{100 - home}%", f"{home}%"


def game_in_words(game: dict[str, Any]) -> tuple[str, str]:
    """A title and a line on a game: what a message with a link to it shows."""
    home, away, forecast = game["home"], game["away"], game["forecast"]
    teams = f"{away['name']} at {home['name']}"
    if game["status"] in ("scheduled", "postponed"):
        title = f"{away['tricode']} at {home['tricode']}, {stands(game)}"
    else:
        title = f"{away['tricode']} {away['score']}–{home['score']} {home['tricode']}, "
        title += stands(game)
    if forecast is None or game["status"] == "final":
        return title, teams
    chances = dict(zip((away["name"], home["name"]), odds(forecast["home_win"]), strict=True))
    favourite = home["name"] if forecast["home_win"] >= 0.5 else away["name"]
    return title, f"{teams}. {favourite}: {chances[favourite]} to win."
