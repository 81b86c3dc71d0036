"""Past nights: what is kept of a finished game, read again, and judged."""

from __future__ import annotations

import csv
import io
import json
import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from daemon_kit import ANY_PORTS, Daemon, get, serving
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from stream_kit import FakeSettings, make_game
from structlog.testing import capture_logs

from nbad.domain import Game, Play, Point, Quantiles, Status, Swing
from nbad.observe.metrics import Metrics
from nbad.observe.statistics import Statistics
from nbad.recording import nights
from nbad.recording.keeper import NightKeeper
from nbad.settings.schema import Config, Record
from nbad.simulator import simulate_night
from nbad.stages.server import open_hub
from nbad.stream.hub import Hub
from nbad.training.verdict import judge
from nbad.web.app import make_app
from nbad.web.openapi import DOCUMENT
from nbad.web.status import Live


def ended(number: int, home: int, away: int, win: float = 0.6, start: str = "") -> Game:
    """A game that is over, forecast as ``win`` all the time and a margin from −5 to 5."""
    game = make_game(number, home, away)
    assert game.forecast
    told = game.forecast._replace(home_win=win, margin=Quantiles(-5.0, 1.0, 5.0))
    series = tuple(Point(float(at), told) for at in range(0, 2880, 30))
    entry = game.update.entry._replace(status=Status.FINAL, period=4, clock_s=0.0)
    if start:
        entry = entry._replace(start_utc=start)
    return game._replace(update=game.update._replace(entry=entry), forecast=told, series=series)


@pytest.mark.parametrize(
    ("start", "night"),
    [
        ("2023-10-05T16:00:00Z", "2023-10-05"),  # noon in the East in summer time
        ("2023-09-30T10:00:00Z", "2023-09-30"),  # in Japan
        ("2026-01-20T03:30:00Z", "2026-01-19"),
    ],
)
def test_a_night_is_the_leagues_date(start: str, night: str) -> None:
    assert nights.whole_game(ended(1, 101, 99, start=start)).kept.night == night


def settings(folder: Path | None) -> FakeSettings:
    return FakeSettings(Config(record=Record(path=folder)))


def valid(path: str, answer: httpx.Response) -> Any:
    """The body of an answer, held to the document."""
    responses = DOCUMENT["paths"][path]["get"]["responses"]
    schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
    body = answer.json()
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(body)
    return body


def client(hub: Hub, known: FakeSettings) -> httpx.AsyncClient:
    app = make_app(Live(hub, Statistics(), Metrics()), known)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://nbad")


async def test_what_was_kept_is_told_by_night_and_season(tmp_path: Path) -> None:
    known = settings(tmp_path)
    games = [ended(1, 100, 90), ended(2, 90, 100), ended(3, 104, 101, start="2026-01-21T01:00:00Z")]
    nights.keep(tmp_path, [nights.whole_game(game) for game in games])
    async with client(open_hub(known), known) as http:
        told = valid("/v1/nights", await http.get("/v1/nights"))
        assert [(n["date"], n["games"]) for n in told["nights"]] == [
            ("2026-01-20", 1), ("2026-01-19", 2),
        ]  # fmt: skip
        (season,) = told["seasons"]
        assert (season["season"], season["games"]) == ("2025-26", 3)
        # A favourite of 60 % that won twice of three.
        assert season["all"]["brier"] == pytest.approx((2 * 0.16 + 0.36) / 3, abs=1e-4)
        assert season["all"]["favourite_won"] == pytest.approx(2 / 3, abs=1e-4)
        assert season["all"]["margin_covered"] == pytest.approx(1 / 3, abs=1e-4)
        assert [each["moment"] for each in season["moments"]] == list(nights.MOMENTS)
        assert season["calibration"] == [{"forecast": 0.6, "happened": 0.6667, "rows": 18}]

        path = "/v1/nights/{date}"
        night = valid(path, await http.get("/v1/nights/2026-01-19"))
        assert [game["game_id"] for game in night["games"]] == ["0022500001", "0022500002"]
        assert all(len(game["series"]) == 96 for game in night["games"])
        for date in ("2026-01-18", "yesterday", "2026-01-19'--", "9" * 500):
            answer = await http.get(f"/v1/nights/{date}")
            assert answer.status_code == 404
            valid(path, answer)
        rows = list(csv.reader(io.StringIO((await http.get("/v1/nights/2026-01-19.csv")).text)))
        assert len(rows) == 1 + 2 * len(nights.MOMENTS)
        assert dict(zip(rows[0], rows[1], strict=True)) == {
            "game_id": "0022500001", "night": "2026-01-19", "away": "DAL", "home": "CHI",
            "away_score": "90", "home_score": "100", "elapsed_s": "0.0", "home_win": "0.6",
            "margin_p10": "-5.0", "margin_p50": "1.0", "margin_p90": "5.0", "total_p50": "215.56",
        }  # fmt: skip


