"""The JavaScript client in node, on a real daemon, dropped again and again: no gap."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from daemon_kit import Daemon, get, serving
from process_kit import start

NODE = shutil.which("node")
MODULE = Path(__file__).parent.parent / "nbad" / "web" / "static" / "nbad.js"
SCRIPT = """
import { follow } from MODULE;
class Flaky extends WebSocket {
  constructor(...all) {
    super(...all);
    let count = 0;
    this.addEventListener("message", () => { if (++count === 4) this.close(); });
  }
}
const numbers = [];
let drops = 0;
const stream = follow(URL_, {
  state: (state) => { drops += state === "dropped"; },
  message(message) {
    if (message.type === "snapshot") numbers.push(["snapshot", message.seq]);
    if (message.type === "batch") numbers.push(["batch", message.seq]);
    if (drops < 6 || message.type !== "batch") return;
    stream.close();
    console.log(JSON.stringify({ numbers, games: [...stream.games.keys()] }));
    process.exit(0);
  },
}, { WebSocket: Flaky });
"""


@pytest.mark.slow
@pytest.mark.skipif(NODE is None, reason="needs node")
def test_node_follows_a_night_through_every_drop(tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "2", "--speed", "200") as urls:
        daemon = Daemon(tmp_path / "daemon", *urls)
        daemon.wait_for("ready")
        url = f"ws://127.0.0.1:{daemon.port('stream')}/v1/stream"
        script = tmp_path / "follow.mjs"
        text = SCRIPT.replace("MODULE", json.dumps(MODULE.as_uri()))
        script.write_text(text.replace("URL_", json.dumps(url)))
        assert NODE
        # In node 20 the WebSocket of node 22 is behind this flag; it does nothing there.
        command = [NODE, "--experimental-websocket", str(script)]
        node = start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        told, errors = node.communicate(timeout=120)
        assert node.returncode == 0, errors
        seen = json.loads(told.splitlines()[-1])
        kinds, numbers = zip(*seen["numbers"], strict=True)
        assert kinds.count("snapshot") == 1
        assert list(numbers) == list(range(numbers[0], numbers[0] + len(numbers)))
        games = json.loads(get(f"http://127.0.0.1:{daemon.port('http')}/v1/games")[1])["games"]
        assert sorted(seen["games"]) == sorted(game["game_id"] for game in games)
        assert daemon.end() == 0


UNFILTERED = """
import { follow } from MODULE;
class Full {
  constructor() {
    const told = { type: "error", code: "too_many_filters", detail: "none more" };
    queueMicrotask(() => this.onmessage({ data: JSON.stringify(told) }));
  }
  close() {}
}
const state = (_, reason) => { console.log(reason); process.exit(0); };
follow("ws://x/", { state }, { WebSocket: Full, teams: ["BOS"] });
setTimeout(() => process.exit(1), 1000);
"""


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_a_filter_that_there_is_no_room_for_is_tried_again(tmp_path: Path) -> None:
    """It would follow nothing, and say so to nobody."""
    script = tmp_path / "full.mjs"
    script.write_text(UNFILTERED.replace("MODULE", json.dumps(MODULE.as_uri())))
    assert NODE
    done = subprocess.run([NODE, str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "too_many_filters: none more\n")
