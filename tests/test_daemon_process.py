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
from daemon_kit import ANY_PORTS, NBAD, Daemon, follow, messages, serving, urls_at
from port_kit import free_port
from websockets.exceptions import ConnectionClosed

from nbad.simulator import simulate_night

LIVE = Path(__file__).parent.parent.parent / "shared" / "data" / "live"


pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "faults",
    [
        (),
        ("503:0.04", "429:0.02", "403:0.04", "stall:0.02"),
        ("regress:0.04", "html:0.04", "nulls:0.04", "truncate:0.04", "garbage:0.04", "reset:0.04"),
    ],
    ids=["well", "unanswered", "misinformed"],
)
def test_a_night_ends_with_the_true_scores(faults: tuple[str, ...], tmp_path: Path) -> None:
    finals = simulate_night(3, 2).finals
    options = ["--games", "3", "--seed", "2", "--speed", "1500"]
    for fault in faults:
        options += ["--fault", fault]
    with serving(*options) as urls:
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
            rotated = daemon.log.rename(tmp_path / "nbad.log.1")
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
        assert daemon.process.wait(60) == 0
        assert len(daemon.events("reloaded")) == 1
        assert b'"reload_rejected"' not in rotated.read_bytes()


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
        # The board says that it is over before the plays do, and all is forecast anew once the
        # schedule is read, which no tick waits for.
        give_up = time.monotonic() + 60
        while True:
            one, other = last_told(steady), last_told(mortal)
            if one == other and {game["event"]["kind"] for game in one.values()} == {"game"}:
                break
            assert time.monotonic() < give_up, (one, other)
            steady.pause()
        assert steady.end() == mortal.end() == 0
        assert all(len(game["series"]) >= 95 for game in one.values())


@pytest.mark.skipif(not LIVE.exists(), reason="needs ../shared/data/live")
def test_a_real_game_is_told_as_it_was_played(tmp_path: Path) -> None:
    record = [LIVE / f"{what}_0022000001.json" for what in ("playbyplay", "boxscore")]
    plays = json.loads(record[0].read_bytes())["game"]["actions"]
    port = free_port()
    daemon = Daemon(tmp_path, *urls_at(port))
    daemon.port("stream")
    with serving("--replay", *map(str, record), "--speed", "700", "--port", str(port)):
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


def last_told(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """Each game, without what says when and how the daemon came to know it."""
    with daemon.stream() as stream:
        snapshot = next(message for message in messages(stream) if message["type"] == "snapshot")
    when = ("received_at", "corrected")
    return {
        game["game_id"]: {key: value for key, value in game.items() if key not in when}
        for game in snapshot["games"]
    }


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