async def test_a_game_is_had_by_its_address_also_when_its_night_is_over(tmp_path: Path) -> None:
    known = settings(tmp_path)
    game = ended(1, 100, 90)
    nights.keep(tmp_path, [nights.whole_game(game)])
    async with client(open_hub(known), known) as http:
        whole = valid("/v1/games/{game_id}", await http.get("/v1/games/0022500001"))
        assert whole["home"]["score"] == 100
        plays = await http.get("/v1/games/0022500001/plays")
        assert valid("/v1/games/{game_id}/plays", plays)["plays"] == []
        assert (await http.get("/v1/games/0022500001/plays.csv")).text.startswith("number,elapsed")
        assert (await http.get("/v1/games/0022500009")).status_code == 404
        page = (await http.get("/game/0022500001")).text
        assert '<meta property="og:title" content="DAL 90–100 CHI, Final">' in page
        page = (await http.get("/night/2026-01-19")).text
        assert 'content="NBA games of 2026-01-19">' in page
        assert 'content="DAL 90–100 CHI">' in page
        for path in ("/", "/game/0022500009", "/night/2026-01-18", "/nights"):
            page = (await http.get(path)).text
            assert "og:" not in page
            assert "<title>nbad · tonight</title>" in page


async def test_a_name_of_the_feed_is_no_markup_of_the_page(tmp_path: Path) -> None:
    known = settings(tmp_path)
    game = ended(1, 100, 90)
    entry = game.update.entry
    entry = entry._replace(home=entry.home._replace(name='<script>"&'))
    game = game._replace(update=game.update._replace(entry=entry))
    nights.keep(tmp_path, [nights.whole_game(game)])
    async with client(open_hub(known), known) as http:
        page = (await http.get("/game/0022500001")).text
    assert 'content="Away at &lt;script&gt;&quot;&amp;"' in page


def test_what_was_said_of_a_game_stands_until_the_game_is_another(tmp_path: Path) -> None:
    def keep(home: int, win: float, number: int = 7) -> float:
        play = Play(number, 1, 4, 0.0, home, 99, "game", "end", 0, 0, "", "", "")
        game = ended(1, home, 99, win)
        swing = Swing(play, 2880.0, 0.5, game.forecast)  # type: ignore[arg-type]
        update = game.update._replace(plays=(play,))
        whole = nights.whole_game(game._replace(update=update, swings=lambda: (swing,)))
        written = nights.keep(tmp_path, [whole])
        [kept] = nights.games(tmp_path)
        assert bool(written) == (kept.said[0][1] == win)
        return kept.said[0][1]

    assert keep(101, 0.6) == 0.6
    assert keep(101, 0.7) == 0.6  # a daemon that started with another model
    assert keep(101, 0.7, number=8) == 0.7
    assert keep(102, 0.8, number=8) == 0.8


