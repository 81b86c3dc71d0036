"""What the model saw in training is, bit for bit, what the daemon shows it; and nothing leaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from stream_kit import make_game

from nbad.domain import BoardEntry, Play, Result, Schedule, Status, Team, Update
from nbad.feed.incremental import read
from nbad.model.forecaster import Forecaster
from nbad.observe.timing import Tick
from nbad.pattern.features import INDEX
from nbad.pattern.history import GameHistory
from nbad.pattern.market import Line
from nbad.pattern.players import GameLines, find_starters
from nbad.pattern.rating import Expectation
from nbad.pattern.tracker import RatingsTracker
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.simulator import simulate_night
from nbad.stages.envelopes import Document, Fetched, Odds, Updates
from nbad.stages.parser import GameTracker
from nbad.stages.patterns import PatternTracker
from nbad.training.readers import read_cdn, read_games
from nbad.training.recorded import RecordedGame
from nbad.training.replay import WINDOW_S, Expected, Rows, fold_game, rate, with_market
from nbad.training.replay import replay as replay_folded
from nbad.training.results import DatedResult

DATA = Path(__file__).parents[2] / "shared" / "data"
REAL = DATA / "live" / "playbyplay_0022000001.json"
SEASON = DATA / "nbastats_2015_16_train.tar.xz"


def rated(games: list[RecordedGame]) -> Expected:
    """What was expected of each, the ratings starting from the bundled model's."""
    folded = [fold_game(game) for game in games]
    return rate(folded, base=Forecaster.load().ratings).expected


def expectations(games: list[RecordedGame]) -> list[Expectation]:
    """The same, once it is known who starts."""
    return rated(games).then


def replay(games: list[RecordedGame], lines: dict[str, Line] | None = None) -> Rows:
    folded = [fold_game(game) for game in games]
    rows = replay_folded(folded, with_market(folded, rated(games), lines or {}))
    return rows[rows.grid]


Point = tuple[float, NDArray[np.float64]]


def simulated() -> tuple[RecordedGame, list[bytes]]:
    """A simulated game, and what the feed said of it every 41 s, corrections and all."""
    night = simulate_night(1, 11)
    game_id = night.game_ids[0]
    said: list[bytes] = []
    t = night.starts_at
    while t < night.ends_at + 60:
        resource = night.play_by_play(game_id, t)
        if resource is not None and (not said or resource.body != said[-1]):
            said.append(resource.body)
        t += 41
    return read_cdn(said[-1]), said


def real() -> tuple[RecordedGame, list[bytes]]:
    """A real game, as it grew by a handful of actions at a time."""
    if not REAL.exists():
        pytest.skip("no ../shared/data")
    document = orjson.loads(REAL.read_bytes())
    actions = document["game"]["actions"]
    said = []
    for count in [*range(1, len(actions), 7), len(actions)]:
        document["game"]["actions"] = actions[:count]
        said.append(orjson.dumps(document))
    return read_cdn(said[-1]), said


def board_of(game: RecordedGame, status: int, start: str) -> bytes:
    teams = {
        side: {"teamId": number, "teamTricode": side[:3].upper(), "teamName": side, "score": 0}
        for side, number in (("homeTeam", game.home_id), ("awayTeam", game.away_id))
    }
    listed = {"gameId": game.game_id, "gameStatus": status, "period": 1, "gameTimeUTC": start}
    return orjson.dumps({"scoreboard": {"games": [listed | teams]}})


def daemon(
    game: RecordedGame, said: list[bytes], lines: dict[str, Line]
) -> Iterator[tuple[bytes, NDArray[np.float64], list[Point]]]:
    """The daemon's parser and pattern builder, which knows the market's ``lines`` from before the
    game: of each body, the row now and the series so far."""
    book, patterns = GameTracker(), PatternTracker()
    runtime = Runtime(Config(), Forecaster.load())
    start = next(play.actual for play in read(said[-1]).plays if play.actual)
    to_come, _ = book.take(
        Fetched(Tick(0, 0.0, runtime), documents=(Document("", board_of(game, 1, start), 0.0),))
    )
    patterns.fold(replace(to_come, odds=Odds(lines, 0.0)))
    board = board_of(game, 2, start)
    series: list[Point] = []
    for number, body in enumerate(said):
        tick = Tick(number, float(number), runtime)
        boards = (Document("", board, 0.0),) if number == 0 else ()
        plays = Document(game.game_id, body, 60.0 * number)
        updates, trouble = book.take(Fetched(tick, 60.0 * number, 0.0, (*boards, plays)))
        assert not trouble
        made, failed = patterns.fold(updates)
        assert not failed
        for pattern in made.games:
            rows = made.matrix[pattern.first_point_row :][: len(pattern.points)]
            completed = list(zip(pattern.points, rows, strict=True))
            series = [*series[: pattern.kept_points], *completed]
            yield body, made.matrix[pattern.row], series


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("source", [simulated, real])
def test_the_daemon_shows_the_model_what_training_did(source, quoted) -> None:  # type: ignore[no-untyped-def]
    game, said = source()
    lines = {game.game_id: Line(-7.25, 221.5, 0.4)} if quoted else {}
    offline = replay([game], lines)
    ticks = 0
    series: list[Point] = []
    for body, row, series in daemon(game, said, lines):  # noqa: B007 - the last series is compared below
        plays = read(body).plays
        # Who starts is known once the plays have shown all ten.
        told = fold_game(replace(game, plays=plays))
        both = with_market([told], rate([told], base=Forecaster.load().ratings).expected, lines)
        whole = GameHistory(game.home_id, game.away_id, both.first[0], WINDOW_S)
        if shown := find_starters(plays, game.home_id, game.away_id).shown_by:
            whole.turn(shown, both.then[0])
        whole.fold(plays)
        assert row.tobytes() == np.array(whole.current()).tobytes()
        ticks += 1
    assert ticks > 40
    online = [(at, row) for at, row in series if at < 2880]
    assert [at for at, _ in online] == offline.at.tolist()
    assert np.array([row for _, row in online]).tobytes() == offline.matrix.tobytes()


