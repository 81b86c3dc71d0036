"""The parser never publishes an older state silently, and tells what was corrected."""

from __future__ import annotations

import orjson
import pytest

from nbad.domain import Play, Scoreboard, Update
from nbad.feed.decode import BadData
from nbad.feed.incremental import read
from nbad.feed.playbyplay import compare
from nbad.model.forecaster import Forecaster
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.simulator import simulate_night
from nbad.stages.envelopes import Fetched, Payload
from nbad.stages.parser import GameTracker

GAME = "0022500001"


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return Forecaster.load()


def action(number: int, home: int, away: int, edited: str = "") -> dict[str, object]:
    moment = f"2026-01-15T02:{number:02}:00Z"
    return {
        "actionNumber": number,
        "orderNumber": number * 10_000,
        "clock": f"PT{11 - number // 60:02}M{59 - number % 60:02}.00S",
        "period": 1,
        "actionType": "2pt",
        "scoreHome": str(home),
        "scoreAway": str(away),
        "timeActual": moment,
        "edited": edited or moment,
    }


def body(*actions: dict[str, object]) -> bytes:
    return orjson.dumps({"game": {"gameId": GAME, "actions": actions}})


def board() -> Scoreboard:
    from nbad.feed.scoreboard import parse_entry

    teams = {
        side: {"teamId": number, "teamTricode": side[:3].upper(), "score": 0}
        for number, side in enumerate(("homeTeam", "awayTeam"), 1)
    }
    entry = {"gameId": GAME, "gameStatus": 2, "period": 1, "gameTimeUTC": "2026-01-15T02:00:00Z"}
    return Scoreboard("2026-01-15", (parse_entry(entry | teams),))


class Feed:
    """A feed that says one body after another, each at its second."""

    def __init__(self, forecaster: Forecaster) -> None:
        self.book = GameTracker()
        self.force = Runtime(Config(), forecaster)
        self.now = 0.0

    def says(self, said: bytes | None, *, modified: float | None = None, after: float = 1.0):  # type: ignore[no-untyped-def]
        self.now += after
        payloads = (Payload(GAME, said, self.now, modified),) if said else ()
        shown = board() if self.now == after else None
        tick = Tick(int(self.now), self.now, self.force)
        updates, trouble = self.book.take(Fetched(tick, shown, None, self.now, payloads=payloads))
        return (updates.games[0] if updates.games else None), trouble


ONE, TWO, THREE = action(1, 2, 0), action(2, 2, 3), action(3, 4, 3)


def score(update: Update | None) -> tuple[int, int]:
    assert update is not None
    return update.entry.home_score, update.entry.away_score


def test_an_older_snapshot_is_not_published(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    assert score(feed.says(body(ONE, TWO, THREE))[0]) == (4, 3)
    update, trouble = feed.says(body(ONE, TWO))
    assert update is None
    assert "from before" in trouble[0][1]
    assert feed.says(body(ONE, TWO, THREE)) == (None, [])


def test_a_play_taken_back_is_corrected_once_it_is_believed(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says(body(ONE, TWO, THREE))
    assert feed.says(body(ONE, TWO))[0] is None
    assert feed.says(None, after=10)[0] is None
    update, _ = feed.says(None, after=30)
    assert score(update) == (2, 3)
    assert update.corrected


def test_a_newer_date_is_believed_at_once(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says(body(ONE, TWO, THREE), modified=100.0)
    assert feed.says(body(ONE, TWO), modified=99.0)[0] is None
    update, _ = feed.says(body(ONE, TWO), modified=101.0)
    assert score(update) == (2, 3)
    assert update.corrected


def test_an_edit_and_a_late_insert_are_corrections(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says(body(ONE, THREE))
    update, _ = feed.says(body(ONE, TWO, THREE))
    assert (update.corrected, update.unchanged) == (True, 1)
    later = action(1, 3, 0, "2026-01-15T02:30:00Z")
    update, _ = feed.says(body(later, TWO, THREE))
    assert (update.corrected, update.unchanged) == (True, 0)
    assert feed.says(body(later, TWO, THREE, action(4, 6, 3)))[0].corrected is False


def test_a_broken_game_is_named(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    _, trouble = feed.says(body(ONE, TWO | {"scoreHome": None}))
    assert trouble == [(GAME, "action 2: scoreHome: expected a value, was null")]


def test_plays_are_ordered_and_compared() -> None:
    plays = read(body(THREE, ONE, TWO)).plays
    assert [play.number for play in plays] == [1, 2, 3]
    assert compare(plays, plays).unchanged == 3
    assert compare(plays[:2], plays).corrected is False
    with pytest.raises(BadData, match="expected a play-by-play in JSON"):
        read(b"{")


def test_a_simulated_night_read_moment_by_moment_ends_right(forecaster: Forecaster) -> None:
    night = simulate_night(2, 3)
    for game_id, final in night.finals.items():
        known: tuple[Play, ...] = ()
        t = night.starts_at - 9_000
        while t < night.ends_at + 60:
            resource = night.play_by_play(game_id, t)
            if resource is not None:
                plays = read(resource.body).plays
                assert not compare(known, plays).older or known == plays or not known
                known = plays
            t += 97
        assert (known[-1].home, known[-1].away) == final
