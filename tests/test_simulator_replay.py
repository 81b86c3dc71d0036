"""A recorded game, told again: by the record's own times, in the record's own words."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from nbad.simulator import GamesNight, replay_game
from nbad.simulator.game_info import moment_of

LIVE = Path(__file__).parent.parent.parent / "shared" / "data" / "live"
GAME = "0022000001"

pytestmark = pytest.mark.skipif(not LIVE.exists(), reason="needs ../shared/data/live")


@cache
def record(what: str) -> bytes:
    return (LIVE / f"{what}_{GAME}.json").read_bytes()


@cache
def replay() -> GamesNight:
    return replay_game(record("playbyplay"), record("boxscore"))


def recorded() -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = orjson.loads(record("playbyplay"))["game"]["actions"]
    return actions


def shown(t: float) -> list[dict[str, Any]]:
    resource = replay().play_by_play(GAME, t)
    assert resource is not None
    actions: list[dict[str, Any]] = orjson.loads(resource.body)["game"]["actions"]
    return actions


def entry(t: float) -> dict[str, Any]:
    game: dict[str, Any] = orjson.loads(replay().scoreboard(t).body)["scoreboard"]["games"][0]
    return game


def test_in_the_end_it_is_the_record() -> None:
    assert shown(replay().ends_at) == recorded()
    assert replay().finals == {GAME: (125, 99)}
    last = entry(replay().ends_at)
    assert (last["gameStatus"], last["gameStatusText"]) == (3, "Final")
    assert (last["homeTeam"]["score"], last["awayTeam"]["score"]) == (125, 99)


def test_at_every_moment_it_is_the_plays_that_had_happened() -> None:
    for place, play in enumerate(recorded()[::7]):
        t = moment_of(play["timeActual"]) + (0.05 if place % 2 else 0.0)
        then = [play for play in recorded() if moment_of(play["timeActual"]) <= t]
        now = shown(t)
        assert [play["actionNumber"] for play in now] == [play["actionNumber"] for play in then]
        assert all(
            play["edited"] <= play_then["edited"] for play, play_then in zip(now, then, strict=True)
        )
        last = entry(t)
        assert last["homeTeam"]["score"] == int(then[-1]["scoreHome"])
        assert last["awayTeam"]["score"] == int(then[-1]["scoreAway"])


def test_an_edit_shows_when_it_was_made() -> None:
    play = max(
        recorded(), key=lambda play: moment_of(play["edited"]) - moment_of(play["timeActual"])
    )
    edited = moment_of(play["edited"])
    before, after = (
        next(shown for shown in shown(t) if shown["actionNumber"] == play["actionNumber"])
        for t in (edited - 1, edited)
    )
    assert after == play
    assert moment_of(before["edited"]) <= moment_of(play["timeActual"])


def test_before_tip_off_there_is_only_the_scoreboard() -> None:
    start = replay().starts_at
    assert replay().play_by_play(GAME, start) is None
    assert entry(start)["gameStatusText"] == "7:00 pm ET"
    assert entry(start)["gameStatus"] == 1


def test_the_box_score_that_is_counted_is_the_one_that_was_published() -> None:
    resource = replay().box_score(GAME, replay().ends_at)
    assert resource is not None
    ours, real = (orjson.loads(body)["game"] for body in (resource.body, record("boxscore")))
    assert ours.keys() == real.keys()
    # Who is substituted during free throws still counts for them: the plays do not say so.
    unknown = {"plus", "minus", "plusMinusPoints", "minutesCalculated"}
    for side in ("homeTeam", "awayTeam"):
        assert ours[side]["periods"] == real[side]["periods"]
        assert ours[side]["statistics"].keys() == real[side]["statistics"].keys()
        for mine, theirs in zip(ours[side]["players"], real[side]["players"], strict=True):
            assert mine["personId"] == theirs["personId"]
            assert mine["statistics"].keys() == theirs["statistics"].keys()
            for name, value in theirs["statistics"].items():
                if name not in unknown:
                    assert mine["statistics"][name] == pytest.approx(value, abs=1e-9), name
        for name, value in real[side]["statistics"].items():
            if not name.startswith("biggestScoringRun"):
                close = value if isinstance(value, str) else pytest.approx(value, abs=1e-9)
                assert ours[side]["statistics"][name] == close, name


@pytest.mark.parametrize(
    ("plays", "box"),
    [(b"{}", b"{}"), (b"<html>", b"{}"), (b'{"game":{"gameId":"1"}}', b'{"game":{"gameId":"2"}}')],
)
def test_what_is_no_record_is_refused(plays: bytes, box: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        replay_game(plays, box)