def season() -> list[RecordedGame]:
    """Nine games of six teams on three days."""
    night = simulate_night(1, 4)
    resource = night.play_by_play(night.game_ids[0], night.ends_at + 60)
    assert resource is not None
    played = read_cdn(resource.body)
    return [
        replace(
            played, game_id=f"00225{number:05}", home_id=number % 3 * 2 + 1,
            away_id=(number * 2 + number // 3) % 3 * 2 + 2, day=100 + number // 3,
        )
        for number in range(9)
    ]  # fmt: skip


def ended(game: RecordedGame, home: int, away: int) -> RecordedGame:
    """The same game with another end: its last play says another score."""
    return replace(game, plays=(*game.plays[:-1], game.plays[-1]._replace(home=home, away=away)))


def test_no_result_of_its_own_day_or_later_touches_a_game() -> None:
    games = season()
    expected = expectations(games)
    for number in range(9):
        changed = [
            ended(game, 200, 50) if later >= number - number % 3 else game
            for later, game in enumerate(games)
        ]
        assert expectations(changed)[: number + 1] == expected[: number + 1]
    # What was before does touch it, or the test above would show nothing.
    assert expectations([ended(games[0], 200, 50), *games[1:]])[3:] != expected[3:]


def test_preseason_and_all_star_games_rate_nobody() -> None:
    games = season()
    for kind in ("001", "003"):
        first = replace(ended(games[0], 200, 50), game_id=f"{kind}{games[0].game_id[3:]}")
        assert expectations([first, *games[1:]])[3].margin == expectations(games[1:])[2].margin


def test_a_game_without_a_date_sees_nothing_of_its_season_and_shows_it_nothing() -> None:
    games = season()
    expected = expectations(games)
    undated = [*games[:8], replace(games[8], day=None)]
    folded = [fold_game(game) for game in undated]
    # Of the season before it is another game's result, so dates count.
    before = DatedResult(Result("0022400001", "", games[0].home_id, games[0].away_id, 150, 90), 1)
    other = [*folded[:8], fold_game(replace(ended(games[8], 200, 50), day=None))]
    same, changed = (
        rate(each, {"0022400001": before}, Forecaster.load().ratings).expected.then
        for each in (folded, other)
    )
    assert same == changed
    assert same[8] != expected[8]
    blank = rate(folded[:1], {"0022400001": before}, Forecaster.load().ratings).expected.then[0]
    assert same[0] == blank


def test_results_that_the_model_is_made_of_count_once() -> None:
    """Whoever hands over the results of all seasons rates as who hands over those since."""
    games = [fold_game(replace(game, day=739_200 + number)) for number, game in enumerate(season())]
    base = Forecaster.load().ratings
    old = {
        f"00{year:03}{number:05}": DatedResult(
            Result(f"00{year:03}{number:05}", "", games[0].home_id, games[0].away_id, 150, 90),
            700_000 + 365 * year + number,
        )
        for year in (206, 217, 223)
        for number in range(5)
    }
    assert rate(games, old, base).expected == rate(games, {}, base).expected


def test_its_own_end_touches_no_row_before_it() -> None:
    games = season()
    same, other = replay(games), replay([*games[:-1], ended(games[-1], 200, 50)])
    assert same.matrix.tobytes() == other.matrix.tobytes()
    assert other.margin[-1] == 150 != same.margin[-1]


BOSTON, DENVER = Team(1610612738, "BOS", "Boston"), Team(1610612743, "DEN", "Denver")


def rows_of(*told: Update) -> list[NDArray[np.float64]]:
    """What the model is shown of a game as it is after each of what is told of it."""
    book, force = PatternTracker(), Runtime(Config(), Forecaster.load())
    made = [book.fold(Updates(Tick(1, 0.0, force), (update,)))[0] for update in told]
    return [patterns.matrix[patterns.games[0].row] for patterns in made]


@pytest.mark.parametrize(
    "before",
    [
        {"home": Team(0, "TBD", "TBD")},
        {"home": DENVER, "away": BOSTON},
        {"start_utc": None},
        {"start_utc": "2027-11-26T00:30:00Z"},
    ],
    ids=["pending", "swapped", "no time", "moved"],
)
def test_who_plays_and_when_is_expected_anew_once_it_is_another(before: dict[str, Any]) -> None:
    entry = BoardEntry(
        "0022600001", Status.SCHEDULED, 0, 0.0, "2026-11-26T00:30:00Z", BOSTON, DENVER, 0, 0
    )
    was, now = (Update(it, (), 0, False, "", 0.0) for it in (entry._replace(**before), entry))
    rows = [row.tobytes() for row in (*rows_of(was, now), *rows_of(now))]
    assert rows[0] != rows[1] == rows[2]


def test_the_end_of_a_game_without_a_time_touches_no_row_before_it() -> None:
    entry = BoardEntry("0022600001", Status.LIVE, 4, 5.0, None, BOSTON, DENVER, 130, 70)
    play = Play(9, 9, 4, 5.0, 130, 70, "2pt", "", 0, 0, "", "2026-11-26T00:30:00.0Z", "")
    on = Update(entry, (play,), 0, False, "", 0.0)
    over = on._replace(entry=entry._replace(status=Status.FINAL, clock_s=0.0), unchanged=1)
    expected = INDEX["expected_margin"]
    before, after = rows_of(on, over)
    assert before[expected] == after[expected]


@pytest.mark.slow
def test_the_schedule_rates_as_training_does() -> None:
    """The season's results, as training met them and as the schedule tells them."""
    if not SEASON.exists():
        pytest.skip("no ../shared/data")
    read = [game for _, game in read_games(SEASON) if isinstance(game, RecordedGame)][:120]
    # As of the season after the model's.
    games = [
        replace(game, game_id=f"00224{game.game_id[5:]}", day=739_200 + number // 8)
        for number, game in enumerate(read)
    ]

    def tip_off(game: RecordedGame) -> str:
        from datetime import date

        assert game.day is not None
        return f"{date.fromordinal(game.day)}T23:30:00Z"

    results = tuple(
        Result(game.game_id, tip_off(game), game.home_id, game.away_id, *game.final)
        for game in games
    )
    # The schedule tells of nobody who played.
    folded = [replace(fold_game(game), lines=GameLines()) for game in games]
    book, force = PatternTracker(), Runtime(Config(), Forecaster.load())
    for number in (0, 8, 60, 119):
        game = games[number]
        board = Document("", board_of(game, 1, tip_off(game)), 0.0)
        fetched = Fetched(Tick(number, 0.0, force), documents=(board,))
        updates, _ = GameTracker().take(fetched)
        made, _ = book.fold(replace(updates, schedule=Schedule(results, ())))
        expected = rate(folded, base=Forecaster.load().ratings).expected.first[number]
        blank = GameHistory(game.home_id, game.away_id, expected, WINDOW_S)
        assert made.matrix[0].tobytes() == np.array(blank.current()).tobytes()
        alone = rate(folded[number:][:1], base=Forecaster.load().ratings).expected.first[0]
        assert expected.margin != alone.margin or number < 8


def test_a_fault_in_what_is_expected_of_a_game_costs_that_game(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nothing of the games is new, and they are only looked at for what the market says."""
    book, runtime = PatternTracker(), Runtime(Config(), Forecaster.load())
    both = [make_game(number).update for number in (1, 2)]
    book.fold(Updates(Tick(1, 0.0, runtime), tuple(both)))
    line = PatternTracker._line

    def fail(self: PatternTracker, update: Update, updates: Updates) -> Line | None:
        if update is both[0]:
            raise RuntimeError("a bug")
        return line(self, update, updates)

    monkeypatch.setattr(PatternTracker, "_line", fail)
    made, failed = book.fold(Updates(Tick(2, 0.0, runtime), (both[1],)))
    assert [game.update.entry.game_id for game in made.games] == [both[1].entry.game_id]
    assert [game_id for game_id, _ in failed] == [both[0].entry.game_id]


def test_a_fault_in_what_is_learnt_between_ticks_is_met_by_each_game_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    book, runtime = PatternTracker(), Runtime(Config(), Forecaster.load())

    def fail(*_: object) -> NoReturn:
        raise RuntimeError("a bug")

    monkeypatch.setattr(RatingsTracker, "_catch_up", fail)
    told = Updates(Tick(1, 0.0, runtime), (make_game(1).update,))
    assert list(book.learn(told)) == []
    made, failed = book.fold(told)
    assert not made.games
    assert [repr(error) for _, error in failed] == ["RuntimeError('a bug')"]
