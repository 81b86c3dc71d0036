"""Clients that are not ours, dropped again and again through a whole night: nothing is missed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from browser_kit import CHROMIUM, browser
from test_daemon_process import Daemon, serving
from websockets.sync.client import connect

from nbad.feed.simulator import simulate_night

GAMES, SEED = 4, 6
OPTIONS = ["--games", str(GAMES), "--seed", str(SEED), "--speed", "900"]
# Dropped after so many messages, each time.
STAY = 4


def view(games: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {
        game_id: (game["home"]["score"], game["away"]["score"])
        for game_id, game in games.items()
        if game["status"] == "final"
    }


def test_websockets_in_python(tmp_path: Path) -> None:
    finals = simulate_night(GAMES, SEED).finals
    games: dict[str, Any] = {}
    since, seq, drops, snapshots = "", None, 0, 0
    with serving(*OPTIONS) as urls:
        daemon = Daemon(tmp_path, *urls)
        with daemon.stream():
            pass
        port = daemon.port("stream")
        while view(games) != finals:
            with connect(f"ws://127.0.0.1:{port}/v1/stream{since}", max_size=None) as stream:
                for _ in range(STAY):
                    message = json.loads(stream.recv(timeout=30))
                    found = message.get("games", message.get("messages"))
                    if found is None:
                        continue
                    snapshots += message["type"] == "snapshot"
                    assert seq is None or message["seq"] == seq + 1
                    seq = message["seq"]
                    since = f"?since={message['epoch']}.{seq}"
                    games |= {game["game_id"]: game for game in found}
                    if view(games) == finals:
                        break
            drops += 1
        assert daemon.end() == 0
    assert drops > 3
    assert snapshots == 1


# For node and browsers alike: come again after each drop until all scores are final.
FOLLOW = """
function follow(url, stay, finals) {
  const games = {}; let since = "", seq = null, drops = 0, gaps = 0, snapshots = 0;
  function view() {
    const ended = Object.values(games).filter((game) => game.status === "final");
    ended.sort((a, b) => (a.game_id < b.game_id ? -1 : 1));
    return JSON.stringify(ended.map((game) => [game.game_id, game.home.score, game.away.score]));
  }
  return new Promise((done) => (function come() {
    const ws = new WebSocket(url + since, ["nbad.v1"]);
    let left = stay;
    ws.onmessage = ({ data }) => {
      if (left-- <= 0) return;
      const message = JSON.parse(data);
      const found = message.games ?? message.messages;
      if (found) {
        if (seq !== null && message.seq !== seq + 1) gaps++;
        snapshots += message.type === "snapshot";
        seq = message.seq;
        since = `?since=${message.epoch}.${seq}`;
        for (const game of found) games[game.game_id] = game;
        if (view() === finals) { left = 0; ws.onclose = null; done({ drops, gaps, snapshots }); }
      }
      if (left === 0) ws.close();
    };
    ws.onclose = () => { drops++; come(); };
  })());
}
"""


def follow_in_javascript(tmp_path: Path, run: Callable[[str], Any]) -> None:
    """A whole night in what ``run`` evaluates an expression in, waiting for its promise."""
    finals = simulate_night(GAMES, SEED).finals
    wanted = json.dumps([[g, *score] for g, score in sorted(finals.items())], separators=(",", ":"))
    with serving(*OPTIONS) as urls:
        daemon = Daemon(tmp_path, *urls)
        with daemon.stream():
            pass
        port = daemon.port("stream")
        arguments = json.dumps([f"ws://127.0.0.1:{port}/v1/stream", STAY, wanted])
        told = run(f"{FOLLOW} follow(...{arguments})")
        assert daemon.end() == 0
    assert told["gaps"] == 0
    assert told["snapshots"] == 1
    assert told["drops"] > 3


def in_node(script: str, sockets: str) -> Any:
    """What a promise comes to in node, its WebSocket being ``sockets``."""
    if not shutil.which("node"):
        pytest.skip("no node")
    command = ["node", "--experimental-websocket", "-e"]
    probe = f"process.exit(typeof ({sockets}) === 'function' ? 0 : 1)"
    if subprocess.run([*command, probe], check=False, capture_output=True).returncode:
        pytest.skip(f"this node has no {sockets}")
    lead, _, promise = script.rpartition("\n")
    done = subprocess.run(
        [
            *command,
            f"globalThis.WebSocket = {sockets}; {lead}\n"
            f"{promise}.then((told) => {{ console.log(JSON.stringify(told)); process.exit(0) }})",
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# The second is found where NODE_PATH names a folder that `npm install ws` filled.
@pytest.mark.parametrize("sockets", ["WebSocket", "require('ws')"])
def test_node(tmp_path: Path, sockets: str) -> None:
    follow_in_javascript(tmp_path, partial(in_node, sockets=sockets))


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_chromium(tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as tab:
        follow_in_javascript(tmp_path / "daemon", tab.evaluate)
