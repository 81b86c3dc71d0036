"""Random nights in which the three documents of a game lag, stand still, vanish, alternate between
two edges, are corrected and cut: every law of TRUTH.md holds at every message.

The oracle knows the game as it was, moment by moment, and the laws; nothing of the judge.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import orjson
from feed_kit import EPOCH, ONE, action, entry, plays_of
from hypothesis import given
from hypothesis import strategies as st
from laws_kit import examples

from nbad.domain import Update
from nbad.model.forecaster import Forecaster
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.stages.envelopes import BOX, Document, Fetched
from nbad.stages.parser import GameTracker
from nbad.stages.patterns import PatternTracker
from nbad.stages.predictor import SeriesTracker

RUNTIME = Runtime(Config(), Forecaster.load())
RANK = {"scheduled": 0, "postponed": 0, "live": 1, "halftime": 1, "final": 2}
GAME_S = 48 * 60


@dataclass
class Moment:
    """What really was at one second: the board's line, and the plays, each as the feed says it."""

    board: Any
    plays: list[Any]
    score: tuple[int, int]
    final: bool


def play_game(random_: random.Random) -> list[Moment]:
    """A game in fast motion: a play a second, some corrected or taken back later."""
    home = away = 0
    actions: list[Any] = []
    moments = []
    number = 0
    period, left = 1, 720.0
    while True:
        number += 1
        left -= random_.uniform(5, 60)
        if left <= 0:
            left = 0.0
        points = random_.choice([0, 0, 2, 2, 3, 1])
        if random_.random() < 0.5:
            home += points
        else:
            away += points
        actions.append(action(number, home, away, period=period, clock=left))
        if random_.random() < 0.03 and len(actions) > 3:  # a basket is scored otherwise: edited
            at = random_.randrange(len(actions) - 3, len(actions))
            change = random_.choice([-1, 1])
            if int(actions[at]["scoreHome"]) + change >= 0:
                home += change
                for place in range(at, len(actions)):
                    score = int(actions[place]["scoreHome"]) + change
                    edited = action(number, 0, 0)["edited"]
                    actions[place] = actions[place] | {
                        "scoreHome": str(max(score, 0)),
                        "edited": edited,
                    }
                home = int(actions[-1]["scoreHome"])
        over = left == 0 and period >= 4 and home != away
        if over:
            actions.append(
                action(number, home, away, period=period, clock=0.0, kind="game", subkind="end")
                | {"actionNumber": 100_000, "orderNumber": 10**10}
            )
        clock = f"PT{int(left // 60):02}M{left % 60:05.2f}S"
        board = entry(ONE, 3 if over else 2, "" if over else clock, score=(home, away))
        moments.append(Moment(board | {"period": period}, list(actions), (home, away), over))
        if over:
            return moments
        if left == 0:  # the clock is still at the end, then it is half-time, or the next period's
            half = {"gameStatusText": "Half"} if period == 2 else {"period": period + 1}
            board |= {"period": period} | half
            moments.append(Moment(board, list(actions), (home, away), over))
        if left == 0:
            period, left = period + 1, 720.0 if period < 4 else 300.0


@dataclass
class Feed:
    """One document's way to us: behind by ``lag`` moments, and with its faults."""

    lag: int
    faults: frozenset[str]
    random_: random.Random
    frozen_at: int | None = None
    thaw_at: int = -1
    last: int = 0

    def at(self, now: int, end: int) -> int | None:
        """Which moment it shows at ``now``; None where it shows nothing."""
        shown = max(min(now - self.lag, end), 0)
        stops = "stand still" in self.faults and now > self.thaw_at
        if stops and self.random_.random() < 0.05:
            self.frozen_at, self.thaw_at = shown, now + self.random_.randrange(3, 60)
        if self.frozen_at is not None and now <= self.thaw_at:
            shown = self.frozen_at
        if "alternate" in self.faults and self.random_.random() < 0.4:
            shown = max(0, shown - self.random_.randrange(1, 6))
        if "vanish" in self.faults and self.random_.random() < 0.2:
            return None
        self.last = shown
        return shown


