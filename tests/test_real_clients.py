"""Clients that are not ours, dropped again and again through a whole night: nothing is missed."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import anyio
import pytest
from browser_kit import CHROMIUM, Browser
from daemon_kit import Daemon, serving, urls_at
from port_kit import free_port
from process_kit import ended
from websockets.sync.client import connect

from nbad.client import Batch, Dropped, Snapshot
from nbad.client import connect as ours
from nbad.simulator import simulate_night

GAMES, SEED = 4, 6
OPTIONS = ["--games", str(GAMES), "--seed", str(SEED), "--speed", "900"]
# Dropped after so many messages, each time.
STAY = 4
DEFLATE = "permessage-deflate"
NODE = ["node", "--experimental-websocket", "-e"]
# The second is found where NODE_PATH names a folder that `npm install ws` filled.
SOCKETS = ["WebSocket", "require('ws')"]


pytestmark = pytest.mark.slow


def view(games: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {
        game_id: (game["home"]["score"], game["away"]["score"])
        for game_id, game in games.items()
        if game["status"] == "final"
    }


@pytest.fixture(scope="module")
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """What each client makes of one night's stream, which all join before the night begins.

    On a busy machine a daemon, or a client, is slow to start, and most of the night would be over.
    """
    folder = tmp_path_factory.mktemp("real_clients")
    chromium: Browser | None = request.getfixturevalue("browser") if CHROMIUM else None
    with ended(), contextlib.ExitStack() as opened:
        follow: dict[str, Callable[[str], Any]] = {
            "websockets": in_python,
            "ours on asyncio": lambda url: anyio.run(with_ours, url, backend="asyncio"),
            "ours on trio": lambda url: anyio.run(with_ours, url, backend="trio"),
        }
        for sockets in SOCKETS:
            if has_node_with(sockets):
                follow[sockets] = partial(in_javascript, partial(in_node, sockets))
        if chromium:
            tab = opened.enter_context(chromium.tab())
            follow["chromium"] = partial(in_javascript, tab.evaluate)
        port = free_port()
        daemon = Daemon(folder / "daemon", *urls_at(port))
        url = f"ws://127.0.0.1:{daemon.port('stream')}/v1/stream"
        with ThreadPoolExecutor(len(follow)) as threads:
            told = {name: threads.submit(one, url) for name, one in follow.items()}
            while len(daemon.events("subscriber_joined")) < len(told) and not any(
                one.done() for one in told.values()
            ):
                daemon.pause()
            with serving(*OPTIONS, "--port", str(port)):
                wait(told.values())
                assert daemon.end() == 0
        yield told


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


def test_websockets_in_python(told: dict[str, Future[Any]]) -> None:
    judge(told["websockets"].result())


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
def test_ours_on_either_loop(told: dict[str, Future[Any]], backend: str) -> None:
    # Of ours tests/test_stream_deflate.py holds that.
    judge(told[f"ours on {backend}"].result(), deflates=False)


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


def has_node_with(sockets: str) -> bool:
    """Whether there is a node that has ``sockets``, a JavaScript expression, as its WebSocket."""
    if not shutil.which("node"):
        return False
    probe = f"process.exit(typeof ({sockets}) === 'function' ? 0 : 1)"
    return not subprocess.run([*NODE, probe], check=False, capture_output=True).returncode


def in_node(sockets: str, script: str) -> Any:
    """What the promise in the last line of ``script`` comes to in node."""
    lead, _, promise = script.rpartition("\n")
    told = f"{promise}.then((told) => {{ console.log(JSON.stringify(told)); process.exit(0) }})"
    done = subprocess.run(
        [*NODE, f"globalThis.WebSocket = {sockets}; {lead}\n{told}"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("sockets", SOCKETS)
def test_node(told: dict[str, Future[Any]], sockets: str) -> None:
    if sockets not in told:
        pytest.skip(f"no node has {sockets}")
    # Node's own does not offer it in every version.
    judge(told[sockets].result(), deflates=sockets != "WebSocket")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_chromium(told: dict[str, Future[Any]]) -> None:
    judge(told["chromium"].result())
