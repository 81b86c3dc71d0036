"""``nbad bench``: slates that are what they are called, figures that are those measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
import trio
from daemon_kit import serving
from http_kit import authority

from nbad.bench.freshness import judged, table
from nbad.bench.runner import _from_log, _take, figures, percentile, prepared_feed
from nbad.bench.scenario import slate
from nbad.feed.transport import Get, LeanTransport

_BENCH = [sys.executable, "-m", "nbad", "bench"]


@pytest.mark.parametrize("games", [1, 17])  # more than 15 are two nights
def test_all_games_of_a_slate_are_in_play(games: int) -> None:
    night = slate(games)
    for later in (0.0, 3600.0):
        board = orjson.loads(night.scoreboard(night.starts_at + later).body)["scoreboard"]["games"]
        assert len({game["gameId"] for game in board}) == games
        assert {game["gameStatus"] for game in board} == {2}


def test_figures_are_those_of_the_ticks() -> None:
    costs = [dict.fromkeys(("poll", "parse", "pattern", "predict", "emit", "total"), float(ms))
             for ms in range(1, 101)]  # fmt: skip
    emit = dict(figures(costs))["emit"]
    assert emit == {"avg": 50.5, "p50": 51.0, "p95": 96.0, "p99": 100.0}
    assert percentile([3.0], 0.99) == 3.0


async def test_a_board_that_tells_every_game_is_half_a_round(autojump_clock: object) -> None:
    async def log() -> AsyncIterator[bytes]:
        for tick in range(20):
            taken = 15 if tick % 2 else 1  # the plays, the board
            for stage, games, ms in (("poll", taken, 1.0), ("emit", 15, 2.0 + tick % 2)):
                line = {"event": "stage", "tick": tick, "stage": stage, "games": games}
                yield json.dumps(line | {"elapsed_ms": ms, "waited_ms": 0.0}).encode()

    joined, here = trio.Event(), os.getpid()
    joined.set()
    run = await _take(_from_log(log()), 16, 30, joined, (here, here))
    assert [cost["total"] for cost in run.costs] == [3.0 + 4.0] * 7


@pytest.mark.slow
async def test_the_prepared_feed_speaks_tls_with_who_trusts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, server = tmp_path / "trusted", tmp_path / "server"
    authority().cert_pem.write_to_path(str(trusted))
    pair = authority().issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    pair.write_to_path(str(server))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    async with prepared_feed(1, certificate=server) as feed, LeanTransport() as transport:
        await feed.begin()
        for url in (feed.schedule_url, f"{feed.base_url}/scoreboard/todaysScoreboard_00.json"):
            assert url.startswith("https://")
            assert (await transport.get(Get.of(httpx.Request("GET", url)))).body.startswith(b"{")


@pytest.mark.slow
def test_it_measures_a_slate() -> None:
    options = ["--alone", "--slates", "2", "--polls", "3", "--subscribers", "3", "--json"]
    done = subprocess.run([*_BENCH, *options], capture_output=True, text=True, check=False)
    (result,) = json.loads(done.stdout)["results"]
    assert result["games"] == 2
    assert result["nbad"]["total"]["ticks"] == 3
    for row in result["nbad"].values():
        assert 0 < row["p50"] <= row["p99"]
        assert row["pass"] == (row["p99"] <= row["target"])
    assert done.returncode == (0 if all(row["pass"] for row in result["nbad"].values()) else 1)
    assert "2 live games (Q1), 3 subscribers" in done.stderr


@pytest.mark.slow
def test_it_measures_the_configured_feed(tmp_path: Path) -> None:
    config = tmp_path / "nbad.toml"
    with serving("--games", "4") as urls:
        config.write_text(
            f'[feed]\nbase_url = "{urls[0]}"\nschedule_url = "{urls[1]}"\n'
            f'[poll]\nlive_interval_s = 0.1\n[log]\nfile = "{tmp_path}/mine"\n'
        )
        options = ["--live", "--polls", "4", "--config", str(config)]
        done = subprocess.run([*_BENCH, *options], capture_output=True, text=True, check=False)
    assert "the live feed, 4 ticks" in done.stdout
    assert not (tmp_path / "mine").exists()  # the log of a daemon that may be running


@pytest.mark.parametrize("options", [["--slates", "31"], ["--slates", "x"], ["--polls", "0"]])
def test_wrong_arguments_are_told(options: list[str]) -> None:
    done = subprocess.run([*_BENCH, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert "expected" in done.stderr


def test_freshness_is_held_against_the_loop() -> None:
    def run(max_age: float, ours: float, loops: float) -> dict[str, object]:
        shares = ("mean", "p50", "p90", "p99")
        who = {"nbad": ours, "loop": loops, "floor": 10.0}
        return {"max_age": max_age} | {name: dict.fromkeys(shares, ms) for name, ms in who.items()}

    result = judged([run(0, 350.0, 534.0), run(3, 1300.0, 1729.0)])
    assert [row["pass"] for row in result["nbad"].values()] == [True, False]
    lines = table(result)
    assert lines[2].split()[-2:] == ["374", "PASS"]
    assert lines[3].split()[-2:] == ["1210", "FAIL"]
    with pytest.raises(ValueError, match="expected figures"):
        judged(None)