@dataclass
class Watcher:
    """A subscriber who holds every message to the laws."""

    told: Update | None = None
    messages: int = 0
    wins: list[float] = field(default_factory=list)

    def see(self, update: Update, home_win: float | None, states: set[tuple[Any, ...]]) -> None:
        entry_ = update.entry
        self.messages += 1
        # 1: one source a message: it is a state that one of the documents has shown.
        assert (entry_.home_score, entry_.away_score) in {state[-2:] for state in states}
        if entry_.status == "final":
            assert (2, entry_.home_score, entry_.away_score) in {
                (state[0], *state[-2:]) for state in states
            }, "the final's score is one that a document called final"
            assert entry_.home_score != entry_.away_score
            # 6: certain, as it is over
            assert home_win == float(entry_.home_score > entry_.away_score)
        else:
            assert home_win is None or 0 < home_win < 1
        # 3: never back in silence
        if self.told is not None and not update.corrected:
            before = self.told.entry
            was = RANK[before.status], before.period, -before.clock_s
            now = RANK[entry_.status], entry_.period, -entry_.clock_s
            assert now >= was, (before, entry_)
            assert entry_.home_score >= before.home_score, (before, entry_)
            assert entry_.away_score >= before.away_score, (before, entry_)
            if before.status == entry_.status == "final":
                assert before[-2:] == entry_[-2:]
        # 4: `scheduled` is never told of a game that has plays or points
        assert entry_.status != "scheduled" or not (entry_.home_score + entry_.away_score)
        self.told = update


def cut(body: bytes, random_: random.Random) -> bytes:
    return body[: random_.randrange(1, len(body))]


FAULTS = st.frozensets(st.sampled_from(["alternate", "stand still", "vanish", "cut"]))


@examples(20)
@given(
    st.integers(0, 2**32), st.tuples(FAULTS, FAULTS, FAULTS),
    st.tuples(*[st.integers(0, 40)] * 3), st.integers(1, 4),
)  # fmt: skip
def test_every_law_holds_at_every_message(
    seed: int,
    faults: tuple[frozenset[str], frozenset[str], frozenset[str]],
    lags: tuple[int, int, int],
    step_s: int,
) -> None:
    board_lag, plays_lag, box_lag = lags
    random_ = random.Random(seed)
    moments = play_game(random_)
    end = len(moments) - 1
    board = Feed(board_lag, faults[0], random_)
    plays = Feed(plays_lag, faults[1], random_)
    box = Feed(box_lag, faults[2], random_)
    tracker, patterns, series = GameTracker(), PatternTracker(), SeriesTracker()
    watcher, states = Watcher(), set[tuple[Any, ...]]()
    until = end + 45 + max(board_lag, plays_lag)
    # From `until` on board and plays are whole and up to date: for so long that all is accepted.
    for now in range(0, until + 130, step_s):
        if now >= until:
            board, plays = Feed(0, frozenset(), random_), Feed(0, frozenset(), random_)
        documents = []
        at = board.at(now, end)
        if at is not None:
            body = orjson.dumps({"scoreboard": {"games": [moments[at].board]}})
            if "cut" in board.faults and random_.random() < 0.1:
                body = cut(body, random_)
            shown = moments[at].board
            status = {2: 1, 3: 2}[shown["gameStatus"]]
            states.add((status, shown["homeTeam"]["score"], shown["awayTeam"]["score"]))
            documents.append(Document("", body, float(now)))
        at = plays.at(now, end)
        if at is not None:
            body = plays_of(ONE, moments[at].plays)
            if "cut" in plays.faults and random_.random() < 0.1:
                body = cut(body, random_)
            states.add((2 if moments[at].final else 1, *moments[at].score))
            documents.append(Document(ONE, body, float(now)))
        at = box.at(now, end)
        if at is not None:
            body = orjson.dumps({"game": moments[at].board})
            if "cut" in box.faults and random_.random() < 0.1:
                body = cut(body, random_)
            shown = moments[at].board
            states.add((1, shown["homeTeam"]["score"], shown["awayTeam"]["score"]))
            documents.append(Document(BOX + ONE, body, float(now)))
        tick = Tick(now, float(now), RUNTIME)
        updates, _ = tracker.take(Fetched(tick, float(now), float(now), tuple(documents)))
        folded, failed = patterns.fold(updates)
        made, unmade = series.forecast(folded)
        assert not failed
        assert not unmade
        for game in made.games:
            home_win = game.forecast.home_win if game.forecast else None
            watcher.see(game.update, home_win, states)
            assert game.grid[-1] == game.update.entry.home_score - game.update.entry.away_score
    # 5: and at the end the league's own score, whatever happened on the way.
    assert watcher.told is not None
    told = watcher.told.entry
    assert (told.status, told.home_score, told.away_score) == ("final", *moments[end].score)
    # 9: one that was started now tells the same.
    late = GameTracker()
    body = orjson.dumps({"scoreboard": {"games": [moments[end].board]}})
    documents = [Document("", body, 0.0), Document(ONE, plays_of(ONE, moments[end].plays), 0.0)]
    fresh, _ = late.take(Fetched(Tick(1, 0.0, RUNTIME), 0.0, 0.0, tuple(documents)))
    assert fresh.games[0].entry == told
    assert fresh.games[0].plays == watcher.told.plays


