"""Clients that are not ours, dropped again and again through a whole night: nothing is missed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import pytest
from browser_kit import CHROMIUM, browser
from daemon_kit import Daemon, serving
from websockets.sync.client import connect

from nbad.client import Batch, Dropped, Snapshot
from nbad.client import connect as ours
from nbad.simulator import simulate_night

T = TypeVar("T")
GAMES, SEED = 4, 6
OPTIONS = ["--games", str(GAMES), "--seed", str(SEED), "--speed", "900"]
# Dropped after so many messages, each time.
STAY = 4
DEFLATE = "permessage-deflate"


pytestmark = pytest.mark.slow


def view(games: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {
        game_id: (game["home"]["score"], game["away"]["score"])
        for game_id, game in games.items()
        if game["status"] == "final"
    }


def through_a_night(folder: Path, follow: Callable[[str], T]) -> T:
    """What ``follow`` makes of the stream at a URL, which it joins before the night begins.

    On a busy machine a daemon, or a client, is slow to start, and most of the night would be over.
    """
    with serving(*OPTIONS) as urls:
        pass  # now it is known where it will be
    daemon = Daemon(folder, *urls)
    with ThreadPoolExecutor(1) as thread:
        told = thread.submit(follow, f"ws://127.0.0.1:{daemon.port('stream')}/v1/stream")
        while not told.done() and not daemon.events("subscriber_joined"):
            daemon.pause()
        with serving(*OPTIONS, "--port", str(urlsplit(urls[0]).port)):
            made = told.result()
            assert daemon.end() == 0
    return made


def in_python(url: str) -> dict[str, int]:
    finals = simulate_night(GAMES, SEED).finals
    games: dict[str, Any] = {}
    since, seq, told = "", None, Counter[str]()
    while view(games) != finals:
        with connect(url + since, max_size=None) as stream:
            told["deflated"] += [one.name for one in stream.protocol.extensions] == [DEFLATE]
            for _ in range(STAY):
                message = json.loads(stream.recv(timeout=30))
                found = message.get("games", message.get("messages"))
                if found is None:
                    continue
                told["snapshots"] += message["type"] == "snapshot"
                told["gaps"] += seq is not None and message["seq"] != seq + 1
                seq = message["seq"]
                since = f"?since={message['epoch']}.{seq}"
                games |= {game["game_id"]: game for game in found}
        told["drops"] += 1
    return told


def judge(told: Mapping[str, int], *, deflates: bool = True) -> None:
    assert told["gaps"] == 0
    if deflates:
        assert told["deflated"] >= told["drops"]
    assert told["snapshots"] == 1
    assert told["drops"] > 10


def test_websockets_in_python(tmp_path: Path) -> None:
    judge(through_a_night(tmp_path, in_python))


async def with_ours(url: str) -> dict[str, int]:
    finals = simulate_night(GAMES, SEED).finals
    told, stayed, seq = Counter[str](), 0, None
    async with ours(url) as feed:
        async for message in feed:
            assert not isinstance(message, Dropped) or "gap" not in message.reason
            if isinstance(message, Snapshot | Batch):
                told["snapshots"] += isinstance(message, Snapshot)
                told["gaps"] += seq is not None and message.seq != seq + 1
                seq = message.seq
                over = {g: game for g, game in feed.games.items() if game.status == "final"}
                if {g: (x.home.score, x.away.score) for g, x in over.items()} == finals:
                    break
            stayed += 1
            if stayed % STAY == 0:
                await feed.aclose()  # the next message is one of another connection
                told["drops"] += 1
    return told


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ours_on_either_loop(tmp_path: Path, backend: str) -> None:
    night = through_a_night(tmp_path, lambda url: anyio.run(with_ours, url, backend=backend))
    judge(night, deflates=False)  # of ours tests/test_stream_deflate.py holds that


# For node and browsers alike: come again after each drop until all scores are final.
FOLLOW = """
function follow(url, stay, finals) {
  const games = {}; let since = "", seq = null, drops = 0, gaps = 0, snapshots = 0, deflated = 0;
  function view() {
    const ended = Object.values(games).filter((game) => game.status === "final");
    ended.sort((a, b) => (a.game_id < b.game_id ? -1 : 1));
    return JSON.stringify(ended.map((game) => [game.game_id, game.home.score, game.away.score]));
  }
  return new Promise((done) => (function come() {
    const ws = new WebSocket(url + since, ["nbad.v1"]);
    let left = stay;
    ws.onopen = () => { deflated += ws.extensions.startsWith("permessage-deflate"); };
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
        if (view() === finals) {
          left = 0; ws.onclose = null;
          done({ drops, gaps, snapshots, deflated });
        }
      }
      if (left === 0) ws.close();
    };
    ws.onclose = () => { drops++; come(); };
  })());
}
"""


def in_javascript(run: Callable[[str], Any], url: str) -> Any:
    """The same, in what ``run`` evaluates an expression in, waiting for its promise."""
    finals = simulate_night(GAMES, SEED).finals
    wanted = json.dumps([[g, *score] for g, score in sorted(finals.items())], separators=(",", ":"))
    return run(f"{FOLLOW} follow(...{json.dumps([url, STAY, wanted])})")


def node_with(sockets: str) -> list[str]:
    """The command for a node that has ``sockets``, a JavaScript expression, as its WebSocket."""
    if not shutil.which("node"):
        pytest.skip("no node")
    command = ["node", "--experimental-websocket", "-e"]
    probe = f"process.exit(typeof ({sockets}) === 'function' ? 0 : 1)"
    if subprocess.run([*command, probe], check=False, capture_output=True).returncode:
        pytest.skip(f"this node has no {sockets}")
    return command


def in_node(command: list[str], sockets: str, script: str) -> Any:
    """What the promise in the last line of ``script`` comes to in node."""
    lead, _, promise = script.rpartition("\n")
    told = f"{promise}.then((told) => {{ console.log(JSON.stringify(told)); process.exit(0) }})"
    done = subprocess.run(
        [*command, f"globalThis.WebSocket = {sockets}; {lead}\n{told}"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# The second is found where NODE_PATH names a folder that `npm install ws` filled.
@pytest.mark.parametrize("sockets", ["WebSocket", "require('ws')"])
def test_node(tmp_path: Path, sockets: str) -> None:
    run = partial(in_node, node_with(sockets), sockets)
    told = through_a_night(tmp_path, partial(in_javascript, run))
    judge(told, deflates=sockets != "WebSocket")  # node's own does not offer it in every version


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_chromium(tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as tab:
        run = partial(in_javascript, tab.evaluate)
        judge(through_a_night(tmp_path / "daemon", run))
