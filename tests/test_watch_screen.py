"""What the screen of ``nbad watch`` shows of its messages, drawn at a size of its own."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from nbad.cli.screen import Screen, draw
from nbad.client.messages import Batch, Game, Heartbeat, Snapshot

_TIMING = dict.fromkeys(("poll", "parse", "pattern", "predict", "emit", "total"), 1.0)


def side(tricode: str, number: int, points: int) -> dict[str, Any]:
    return {"team_id": number, "tricode": tricode, "name": f"The {tricode}", "score": points}


def game(number: int, clock_s: float, score: tuple[int, int], win: float, **more: Any) -> Game:
    """A game in its fourth quarter; ``score`` is the away side's, then the home side's."""
    away, home = side(f"A{number:02}", 1, score[0]), side(f"H{number:02}", 2, score[1])
    band = {"p10": -9.0, "p50": 1.0, "p90": 11.0}
    forecast = {
        "home_win": win,
        "margin": band,
        "total": band,
        "model": "nbad-3-0",
        "basis": "both",
    }
    told = {
        "game_id": f"00225000{number:02}", "status": "live", "period": 4, "clock_s": clock_s,
        "start_utc": None, "home": home, "away": away, "differential": score[1] - score[0],
        "pattern": (), "forecast": forecast, "event": None, "corrected": False,
        "source_time": None, "received_at": "2026-01-15T02:00:00Z",
    }  # fmt: skip
    return Game.model_validate(told | more)


def screen_of(*games: Game) -> Screen:
    screen = Screen()
    screen.take(Snapshot(type="snapshot", epoch="e", seq=1, feed="ok", games=games))
    return screen


def batch(*games: Game) -> Batch:
    return Batch.model_validate(
        {
            "type": "batch",
            "epoch": "e",
            "seq": 2,
            "tick": 2,
            "messages": games,
            "timing_ms": _TIMING,
        }
    )


def drawn(screen: Screen, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(draw(screen, width, height))
    return capture.get().splitlines()


def test_a_game_in_clutch_time_comes_first_however_sure_the_forecast() -> None:
    sure = game(1, 10.0, (113, 115), 0.95)
    late = game(2, 10.0, (100, 115), 0.9999)
    open_ = game(3, 700.0, (80, 80), 0.5)
    screen = screen_of(open_, late, sure)
    assert screen.listed() == [sure, open_, late]
    screen.press("f")
    screen.press("f")
    assert screen.listed() == [sure, open_]


def test_a_play_is_listed_once_though_the_clock_runs_on() -> None:
    play = {
        "number": 7, "period": 4, "clock_s": 65.0, "kind": "rebound", "subkind": "", "team_id": 1,
        "person_id": 0, "player": None, "description": "TEAM REBOUND", "home": 99, "away": 98,
        "time": None,
    }  # fmt: skip
    screen = screen_of(game(1, 65.0, (98, 99), 0.6, event=play))
    for clock_s in (64.0, 63.0):
        screen.take(batch(game(1, clock_s, (98, 99), 0.6, event=play)))
    screen.press("\r")
    assert [row for row in drawn(screen) if "REBOUND" in row] == ["Q4  1:05   98  99  TEAM REBOUND"]


def test_what_is_over_has_no_band_and_what_does_not_fit_an_ellipsis() -> None:
    screen = screen_of(game(1, 0.0, (98, 99), 1.0, status="final"))
    screen.press("\r")
    assert "total 1 · model nbad-3-0" in drawn(screen)
    screen = screen_of(game(1, 9.0, (98, 99), 0.6))
    screen.press("\r")
    assert "total 1, four times out of five -9 to 1…" in drawn(screen, 40)


def test_the_keys_are_told_where_they_cost_no_game_its_line() -> None:
    screen = screen_of(*(game(number, 100.0, (98, 99), 0.6) for number in range(15)))
    for height, keys, games in ((24, True, 15), (21, True, 15), (20, False, 15), (11, False, 7)):
        lines = drawn(screen, 60, height)
        assert sum(" @ " in line for line in lines) == games
        assert any("q quit" in line for line in lines) is keys
        assert len([line for line in lines if line.strip()]) < height


def test_a_feed_that_is_back_with_nothing_new_is_no_longer_called_down() -> None:
    screen = screen_of(game(1, 9.0, (98, 99), 0.6))
    for feed, told in (("down", "feed down for 30 s"), ("ok", "live")):
        beat = {"type": "heartbeat", "epoch": "e", "seq": 1, "feed": feed, "feed_age_s": 30.0}
        screen.take(Heartbeat.model_validate(beat))
        assert screen.told == told