# -- 9: two daemons ------------------------------------------------------------------------


def odd_board(board: Any, random_: random.Random) -> Any:
    """The board's entry, in one of two cases with something that is wrong or missing."""
    home, away = board["homeTeam"], board["awayTeam"]
    swapped = {
        "homeTeam": home | {"score": away["score"]}, "awayTeam": away | {"score": home["score"]}
    }  # fmt: skip
    odd = [
        {"gameStatus": 1}, {"gameStatus": 3}, {"gameStatusText": "PPD"}, {"gameTimeUTC": None},
        {"gameClock": ""}, {"gameClock": "PT00M01.00S"}, {"period": None},
        {"period": board["period"] + 1}, {"homeTeam": home | {"score": None}},
        {"homeTeam": home | {"score": 0}}, {"homeTeam": home | {"teamId": 3}}, swapped,
    ]  # fmt: skip
    return board | (random_.choice(odd) if random_.random() < 0.5 else {})


def odd_plays(plays: list[Any], random_: random.Random) -> list[Any]:
    """The plays, in one of two cases with something that is wrong or missing."""
    at, last = random_.randrange(len(plays)), plays[-1]
    score = {"scoreHome": last["scoreHome"], "scoreAway": last["scoreAway"]}
    end = action(90_000, 0, 0, period=last["period"], clock=0.0, kind="game", subkind="end")
    late = plays[0] | {"actionNumber": 90_000, "orderNumber": 10**9}
    edit = {"scoreHome": str(int(plays[at]["scoreHome"]) + 1), "edited": "2026-01-15T05:00:00.0Z"}
    odd = [
        [], plays[:-1], plays[::-1], plays[:at] + plays[at + 1 :],
        [*plays, end | score], [*plays, late | score],
        *([*plays[:at], plays[at] | change, *plays[at + 1 :]]
          for change in (edit, {"scoreHome": "0"}, {"period": None}, {"clock": ""})),
    ]  # fmt: skip
    return random_.choice(odd) if random_.random() < 0.5 else plays


