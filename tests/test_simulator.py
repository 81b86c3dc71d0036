"""The simulated night: reproducible, lawful at every moment, and like real nights on average."""

from __future__ import annotations

import statistics
from functools import cache
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbad.simulator import GamesNight, simulate_night
from nbad.simulator.events import At, Event
from nbad.simulator.game_info import clock_seconds, clock_text, moment_of, utc_text
from nbad.simulator.league import make_league
from nbad.simulator.play import play_game
from nbad.simulator.source import Resource
from nbad.simulator.tally import points_of


@cache
def night(seed: int = 1, games: int = 10) -> GamesNight:
    return simulate_night(games, seed)


def plays(resource: Resource | None) -> list[dict[str, Any]]:
    assert resource is not None
    actions: list[dict[str, Any]] = orjson.loads(resource.body)["game"]["actions"]
    return actions


def board(t: float, of: GamesNight | None = None) -> list[dict[str, Any]]:
    document = orjson.loads((of or night()).scoreboard(t).body)
    games: list[dict[str, Any]] = document["scoreboard"]["games"]
    return games


def documents(of: GamesNight, t: float) -> list[bytes]:
    per_game = [
        document
        for game_id in of.game_ids
        for document in (of.play_by_play(game_id, t), of.box_score(game_id, t))
    ]
    return [
        b"" if document is None else document.body
        for document in (of.scoreboard(t), of.schedule(t), *per_game)
    ]


def test_the_same_arguments_give_the_same_bytes_in_whatever_order_they_are_asked_for() -> None:
    one, other = simulate_night(4, 7), simulate_night(4, 7)
    moments = [one.starts_at + step for step in (0, 600, 3000, 9000)]
    forwards = [documents(one, t) for t in moments]
    backwards = [documents(other, t) for t in reversed(moments)]
    assert forwards == backwards[::-1]
    assert documents(simulate_night(4, 8), moments[0]) != forwards[0]


def test_a_tag_belongs_to_one_content() -> None:
    seen: dict[tuple[str, str], bytes] = {}
    game_id = night().game_ids[3]
    for step in range(0, 3000, 7):
        t = night().starts_at + step
        for name, resource in (
            ("board", night().scoreboard(t)),
            ("plays", night().play_by_play(game_id, t)),
        ):
            assert resource is not None
            assert resource.modified <= t
            assert seen.setdefault((name, resource.tag), resource.body) == resource.body
    assert len(set(seen.values())) == len(seen)


def test_the_night_opens_with_games_in_every_state() -> None:
    games = board(night().starts_at)
    texts = [game["gameStatusText"] for game in games]
    assert [game["gameStatus"] for game in games].count(3) == 1
    assert texts.count("Halftime") == 1
    live = [game for game in games if game["gameClock"]]
    assert {game["period"] for game in live} >= {1, 2, 3, 4}
    assert [game["gameStatus"] for game in games].count(1) == 3
    for game in games:
        assert (game["gameClock"] == "") == (
            game["gameStatus"] != 2 or game["gameStatusText"] == "Halftime"
        )
    assert night().ends_at - night().starts_at < 4 * 3600


@pytest.mark.parametrize("games", [1, 2, 3, 15])
def test_a_night_of_any_size_ends_with_its_finals(games: int) -> None:
    small = simulate_night(games, 3)
    last = board(small.ends_at, small)
    assert {game["gameStatus"] for game in last} == {3}
    assert {
        game["gameId"]: (game["homeTeam"]["score"], game["awayTeam"]["score"]) for game in last
    } == small.finals
    assert len(small.finals) == games


