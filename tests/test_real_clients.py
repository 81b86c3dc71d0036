"""Clients that are not ours, dropped again and again through a whole night: nothing is missed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
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


NODE = """
const [url, stay, finals] = [process.argv[1], +process.argv[2], process.argv[3]];
const games = {}; let since = "", seq = null, drops = 0, gaps = 0;
function view() {
  const ended = Object.values(games).filter((game) => game.status === "final");
  ended.sort((a, b) => (a.game_id < b.game_id ? -1 : 1));
  return JSON.stringify(ended.map((game) => [game.game_id, game.home.score, game.away.score]));
}
function follow() {
  const ws = new WebSocket(url + since, ["nbad.v1"]);
  let left = stay;
  ws.onmessage = ({ data }) => {
    if (left-- <= 0) return;
    const message = JSON.parse(data);
    const found = message.games ?? message.messages;
    if (found) {
      if (seq !== null && message.seq !== seq + 1) gaps++;
      seq = message.seq;
      since = `?since=${message.epoch}.${seq}`;
      for (const game of found) games[game.game_id] = game;
      if (view() === finals) { console.log(JSON.stringify({ drops, gaps })); process.exit(0); }
    }
    if (left === 0) ws.close();
  };
  ws.onclose = () => { drops++; follow(); };
}
follow();
"""


def test_node(tmp_path: Path) -> None:
    if not shutil.which("node"):
        pytest.skip("no node")
    command = ["node", "--experimental-websocket"]
    probe = [*command, "-e", "process.exit(typeof WebSocket == 'undefined' ? 1 : 0)"]
    if subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("this node has no WebSocket")
    finals = simulate_night(GAMES, SEED).finals
    wanted = json.dumps([[g, *score] for g, score in sorted(finals.items())], separators=(",", ":"))
    with serving(*OPTIONS) as urls:
        daemon = Daemon(tmp_path, *urls)
        with daemon.stream():
            pass
        port = daemon.port("stream")
        url = f"ws://127.0.0.1:{port}/v1/stream"
        done = subprocess.run(
            [*command, "-e", NODE, url, str(STAY), wanted],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert daemon.end() == 0
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["gaps"] == 0
    assert told["drops"] > 3
