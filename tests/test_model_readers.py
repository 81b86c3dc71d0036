"""Recorded games of either form become the same plays; days are found where none are told."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from nbad.domain import Play
from nbad.feed.client import Arrival
from nbad.pattern.history import GameHistory
from nbad.pattern.players import find_starters, game_lines
from nbad.pattern.possession import possession_after
from nbad.pattern.rating import Expectation
from nbad.recording.format import Writer
from nbad.simulator import simulate_night
from nbad.training.flatform import read_flat
from nbad.training.readers import read_games
from nbad.training.recorded import RecordedGame, game_days
from nbad.training.replay import fold_game
from nbad.training.results import read_results
from nbad.training.statsform import read_csv

DATA = Path(__file__).parents[2] / "shared" / "data"
HEAD = (
    "GAME_ID,EVENTMSGTYPE,PERIOD,WCTIMESTRING,PCTIMESTRING,HOMEDESCRIPTION,VISITORDESCRIPTION,"
    "SCORE,PERSON1TYPE,PLAYER1_ID,PLAYER1_TEAM_ID,PLAYER3_TEAM_ID\n"
)
GAME = HEAD + (
    "21500001,12,1,7:41 PM,12:00,,,,0,0,,\n"
    "21500001,10,1,7:41 PM,12:00,Jump Ball,,,4,7,11.0,22.0\n"
    "21500001,2,1,7:42 PM,11:40,,MISS Porter 25' 3PT Jump Shot,,5,8,22.0,\n"
    "21500001,4,1,7:42 PM,11:38,CELTICS Rebound,,,2,11,,\n"
    "21500001,1,1,7:42 PM,11:20,Crowder 3PT Jump Shot (3 PTS),,0 - 3,4,7,11.0,\n"
    "21500001,3,1,7:43 PM,11:02,,MISS Wall Free Throw 1 of 2,,5,8,22.0,\n"
    "21500001,3,1,7:43 PM,11:02,,Wall Free Throw 2 of 2 (1 PTS),1 - 3,5,8,22.0,\n"
    "21500001,13,4,10:01 PM,0:00,,,1 - 3,0,0,,\n"
)


def test_a_game_of_stats_nba_com() -> None:
    game = read_csv(GAME)
    assert (game.game_id, game.home_id, game.away_id) == ("0021500001", 11, 22)
    assert game.final == (3, 1)
    assert game.tip_minute == 19 * 60 + 41
    assert [play.kind for play in game.plays] == [
        "period", "jumpball", "3pt", "rebound", "3pt", "freethrow", "freethrow", "period",
    ]  # fmt: skip
    assert [play.team_id for play in game.plays] == [0, 22, 22, 11, 11, 22, 22, 0]
    assert [play.clock_s for play in game.plays[:3]] == [720.0, 720.0, 700.0]


def test_a_file_without_a_games_id_is_named(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(GAME)
    (tmp_path / "two.csv").write_text(GAME.replace("21500001", "season"))
    one, two = (game for _, game in read_games(tmp_path))
    assert isinstance(one, RecordedGame)
    assert "two.csv" in str(two)
    assert "expected a game's id, was '0000season'" in str(two)


def test_of_a_list_of_results_those_count_that_there_are(tmp_path: Path) -> None:
    told = tmp_path / "results.csv"
    told.write_text(
        "\ufeffgame_id,date,home_id,away_id,home_points,away_points\n"
        "22400001,2024-10-22,1,2,110,100\n"
        "22400002,2025-04-22,1,2,,\n",
        encoding="utf-8",
    )
    results = read_results(told)
    assert list(results) == ["0022400001"]
    assert results["0022400001"].final == (110, 100)
    told.write_text(told.read_text(encoding="utf-8-sig") + "22400003,2024-10-23,1,2,110,\n")
    with pytest.raises(ValueError, match="line 4"):
        read_results(told)


def test_columns_that_only_help_may_be_missing() -> None:
    rows = [line.split(",") for line in GAME.splitlines()]
    spare = [rows[0].index(name) for name in ("WCTIMESTRING", "PLAYER1_ID", "PLAYER3_TEAM_ID")]
    text = "\n".join(",".join(v for n, v in enumerate(r) if n not in spare) for r in rows)
    game = read_csv(text)
    assert game.final == (3, 1)
    assert game.tip_minute is None


def test_who_has_the_ball() -> None:
    game = read_csv(GAME)
    home, away = game.home_id, game.away_id
    held, before, score = [], 0, (0, 0)
    for play in game.plays:
        side = (play.team_id == home) - (play.team_id == away)
        before = possession_after(play, play.kind, side, (play.home, play.away) != score, before)
        score = play.home, play.away
        held.append(before)
    assert held == [0, -1, -1, 1, -1, -1, 1, 0]


def play(kind: str, subkind: str = "", description: str = "") -> Play:
    return Play(1, 1, 1, 600.0, 0, 0, kind, subkind, 1, 0, description, "", "")


@pytest.mark.parametrize(
    ("play", "scored", "after"),
    [
        (play("turnover"), False, -1),
        (play("foul"), False, -1),  # as before it
        (play("freethrow", "1 of 1", "Technical Free Throw"), True, -1),  # as before it
        (play("freethrow", "2 of 2", "Free Throw Flagrant 2 of 2"), True, 1),
        (play("freethrow", "2 of 2"), False, 1),  # the rebound decides
        (play("freethrow", "1 of 2"), True, 1),
    ],
)
def test_the_ball_after(play: Play, scored: bool, after: int) -> None:
    assert possession_after(play, play.kind, 1, scored, -1) == after


def test_a_real_game_of_cdn_nba_com() -> None:
    path = DATA / "live" / "playbyplay_0022000001.json"
    if not path.exists():
        pytest.skip("no ../shared/data")
    ((name, game),) = read_games(path)
    assert isinstance(game, RecordedGame), name
    assert (game.home_id, game.away_id) == (1610612751, 1610612744)
    assert game.final == (125, 99)
    # The feed names who had the ball during a play; just before it our reading must say the same.
    history = GameHistory(game.home_id, game.away_id, Expectation(), 720.0)
    agree = told = 0
    for one in game.plays:
        if one.kind in ("2pt", "3pt", "turnover"):
            has = 1 if one.possession == game.home_id else -1
            told += 1
            agree += history._possession == has
        history.fold([one])
    assert told > 150
    assert agree / told > 0.97


def test_an_archive_and_its_folder_are_alike(tmp_path: Path) -> None:
    folder = tmp_path / "games"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"002150000{number}.csv").write_text(GAME.replace("21500001", f"2150000{number}"))
    (folder / "0021500002.csv").write_text("GAME_ID\n")
    (folder / "README.txt").write_text("no game")
    with tarfile.open(tmp_path / "games.tar.xz", "w:xz") as archive:
        archive.add(folder, "season")
    plain, packed = list(read_games(folder)), list(read_games(tmp_path / "games.tar.xz"))
    assert [name for name, _ in plain] == [f"002150000{number}.csv" for number in (1, 2, 3)]
    assert isinstance(plain[1][1], ValueError)
    assert [plain[0], plain[2]] == [packed[0], packed[2]]


def test_of_a_recording_each_game_counts_as_told_last(tmp_path: Path) -> None:
    night = simulate_night(2, 7)
    writer, now = Writer(tmp_path), 1_795_471_200.0
    for step, share in enumerate((0.3, 0.7, 1.0)):
        at = night.starts_at + share * (night.ends_at + 60 - night.starts_at)
        told = [
            (f"http://feed/playbyplay_{game_id}.json?{step}", 200, resource.body)
            for game_id in night.game_ids
            if (resource := night.play_by_play(game_id, at))
        ]
        board = ("http://feed/scoreboard/todaysScoreboard_00.json", 200, night.scoreboard(at).body)
        refused = (f"http://feed/playbyplay_{night.game_ids[0]}.json", 403, b"<html>")
        writer.write(
            Arrival(url, status, {}, body, now + 3600.0 * step)
            for url, status, body in (*told, board, refused)
        )
    games = dict(read_games(tmp_path))
    assert list(games) == [f"playbyplay_{game_id}.json" for game_id in night.game_ids]
    for game_id, recorded in zip(night.game_ids, games.values(), strict=True):
        assert isinstance(recorded, RecordedGame)
        assert recorded.final == night.finals[game_id]


@pytest.mark.parametrize("last", ["cut", "older", "page"])
def test_what_a_faulty_feed_sent_last_of_a_game_costs_nothing(tmp_path: Path, last: str) -> None:
    night = simulate_night(1, 7)
    (game_id,) = night.game_ids
    early, whole = (
        night.play_by_play(game_id, at)
        for at in ((night.starts_at + night.ends_at) / 2, night.ends_at + 60)
    )
    assert early is not None
    assert whole is not None
    broken = {"cut": whole.body[:9000], "older": early.body, "page": b"<html>"}[last]
    url = f"http://feed/playbyplay_{game_id}.json"
    Writer(tmp_path).write(
        Arrival(url, 200, {}, body, 1_795_471_200.0 + at)
        for at, body in enumerate((early.body, whole.body, broken, broken))
    )
    ((_, game),) = read_games(tmp_path)
    assert isinstance(game, RecordedGame)
    assert game.final == night.finals[game_id]


def test_a_recording_cut_before_the_end_names_its_games(tmp_path: Path) -> None:
    night = simulate_night(1, 7)
    (game_id,) = night.game_ids
    early = night.play_by_play(game_id, (night.starts_at + night.ends_at) / 2)
    assert early is not None
    url = f"http://feed/playbyplay_{game_id}.json"
    Writer(tmp_path).write([Arrival(url, 200, {}, early.body, 1_795_471_200.0)])
    ((name, broken),) = read_games(tmp_path)
    assert isinstance(broken, ValueError)
    assert "expected a finished game" in str(broken)
    assert name == f"playbyplay_{game_id}.json"


def game(number: int, home: int, away: int, tip: int, day: int | None = None) -> RecordedGame:
    return RecordedGame(f"00215{number:05}", home, away, (), day, tip)


def test_days_are_counted_from_the_wall_clock_or_told() -> None:
    seven, ten = 19 * 60, 22 * 60
    games = [game(1, 1, 2, seven), game(2, 3, 4, seven + 30), game(3, 5, 6, ten),
             game(4, 1, 3, seven), game(5, 4, 6, seven + 5), game(6, 1, 2, ten)]  # fmt: skip
    # The last has a later clock, but team 1 does not play twice a day.
    assert game_days(games) == [0, 0, 0, 1, 1, 2]
    assert game_days([game(1, 1, 2, seven, day=739_000)]) == [739_000]


def test_a_substitution_a_steal_and_a_block_are_plays_of_their_own() -> None:
    head = "GAME_ID,EVENTMSGTYPE,PERIOD,PCTIMESTRING,HOMEDESCRIPTION,VISITORDESCRIPTION,SCORE," + (
        "PERSON1TYPE,PLAYER1_ID,PLAYER1_TEAM_ID,PLAYER2_ID,PLAYER2_TEAM_ID,"
        "PLAYER3_ID,PLAYER3_TEAM_ID\n"
    )
    game = read_csv(
        head
        + "21500001,5,1,11:00,A Turnover,B STEAL,,4,1,11,2,22,0,\n"
        + "21500001,2,1,10:50,C BLOCK,MISS B 3PT,,5,2,22,0,,3,11\n"
        + "21500001,1,1,10:40,A Layup (2 PTS),,0 - 2,4,1,11,0,,0,\n"
        + "21500001,8,1,10:30,SUB: D FOR A,,,4,1,11,4,11,0,\n"
        + "21500001,4,1,10:20,HAWKS Rebound,,,2,11,,0,,0,\n"
    )
    told = [(play.kind, play.subkind, play.person_id, play.team_id) for play in game.plays]
    assert told == [
        ("turnover", "", 1, 11), ("steal", "", 2, 22), ("3pt", "", 2, 22), ("block", "", 3, 11),
        ("2pt", "", 1, 11), ("substitution", "out", 1, 11), ("substitution", "in", 4, 11),
        ("rebound", "", 0, 11),
    ]  # fmt: skip
    lines = game_lines(game.plays, 11, 22).lines
    assert lines[1] == (11, (2.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    assert lines[2] == (22, (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    assert lines[3] == (11, (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0))


def test_who_starts_is_who_did_not_come_in() -> None:
    def by(person: int, kind: str = "rebound", subkind: str = "", period: int = 1) -> Play:
        return play(kind, subkind)._replace(person_id=person, period=period)

    first = [by(person) for person in (1, 2, 3, 4)]
    bench = [by(8, "foul", "technical"), by(7, "substitution", "in"), by(7), by(1, "freethrow")]
    assert find_starters([*first, *bench], 1, 2).fives == ((), ())
    assert find_starters([*first, *bench, by(9, period=2)], 1, 2).fives == ((), ())
    five = find_starters([*first, *bench, by(5, "substitution", "out")], 1, 2).fives
    assert five == ((1, 2, 3, 4, 5), ())
    # A play more never changes a five that was told.
    assert find_starters([*first, *bench, by(5, "substitution", "out"), by(6)], 1, 2).fives == five


def test_the_two_forms_of_a_game_say_the_same() -> None:
    """One real game as stats.nba.com tells it and as cdn.nba.com does, flattened."""
    archives = (
        DATA / "seasons" / "playbyplay_v2" / "v2_2020.tar.xz",
        (DATA / "seasons" / "playbyplay_cdn" / "pbp_2021.tar.xz"),
    )
    if not all(path.exists() for path in archives):
        pytest.skip("no ../shared/data")
    games = []
    for archive, name in zip(archives, ("22000001.csv", "2021_22000001.csv"), strict=True):
        with tarfile.open(archive) as opened:
            for member in opened:
                if Path(member.name).name == name:
                    file = opened.extractfile(member)
                    assert file is not None
                    text = file.read().decode()
                    break
        games.append(read_csv(text) if "EVENTMSGTYPE" in text else read_flat(text))
    stats, flat = games
    assert (stats.game_id, stats.home_id, stats.away_id, stats.final) == (
        flat.game_id, flat.home_id, flat.away_id, flat.final,
    )  # fmt: skip
    ours, theirs = (game_lines(game.plays, game.home_id, game.away_id) for game in games)
    assert set(ours.home_five) == set(theirs.home_five)
    assert set(ours.away_five) == set(theirs.away_five)
    assert len(ours.home_five) == len(ours.away_five) == 5
    assert ours.lines == theirs.lines
    rows = [fold_game(game) for game in games]
    agree = np.mean([
        np.array_equal(a[:10], b[:10]) for a, b in zip(rows[0].matrix, rows[1].matrix, strict=True)
    ])  # fmt: skip
    assert agree > 0.9  # a shot may be told a second apart