@settings(max_examples=60, deadline=None)
@given(game=st.integers(0, 9), share=st.floats(0, 1))
def test_at_every_moment_scores_are_the_sums_of_the_plays_shown(game: int, share: float) -> None:
    game_id = night().game_ids[game]
    feed = night().feed(game_id)
    t = feed.tip + share * (feed.over - feed.tip)
    shown = plays(night().play_by_play(game_id, t))
    assert [play["orderNumber"] for play in shown] == sorted(
        {play["orderNumber"] for play in shown}
    )
    assert len({play["actionNumber"] for play in shown}) == len(shown)
    score = {feed.info.home.team_id: 0, feed.info.away.team_id: 0}
    totals: dict[int, int] = {}
    for play in shown:
        if points := points_of(play):
            score[play["teamId"]] += points
            totals[play["personId"]] = totals.get(play["personId"], 0) + points
            assert play["pointsTotal"] == totals[play["personId"]]
        assert (int(play["scoreHome"]), int(play["scoreAway"])) == tuple(score.values())
        assert moment_of(play["edited"]) <= t
        assert moment_of(play["timeActual"]) <= t
    entry = next(entry for entry in board(t) if entry["gameId"] == game_id)
    for side, points in zip(("homeTeam", "awayTeam"), score.values(), strict=True):
        assert entry[side]["score"] == points
        assert sum(period["score"] for period in entry[side]["periods"]) == points
    box = night().box_score(game_id, t)
    assert box is not None
    told = orjson.loads(box.body)["game"]
    for side, points in zip(("homeTeam", "awayTeam"), score.values(), strict=True):
        team = told[side]
        assert team["score"] == team["statistics"]["points"] == points
        assert sum(player["statistics"]["points"] for player in team["players"]) == points
        assert sum(player["oncourt"] == "1" for player in team["players"]) == 5
    assert told["gameStatusText"] == entry["gameStatusText"]


@pytest.mark.parametrize("place", range(10))
def test_every_game_has_plays_late_edited_and_taken_back(place: int) -> None:
    game_id = night().game_ids[place]
    feed = night().feed(game_id)
    before: dict[int, dict[str, Any]] = {}
    late = edited = deleted = rescored = 0
    for t in feed.moments:
        shown = {play["actionNumber"]: play for play in feed.actions(feed.revision(t))}
        deleted += len(before.keys() - shown.keys())
        newest = max((play["orderNumber"] for play in before.values()), default=0)
        late += any(shown[number]["orderNumber"] < newest for number in shown.keys() - before)
        for number in shown.keys() & before.keys():
            if shown[number] != before[number]:
                assert shown[number]["edited"] > before[number]["edited"]
                edited += 1
                rescored += points_of(shown[number]) != points_of(before[number])
        before = shown
    assert late >= 1
    assert deleted >= 1
    assert edited >= 10
    assert rescored >= 2


def test_a_game_not_tipped_off_has_no_plays_and_an_unknown_one_nothing() -> None:
    last = night().game_ids[-1]
    assert night().play_by_play(last, night().starts_at) is None
    assert night().box_score(last, night().starts_at) is None
    assert night().play_by_play("0022500000", night().ends_at) is None


def test_overtime_is_played_while_it_is_tied() -> None:
    clubs = make_league(Random("league"))
    found = 0
    for number in range(120):
        events = play_game(clubs[0], clubs[1], Random(number))
        assert_well_formed(events)
        found += events[-1].period > 4
    assert found >= 2


def assert_well_formed(events: list[Event]) -> None:
    score = [0, 0]
    for event, following in zip(events, [*events[1:], None], strict=True):
        if event.side is not None:
            score[event.side] += event.points
        if (event.kind, event.sub) == ("period", "end"):
            assert event.clock == 0
            tied = score[At.HOME] == score[At.AWAY]
            goes_on = following is not None and following.kind == "period"
            assert goes_on == (event.period < 4 or tied)
        if following is not None:
            assert following.wall >= event.wall
            if following.period == event.period:
                assert following.clock <= event.clock
            else:
                assert following.clock == (720 if following.period <= 4 else 300)
    assert (events[-1].kind, events[-1].sub) == ("game", "end")
    assert score[0] != score[1]


