"""The real daemon on a real socket: a night, reloads, signals, a death, and what is left of it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from daemon_kit import ANY_PORTS, NBAD, Daemon, follow, messages, serving
from websockets.exceptions import ConnectionClosed

from nbad.simulator import simulate_night

LIVE = Path(__file__).parent.parent.parent / "shared" / "data" / "live"


pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "fault",
    [
        "",
        "503:0.1",
        "429:0.05",
        "403:0.1",
        "regress:0.1",
        "html:0.1",
        "nulls:0.1",
        "truncate:0.1",
        "stall:0.03",
        "garbage:0.1",
    ],
)
def test_a_night_ends_with_the_true_scores(fault: str, tmp_path: Path) -> None:
    finals = simulate_night(3, 2).finals
    options = ["--games", "3", "--seed", "2", "--speed", "1500"]
    with serving(*options, *(["--fault", fault] if fault else [])) as urls:
        daemon = Daemon(tmp_path, *urls)
        with daemon.stream() as stream:
            games = follow(stream, finals)
        assert {game["forecast"]["home_win"] for game in games.values()} <= {0.0, 1.0}
        assert daemon.end() == 0
        assert not daemon.events("crashed")


def test_a_reload_drops_nobody_and_a_faulty_one_changes_nothing(tmp_path: Path) -> None:
    with serving("--games", "4", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        with daemon.stream() as stream:
            incoming = messages(stream)
            seqs = sequence(incoming)

            daemon.config.write_text(daemon.text + "[budgets_ms]\nparse = 0.0001\n")
            daemon.process.send_signal(signal.SIGHUP)
            changes = daemon.wait_for("reloaded")["changes"]
            assert changes == {"budgets_ms.parse": {"old": 20.0, "new": 0.0001}}
            seqs += sequence(incoming)
            give_up = time.monotonic() + 60
            while not (over := [e for e in daemon.events("over_budget") if e["stage"] == "parse"]):
                assert time.monotonic() < give_up
                daemon.pause()
            assert over[-1]["budget_ms"] == 0.0001

            daemon.config.write_text(daemon.text + "[budgets_ms]\nparze = 1\nemit = 'x'\n")
            daemon.process.send_signal(signal.SIGHUP)
            errors = daemon.wait_for("reload_rejected")["errors"]
            assert len(errors) == 2
            assert any("budgets_ms.parze" in e and "budgets_ms.parse" in e for e in errors)
            assert any("budgets_ms.emit: expected a valid number, was 'x'" in e for e in errors)
            seqs += sequence(incoming)

            daemon.config.write_text(daemon.text)
            daemon.process.send_signal(signal.SIGHUP)
            seqs += sequence(incoming)
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))

            daemon.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                list(incoming)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert daemon.process.wait(5) == 0
        assert len(daemon.events("reloaded")) == 2


def test_one_that_died_is_as_one_that_never_did(tmp_path: Path) -> None:
    finals = simulate_night(3, 4).finals
    with serving("--games", "3", "--seed", "4", "--speed", "500") as urls:
        # What the market said before a game is nowhere to be had after it began, but in the state
        # directory, which tests/test_odds_live.py is about.
        alone = f"{ANY_PORTS}[odds]\nenabled = false\n"
        steady = Daemon(tmp_path / "a", *urls, server=alone)
        mortal = Daemon(tmp_path / "b", *urls, server=alone)
        steady.wait_for("ready")
        with mortal.stream() as stream:
            for message in messages(stream):
                # On a machine that is very busy the night may be over before there are ten.
                if message.get("seq", 0) > 10 or message["type"] == "heartbeat":
                    break
        mortal.process.kill()
        mortal.process.wait()
        mortal.start()
        for daemon in (steady, mortal):
            with daemon.stream() as stream:
                follow(stream, finals)
        # The board says that it is over before the plays do, and on a machine that is very busy the
        # season's schedule, which rates the teams, is read after the first tick.
        views: list[dict[str, Any]] = [{}, {}]
        give_up = time.monotonic() + 60
        while not all(map(settled, views)) or views[0] != views[1]:
            if time.monotonic() > give_up:
                break
            steady.pause()
            views = [view(daemon) for daemon in (steady, mortal)]
        assert views[0] == views[1]
        assert [daemon.end() for daemon in (steady, mortal)] == [0, 0]
        assert all(len(game["series"]) >= 95 for game in views[0].values())


@pytest.mark.skipif(not LIVE.exists(), reason="needs ../shared/data/live")
def test_a_real_game_is_told_as_it_was_played(tmp_path: Path) -> None:
    record = [LIVE / f"{what}_0022000001.json" for what in ("playbyplay", "boxscore")]
    plays = json.loads(record[0].read_bytes())["game"]["actions"]
    with serving("--replay", *map(str, record), "--speed", "700") as urls:
        daemon = Daemon(tmp_path, *urls)
        told: dict[str, Any] = {}
        with daemon.stream() as stream:
            last = follow(stream, {"0022000001": (125, 99)}, told)["0022000001"]
        assert daemon.end() == 0
    assert last["forecast"]["home_win"] == 1.0
    assert last["forecast"]["margin"]["p50"] == 26
    assert len(told) > 30
    for source_time, game in told.items():
        # Where the board is ahead its date speaks, which is in whole seconds.
        second = source_time[:19]
        published = [play for play in plays if play["timeActual"] <= source_time]
        within = [play for play in plays if play["timeActual"][:19] == second]
        scores = {
            (int(play["scoreHome"]), int(play["scoreAway"])) for play in [*published[-1:], *within]
        }
        assert (game["home"]["score"], game["away"]["score"]) in scores


def sequence(incoming: Iterator[dict[str, Any]]) -> list[int]:
    """The seq of the next few messages that have one of their own."""
    return [m["seq"] for m in islice(incoming, 4) if m["type"] in ("snapshot", "batch")]


def view(daemon: Daemon) -> dict[str, Any]:
    """Its games as a snapshot tells them."""
    with daemon.stream() as stream:
        snapshot = next(m for m in messages(stream) if m["type"] == "snapshot")
    return {game["game_id"]: strip(game) for game in snapshot["games"]}


def settled(games: dict[str, Any]) -> bool:
    """Whether the plays say too that all of them are over."""
    return bool(games) and all(game["event"]["kind"] == "game" for game in games.values())


def strip(game: dict[str, Any]) -> dict[str, Any]:
    """Without what says when and how the daemon came to know it."""
    return {key: value for key, value in game.items() if key not in ("received_at", "corrected")}


def test_wrong_starts_say_why_and_end_with_their_code(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[server]\nprot = 1\n[model]\npath = "/nowhere"\n')
    done = subprocess.run(
        [*NBAD, "run", "--config", str(bad)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 78
    assert "server.prot: expected server.port or another known key" in done.stderr
    bad.write_text('[model]\npath = "/nowhere"\n')
    done = subprocess.run(
        [*NBAD, "check", "--config", str(bad)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 78
    assert "/nowhere/model.json: expected a model made by `nbad train`" in done.stderr
    done = subprocess.run([*NBAD, "run", "--nope"], capture_output=True, text=True, check=False)
    assert done.returncode == 64
