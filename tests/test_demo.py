"""``nbad demo``: a newcomer's night, with a client that is not ours on its stream."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process_kit import start
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from nbad.simulator import simulate_night

pytestmark = pytest.mark.slow


def listen(stream: ClientConnection, seen: Counter[str], games: dict[str, Any]) -> None:
    while True:
        message = json.loads(stream.recv(timeout=60))
        seen[message["type"]] += 1
        for game in message.get("games", message.get("messages", ())):
            assert 0 <= game["forecast"]["home_win"] <= 1
            games[game["game_id"]] = game


def test_it_runs_beside_a_folder_of_its_name_and_its_reader_may_leave(tmp_path: Path) -> None:
    # As in the folder above a checkout, with the environment of a service.
    (tmp_path / "nbad").mkdir()
    environ = os.environ | {
        "NBAD_FEED__BASE_URL": "http://127.0.0.1:1/x", "NBAD_LOG__FORMAT": "console",
        "STATE_DIRECTORY": str(tmp_path / "state"),
    }  # fmt: skip
    code = "import sys; from nbad.cli import main; sys.exit(main())"
    command = [sys.executable, "-P", "-c", code, "demo", "--games", "2", "--speed", "60"]
    demo = start(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=environ,
    )  # fmt: skip
    assert demo.stdout
    assert demo.stderr
    told = [demo.stdout.readline() for _ in range(8)]
    assert any(" @ " in line for line in told), told
    demo.stdout.close()
    assert demo.wait(60) == 0
    assert demo.stderr.read() == ""
    assert not (tmp_path / "state").exists()


def test_ten_games_are_told_until_they_end(sent_elsewhere: Callable[[], Counter[str]]) -> None:
    # The demo's night is tonight, so that its ids are other ones: the scores are the seed's.
    finals = Counter(simulate_night(10, 3).finals.values())
    command = [sys.executable, "-m", "nbad", "demo", "--speed", "700", "--seed", "3"]
    seen: Counter[str] = Counter()
    games: dict[str, Any] = {}
    demo = start(command, stdout=subprocess.PIPE, text=True)
    assert demo.stdout
    url = next(line.split()[1] for line in demo.stdout if line.startswith("stream"))
    with connect(url, max_size=None) as stream, pytest.raises(ConnectionClosed) as closed:
        listen(stream, seen, games)
    told = demo.stdout.read()
    assert demo.wait(60) == 0
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert "the night is over" in told
    assert re.search(r"at tip-off +favourite won \d+ of 10, margin in 80% band \d", told)
    assert max(map(len, told.splitlines())) <= 80
    assert seen["welcome"] == seen["snapshot"] == 1
    assert seen["batch"] > 10
    assert {game["status"] for game in games.values()} == {"final"}
    scores = ((game["home"]["score"], game["away"]["score"]) for game in games.values())
    assert Counter(scores) == finals
    assert sent_elsewhere()["batch"] == seen["batch"]  # the demo's messages were judged, too