async def test_nothing_is_kept_where_no_folder_is_named() -> None:
    known = settings(None)
    async with client(open_hub(known), known) as http:
        assert (await http.get("/v1/nights")).json() == {"nights": [], "seasons": []}
        assert (await http.get("/v1/nights/2026-01-19")).status_code == 404


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
async def test_a_file_that_is_none_of_ours_costs_an_answer(tmp_path: Path, content: bytes) -> None:
    (tmp_path / nights.FILE).write_bytes(content)
    known = settings(tmp_path)
    with capture_logs() as logs:
        async with client(open_hub(known), known) as http:
            for path in ("/v1/nights", "/v1/nights/{date}", "/v1/games/{game_id}"):
                url = path.format(date="2026-01-19", game_id="0022500001")
                answer = await http.get(url)
                assert answer.status_code == 503
                valid(path, answer)
    assert [event["event"] for event in logs] == ["nights_unreadable"] * 3


async def test_a_game_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    whole = nights.whole_game(ended(1, 100, 90))
    nights.keep(tmp_path, [replace(whole, game=b" " * (5 << 20))])
    with pytest.raises(nights.NightsError, match="expected at most"):
        nights.game(tmp_path, "0022500001")


async def written(keeper: NightKeeper) -> None:
    """Past its next writing. The clock jumps over waits, not over what a thread does."""
    await trio.sleep(65)
    async with keeper.thread:
        pass
    await trio.testing.wait_all_tasks_blocked()


async def test_the_keeper_keeps_each_end_and_its_correction(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    known = settings(tmp_path)
    keeper, journal = NightKeeper(known), open_hub(known).journal
    tick = 0

    async def tell(*games: Game) -> list[tuple[str, int]]:
        nonlocal tick
        tick += 1
        journal.apply(tick, games, journal.encode(games), {})
        keeper.note(journal)
        await written(keeper)
        return [(game.game_id, game.home_score) for game in nights.games(tmp_path)]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.run)
        assert await tell(make_game(1, 80, 70), make_game(2, 99, 98)) == []
        assert await tell(ended(1, 100, 90)) == [("0022500001", 100)]
        assert await tell(ended(1, 101, 90)) == [("0022500001", 101)]
        with capture_logs() as logs:
            assert await tell(make_game(2, 99, 99)) == [("0022500001", 101)]
        assert not logs  # what is kept is not kept again
        # Where a reload moves it, what was kept before of this night is kept there, too.
        known.replace(settings(tmp_path / "other").current)
        await tell(make_game(2, 100, 99))
        assert [game.game_id for game in nights.games(tmp_path / "other")] == ["0022500001"]
        known.replace(settings(tmp_path).current)
        # What comes last of all is kept, too, when the daemon ends.
        games = (ended(2, 105, 99),)
        journal.apply(9, games, journal.encode(games), {})
        keeper.note(journal)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    async with keeper.thread:  # the clock jumped over what it still waited
        pass
    assert len(nights.games(tmp_path)) == 2


def keeper_of_two(folder: Path) -> tuple[NightKeeper, tuple[Game, ...]]:
    """One that has yet to write two games that ended, and these."""
    known = settings(folder)
    keeper, journal = NightKeeper(known), open_hub(known).journal
    games = (ended(1, 100, 90), ended(2, 99, 98))
    journal.apply(1, games, journal.encode(games), {})
    keeper.note(journal)
    return keeper, games


async def test_who_is_cut_while_it_makes_a_game_ready_still_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    keeper, _ = keeper_of_two(tmp_path)
    async with trio.open_nursery() as nursery:

        def cut(game: Game) -> nights.WholeGame:
            nursery.cancel_scope.cancel()
            return nights.whole_game(game)

        monkeypatch.setattr("nbad.recording.keeper.whole_game", cut)
        nursery.start_soon(keeper.run)
    async with keeper.thread:  # the clock jumped over what it still waited
        pass
    assert len(nights.games(tmp_path)) == 2


async def test_a_fault_of_ours_with_one_game_costs_that_game_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    keeper, games = keeper_of_two(tmp_path)

    def fail(game: Game) -> nights.WholeGame:
        if game is games[0]:
            raise RuntimeError("a bug")
        return nights.whole_game(game)

    monkeypatch.setattr("nbad.recording.keeper.whole_game", fail)
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keeper.run)
            await written(keeper)
            nursery.cancel_scope.cancel()
    assert [(event["event"], event["game_id"]) for event in logs] == [
        ("game_failed", "0022500001"), ("game_kept", "0022500002"),
    ]  # fmt: skip


