"""The real daemon and a feed for it, as processes, and what their stream says."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from process_kit import start
from websockets.sync.client import ClientConnection, connect

from nbad.simulator.server import FeedAddress

NBAD = [sys.executable, "-m", "nbad"]
_PATIENCE_S = 60.0
ANY_PORTS = "[server]\nport = 0\n[http]\nport = 0\n"


class Daemon:
    """A running ``nbad run`` with its configuration and its log, where ``server`` says."""

    def __init__(self, folder: Path, feed: str, schedule: str, *, server: str = ANY_PORTS) -> None:
        folder.mkdir(exist_ok=True)
        self.config, self.log = folder / "nbad.toml", folder / "nbad.log"
        self.text = (
            f'[feed]\nbase_url = "{feed}"\nschedule_url = "{schedule}"\n'
            "timeout_s = 1.5\nbackoff_s = 0.02\n"
            "[poll]\nlive_interval_s = 0.1\nidle_interval_s = 0.2\nrefresh_interval_s = 0.3\n"
            f"max_requests_per_s = 500.0\n{server}"
            f'[log]\nfile = "{self.log}"\n'
        )
        self.config.write_text(self.text)
        self.start()

    def start(self) -> None:
        self.log.unlink(missing_ok=True)
        self.process = start([*NBAD, "run", "--config", str(self.config)])

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.log.read_bytes().splitlines() if self.log.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def wait_for(self, name: str) -> dict[str, Any]:
        give_up = time.monotonic() + _PATIENCE_S
        while not (found := self.events(name)):
            assert self.process.poll() is None, "the daemon ended"
            assert time.monotonic() < give_up, f"no event {name}"
            signal.sigtimedwait([], 0.02)
        return found[-1]

    def port(self, service: str) -> int:
        """Where it serves the stream, or http."""
        give_up = time.monotonic() + _PATIENCE_S
        while True:
            self.wait_for("listening")
            for event in reversed(self.events("listening")):
                if event["service"] == service:
                    return int(event["port"])
            assert time.monotonic() < give_up, f"{service} does not listen"
            self.pause()

    def pause(self) -> None:
        signal.sigtimedwait([], 0.05)

    def stream(self) -> ClientConnection:
        self.wait_for("ready")
        return connect(f"ws://127.0.0.1:{self.port('stream')}/v1/stream", max_size=None)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE_S)


class Urls(list[str]):
    """Where a feed's board and schedule are; ``process`` serves them."""

    process: subprocess.Popen[str]


def urls_at(port: int) -> tuple[str, str]:
    """Where board and schedule are of a feed that is yet to serve at ``port``: a night that begins
    when all who follow it are there is not over by then on a busy machine."""
    feed = FeedAddress("127.0.0.1", port)
    return feed.base_url, feed.schedule_url


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Urls]:
    feed = start([*NBAD, "feed", *options], stdout=subprocess.PIPE, text=True)
    assert feed.stdout
    urls = Urls(feed.stdout.readline().split()[1] for _ in range(2))
    urls.process = feed
    yield urls
    feed.terminate()
    assert feed.wait(_PATIENCE_S) == 0


def messages(stream: ClientConnection) -> Iterator[dict[str, Any]]:
    while True:
        yield json.loads(stream.recv(timeout=_PATIENCE_S))


def follow(
    stream: ClientConnection,
    finals: dict[str, tuple[int, int]],
    told: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The last message of each game, once every score is final; asserts that seq has no gap.

    ``told`` takes each message that says when its last play was, by that time.
    """
    games: dict[str, Any] = {}
    seq = None
    for message in messages(stream):
        if message["type"] in ("snapshot", "batch"):
            assert seq is None or message["seq"] == seq + 1
            seq = message["seq"]
        for game in message.get("games", message.get("messages", ())):
            assert game["differential"] == game["home"]["score"] - game["away"]["score"]
            assert game["pattern"][-1] == game["differential"]
            games[game["game_id"]] = game
            if told is not None and game["source_time"]:
                told[game["source_time"]] = game
        ended = {i: g for i, g in games.items() if g["status"] == "final"}
        if {i: (g["home"]["score"], g["away"]["score"]) for i, g in ended.items()} == finals:
            return games
    raise AssertionError("the stream ended")


def get(url: str) -> tuple[int, bytes]:
    """Status and body, of an error too."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def until_status(url: str, status: int) -> Any:
    """What ``url`` says once it answers with ``status``."""
    give_up = time.monotonic() + _PATIENCE_S
    while (found := get(url))[0] != status:
        assert time.monotonic() < give_up, found
        signal.sigtimedwait([], 0.05)
    return json.loads(found[1])