class Daemon:
    """Everything that decides what is told, and what it told last."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stages = GameTracker(), PatternTracker(), SeriesTracker()
        self.told: Any = None

    def hear(self, documents: list[Document], after: float) -> None:
        tracker, patterns, series = self.stages
        self.now += after
        tick = Tick(1, self.now, RUNTIME)
        updates, _ = tracker.take(Fetched(tick, self.now, self.now, tuple(documents)))
        folded, failed = patterns.fold(updates)
        made, unmade = series.forecast(folded)
        assert not failed
        assert not unmade
        for game in made.games:
            entry_ = game.update.entry
            self.told = entry_, game.update.plays, game.grid, game.forecast, game.series


@examples(25)
@given(st.integers(0, 2**32))
def test_after_any_trouble_a_daemon_that_starts_tells_the_same(seed: int) -> None:
    random_ = random.Random(seed)
    moments = play_game(random_)

    def documents(at: int) -> tuple[Any, list[Document]]:
        board, plays, box = (moments[max(0, at - random_.choice((0, 0, 1, 5)))] for _ in "bpx")
        listed = odd_board(board.board, random_)
        said = odd_plays(plays.plays, random_)
        body = orjson.dumps({"scoreboard": {"games": [listed]}})
        boxed = orjson.dumps({"game": odd_board(box.board, random_)})
        return listed, [
            Document("", body, EPOCH), Document(ONE, plays_of(ONE, said), 0.0),
            Document(BOX + ONE, boxed, 0.0),
        ]  # fmt: skip

    old, at = Daemon(), random_.randrange(len(moments))
    for _ in range(random_.randrange(1, 12)):
        at = min(len(moments) - 1, max(0, at + random_.randrange(-3, 12)))
        _, all_ = documents(at)
        old.hear(random_.sample(all_, random_.randrange(4)), random_.choice((1, 1, 2, 5, 20, 40)))
    listed, all_ = documents(at)
    # What is unknown now may be known from before, as whether 0:00 is that of the period before;
    # and plays that went on since the board broke the game off are seen by who was there.
    scores = listed["homeTeam"]["score"], listed["awayTeam"]["score"]
    clocked = listed["gameClock"] not in ("", "PT00M00.00S")
    timed = listed["period"] and (clocked or listed["gameStatus"] == 3)
    if not timed or None in scores or "gameStatusText" in listed:
        return
    new = Daemon()
    for daemon in (old, new):
        for round_ in range(20):  # longer than anything is pending
            daemon.hear([Document("", None, 0.0), *all_[1:]] if round_ % 4 else all_, 5.0)
    assert old.told == new.told
    if listed["gameStatus"] == 3 and scores[0] != scores[1]:  # 5
        assert (old.told[0].status, *old.told[0][-2:]) == ("final", *scores)


# -- What a board says again ---------------------------------------------------------------


@examples(60)
@given(st.integers(0, 2**32))
def test_a_board_that_says_a_game_again_is_as_good_as_one_that_is_judged_anew(seed: int) -> None:
    """Whatever the documents say, and in any order: both trackers tell the same at every tick."""
    random_ = random.Random(seed)
    moments = play_game(random_)
    trackers = GameTracker(), GameTracker()
    said: list[Document] = []
    at, now = random_.randrange(len(moments)), 0.0
    for _ in range(40):
        at = min(len(moments) - 1, max(0, at + random_.choice((-3, 0, 0, 1, 2, 9))))
        board = orjson.dumps({"scoreboard": {"games": [odd_board(moments[at].board, random_)]}})
        box = orjson.dumps({"game": odd_board(moments[at].board, random_)})
        plays = plays_of(ONE, odd_plays(moments[at].plays, random_))
        bodies = {"": board, ONE: plays, BOX + ONE: box}
        new = [Document(place, body, EPOCH + now) for place, body in bodies.items()]
        said = random_.sample(new, random_.choice((0, 1, 1, 2, 3))) or said
        # As they are, or the board alone once more, of a later date.
        again = [d._replace(modified=EPOCH + now) for d in said if not d.place]
        documents = tuple(random_.choice((said, again)))
        now += random_.choice((1.0, 1.0, 5.0, 20.0, 40.0))
        told = []
        for tracker in trackers:
            fetched = Fetched(Tick(1, now, RUNTIME), now, EPOCH + now, documents)
            updates, problems = tracker.take(fetched)
            for game in trackers[1]._games.values():
                game._heard = None  # the second one has heard nothing yet
            told.append((updates.games, updates.dropped, problems, tracker.tracked()))
        assert told[0] == told[1]
