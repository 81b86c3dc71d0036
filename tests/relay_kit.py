"""Daemons and relays as processes on a real Redis and a simulated night, and a strict client."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from process_kit import start
from websockets.sync.client import ClientConnection, connect

from nbad.client.messages import BY_TYPE, Batch, Heartbeat, Snapshot
from nbad.client.view import View

NBAD = [sys.executable, "-m", "nbad"]
PATIENCE_S = 60.0
PORTS = "[server]\nport = 0\nheartbeat_s = 1.0\n[http]\nport = 0\n"


def until(true: Callable[[], Any], what: str) -> Any:
    """Wait for ``true`` to say something that is, and return it."""
    give_up = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < give_up, what
        signal.sigtimedwait([], 0.02)
    return found


@contextlib.contextmanager
def night(*options: str) -> Iterator[str]:
    """A simulated feed; the section of the configuration that names it."""
    feed = start([*NBAD, "feed", *options], stdout=subprocess.PIPE, text=True)
    assert feed.stdout
    base, schedule = (feed.stdout.readline().split()[1] for _ in range(2))
    yield (
        f'[feed]\nbase_url = "{base}"\nschedule_url = "{schedule}"\ntimeout_s = 2.0\n'
        "[poll]\nlive_interval_s = 0.1\nidle_interval_s = 0.2\nrefresh_interval_s = 0.3\n"
        "max_requests_per_s = 500.0\n"
        "[odds]\nenabled = false\n"  # a daemon that begins in mid-game has no way to know them
    )
    feed.terminate()
    feed.wait(PATIENCE_S)


class Nbad:
    """``nbad run`` or ``nbad relay`` with a configuration and a log of its own."""

    def __init__(
        self, folder: Path, name: str, text: str, *command: str, within: Sequence[str] = ()
    ) -> None:
        """``within`` goes before the command where it runs elsewhere."""
        self.config, self.log = folder / f"{name}.toml", folder / f"{name}.log"
        self.config.write_text(f'{text}[log]\nfile = "{self.log}"\n')
        self.command = command or (name,)
        self.within = within
        self.host = "127.0.0.1"
        self.start()

    def start(self) -> None:
        self.log.unlink(missing_ok=True)
        self.process = start([*self.within, *NBAD, *self.command, "--config", str(self.config)])

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.log.read_bytes().splitlines() if self.log.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def leads(self) -> bool:
        """Whether it holds the lease, as its log says."""
        turns = ("leading", "standing_by", "lease_lost")
        lines = self.log.read_bytes().splitlines() if self.log.exists() else []
        said = [event["event"] for event in map(json.loads, lines) if event["event"] in turns]
        return said[-1:] == ["leading"]

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            assert self.process.poll() is None, f"{self.command} ended"
            events = self.events(name)
            return events[-1] if len(events) >= count else None

        event: dict[str, Any] = until(found, f"{self.command}: no event {name}")
        return event

    def ports(self, service: str) -> list[int]:
        self.wait_for("ready")
        return [event["port"] for event in self.events("listening") if event["service"] == service]

    def get(self, path: str) -> tuple[int, bytes]:
        request = f"http://{self.host}:{self.ports('http')[-1]}{path}"
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def is_ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


def compare(one: Nbad, other: Nbad) -> int:
    """See that both come to forecast the same of each game, knowing the same; points compared.

    The schedule they know later than the plays: no tick waits for it.
    """

    def known(game: Any) -> tuple[Any, ...]:
        state = [game[key] for key in ("status", "period", "clock_s", "corrected")]
        if game["status"] != "scheduled":  # before it, that is when its board was asked for
            state.append(game["source_time"])
        return state, game["event"], game["home"]["score"], game["away"]["score"]

    left = [game["game_id"] for game in json.loads(one.get("/v1/games")[1])["games"]]
    points = 0

    def same() -> bool:
        nonlocal points
        for game_id in list(left):
            ours, theirs = (
                json.loads(each.get(f"/v1/games/{game_id}")[1]) for each in (one, other)
            )
            forecast = all(ours[key] == theirs[key] for key in ("pattern", "forecast", "series"))
            if known(ours) == known(theirs) and forecast and not ours["corrected"]:
                points += len(ours["series"])
                left.remove(game_id)
        return not left

    until(same, "they never knew the same")
    return points


class Follower:
    """A client that takes a batch that is lost or comes twice for a fault, and keeps what came."""

    def __init__(self) -> None:
        self.view = View(filtered=False)
        self.epochs: list[str] = []
        self.snapshots = self.batches = 0
        self.feeds: list[str] = []
        self.stream: ClientConnection | None = None
        self._open = contextlib.ExitStack()

    def connect(self, port: int, host: str = "127.0.0.1") -> None:
        """Go on at ``port`` from what was seen."""
        self.close()
        since = f"?since={self.view.since}" if self.view.since else ""
        url = f"ws://{host}:{port}/v1/stream{since}"
        self.stream = self._open.enter_context(connect(url, max_size=None, max_queue=None))

    def close(self) -> None:
        self._open.close()
        self.stream = None

    def take(self) -> Any:
        """The next message."""
        assert self.stream is not None
        raw = json.loads(self.stream.recv(timeout=PATIENCE_S))
        message = BY_TYPE[raw["type"]].model_validate(raw)
        self.view.take(message)
        if isinstance(message, Snapshot):
            self.snapshots += 1
        if isinstance(message, Batch):
            self.batches += 1
        if isinstance(message, Heartbeat):
            self.feeds.append(message.feed)
        if isinstance(message, (Snapshot, Batch)) and message.epoch not in self.epochs[-1:]:
            self.epochs.append(message.epoch)
        return message

    def take_batches(self, count: int) -> None:
        """So many more."""
        wanted = self.batches + count
        while self.batches < wanted:
            self.take()