async def test_a_disk_that_fails_is_told_once_and_tried_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    folder = tmp_path / "kept"
    folder.write_text("in the way")
    known = settings(folder)
    keeper, journal = NightKeeper(known), open_hub(known).journal
    games = (ended(1, 100, 90),)
    journal.apply(1, games, journal.encode(games), {})
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keeper.run)
            keeper.note(journal)
            for _ in range(4):
                await written(keeper)
            assert [event["event"] for event in logs] == ["night_not_kept"]
            folder.unlink()
            await written(keeper)
            nursery.cancel_scope.cancel()
    assert logs[-1]["event"] == "game_kept"
    assert len(nights.games(folder)) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(-40, 40).filter(bool),
            st.lists(st.floats(0, 1), min_size=1, max_size=6),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_verdict_is_the_mean_over_what_was_said(games: list[tuple[int, list[float]]]) -> None:
    told = judge(
        (margin, [[720.0 * at, p, -3.0, 0.0, 3.0, 200.0] for at, p in enumerate(said)])
        for margin, said in games
    )
    pairs = [(p, float(margin > 0)) for margin, said in games for p in said]
    brier = math.fsum((p - won) ** 2 for p, won in pairs) / len(pairs)
    assert told["all"]["brier"] == pytest.approx(brier, abs=6e-5)
    assert told["games"] == told["moments"][0]["games"] == len(games)
    inside = sum(len(said) for margin, said in games if abs(margin) <= 3) / len(pairs)
    assert told["all"]["margin_covered"] == pytest.approx(inside, abs=6e-5)
    assert sum(each["rows"] for each in told["calibration"]) == len(pairs)
    rows = sum(each["rows"] * each["happened"] for each in told["calibration"])
    assert rows == pytest.approx(sum(won for _, won in pairs), abs=1e-2)


def test_seasons_are_those_of_the_ids_else_of_the_date() -> None:
    assert nights.whole_game(ended(1, 9, 8)).kept.season == "2025-26"
    game = ended(1, 9, 8, start="2026-10-21T00:10:00Z")
    entry = game.update.entry._replace(game_id="friendly")
    kept = nights.whole_game(game._replace(update=game.update._replace(entry=entry))).kept
    assert (kept.season, kept.night) == ("2026-27", "2026-10-20")


@pytest.mark.slow
def test_a_real_night_is_kept_and_told_after_it_is_over(tmp_path: Path) -> None:
    finals = simulate_night(2, 5).finals
    server = f'{ANY_PORTS}[record]\npath = "{tmp_path / "kept"}"\npayloads = false\n'
    with serving("--games", "2", "--seed", "5", "--speed", "900") as urls:
        daemon = Daemon(tmp_path / "daemon", *urls, server=server)
        while len(daemon.events("game_kept")) < 2:
            daemon.pause()
        assert daemon.end() == 0
    assert not list((tmp_path / "kept").glob("*.rec"))
    daemon.start()  # the feed is gone, and tells of no game
    url = f"http://127.0.0.1:{daemon.port('http')}"
    told = json.loads(get(f"{url}/v1/nights")[1])
    assert sum(night["games"] for night in told["nights"]) == 2
    for game_id, score in finals.items():
        game = json.loads(get(f"{url}/v1/games/{game_id}")[1])
        assert (game["home"]["score"], game["away"]["score"]) == score
        plays = json.loads(get(f"{url}/v1/games/{game_id}/plays")[1])
        assert plays["plays"][-1][4:6] == list(score)
    assert daemon.end() == 0
    with closing(sqlite3.connect(tmp_path / "kept" / nights.FILE)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_folder_that_is_closed_to_us_is_told_as_one() -> None:
    with pytest.raises(nights.NightsError, match="name too long"):
        nights.games(Path("/" + "x" * 300))  # the system's answer, also to root