@pytest.mark.slow
def test_overtime_is_told_as_the_feed_tells_it() -> None:
    texts = set()
    for seed in range(1, 12):
        of = simulate_night(15, seed)
        for game_id in of.game_ids:
            feed = of.feed(game_id)
            final = feed.actions(len(feed.moments))[-1]
            if final["period"] > 4:
                assert final["periodType"] == "OVERTIME"
                entry = orjson.loads(feed.entry(len(feed.moments)))
                assert len(entry["homeTeam"]["periods"]) == final["period"]
                texts.add(entry["gameStatusText"])
        if "Final/OT" in texts:
            break
    assert texts
    assert texts <= {"Final/OT", "Final/OT2", "Final/OT3"}
    assert texts <= {"Final/OT", "Final/OT2", "Final/OT3"}


@pytest.mark.soak
def test_games_are_like_real_ones_on_average() -> None:
    clubs = make_league(Random("league"))
    rng = Random("pairs")
    margins, totals, minutes = [], [], []
    for number in range(700):
        home, away = rng.sample(clubs, 2)
        events = play_game(home, away, Random(f"game {number}"))
        score = [sum(event.points for event in events if event.side is at) for at in At]
        margins.append(score[0] - score[1])
        totals.append(sum(score))
        minutes.append(events[-1].wall / 60)
    # Bounds of some three standard errors about what 480 real games showed, see rates.py.
    assert 0.53 < sum(margin > 0 for margin in margins) / len(margins) < 0.65
    assert 1.0 < statistics.mean(margins) < 4.5
    assert 11.5 < statistics.stdev(margins) < 14.5
    assert 205 < statistics.mean(totals) < 230
    assert 15 < statistics.stdev(totals) < 23
    assert 118 < statistics.median(minutes) < 145


def test_the_schedule_holds_results_tonight_and_what_comes() -> None:
    of = night()
    days = orjson.loads(of.schedule(of.starts_at).body)["leagueSchedule"]["gameDates"]
    games = [game for day in days for game in day["games"]]
    ids = [game["gameId"] for game in games]
    assert len(set(ids)) == len(ids)
    by_id = {game["gameId"]: game for game in games}
    past = [game for game in games if game["gameId"] < of.game_ids[0]]
    assert len(past) > 400
    assert all(game["gameStatus"] == 3 for game in past)
    assert all(game["homeTeam"]["score"] != game["awayTeam"]["score"] for game in past)
    assert [by_id[game_id]["gameStatus"] for game_id in of.game_ids].count(3) == 1
    assert by_id[of.game_ids[-1]]["gameDateTimeUTC"] == board(of.starts_at)[-1]["gameTimeUTC"]
    assert any(game["gameStatus"] == 1 and game["gameId"] > of.game_ids[-1] for game in games)
    after = orjson.loads(of.schedule(of.ends_at).body)["leagueSchedule"]["gameDates"]
    told = {
        game["gameId"]: (game["homeTeam"]["score"], game["awayTeam"]["score"])
        for day in after
        for game in day["games"]
        if game["gameId"] in of.finals
    }
    assert told == of.finals


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(ValueError, match="games: expected 1 to 15, was 16"):
        simulate_night(16)
    with pytest.raises(ValueError, match="tip_offs: expected 2 moments, was 1"):
        simulate_night(2, tip_offs=[5])
    with pytest.raises(ValueError, match="tip_off_spread_s: expected 0 or more, was -1"):
        simulate_night(2, tip_off_spread_s=-1)


def test_tip_offs_and_the_start_can_be_chosen() -> None:
    start = 1_700_000_000.0
    of = simulate_night(2, 1, starts_at=start, tip_offs=[100, 7])
    assert of.starts_at == start
    tips = sorted(of.feed(game_id).tip for game_id in of.game_ids)
    assert start + 7 < tips[0] <= start + 13
    assert start + 100 < tips[1] <= start + 106


@given(st.integers(0, 7200).map(lambda tenths: tenths / 10))
def test_a_clock_reads_back(seconds: float) -> None:
    assert clock_seconds(clock_text(seconds)) == pytest.approx(seconds)


def test_moments_are_written_as_the_feed_writes_them() -> None:
    assert utc_text(1_608_681_979.0, tenths=True) == "2020-12-23T00:06:19.0Z"
    assert utc_text(1_608_681_985.2) == "2020-12-23T00:06:25Z"
    assert clock_text(718) == "PT11M58.00S"
    assert clock_seconds("") == 0.0
