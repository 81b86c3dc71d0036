"""Relays, daemons and the broker as processes that are killed and stopped: nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import trio
from process_kit import start
from redis_kit import Redis, needs_redis
from relay_kit import NBAD, PORTS, Follower, Nbad, night, until
from trio.testing import MockClock

from nbad.exit_codes import CONFIG, OK, UNAVAILABLE
from nbad.relay.workers import _keep, _Worker
from nbad.systemd.notify import Notifier

pytestmark = needs_redis

LEASE_S = 3.0
NIGHT = ("--games", "3", "--speed", "15", "--seed", "4")


def publish(redis: Redis, lease_s: float = LEASE_S, **more: str) -> str:
    extra = "".join(f"{key} = {value}\n" for key, value in more.items())
    return f'[publish]\nurl = "{redis.url}"\nlease_s = {lease_s}\n{extra}'


@pytest.mark.slow
def test_a_client_that_is_moved_and_killed_around_misses_nothing(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    client = Follower()
    with night(*NIGHT) as feed:
        daemon = Nbad(tmp_path, "run", feed + PORTS + publish(redis))
        daemon.wait_for("leading")
        relay = Nbad(tmp_path, "relay", PORTS + publish(redis))
        client.connect(relay.ports("stream")[0])
        client.take_batches(5)

        def plays(service: Nbad) -> list[list[object]]:
            paths = [f"/v1/games/{game_id}/plays" for game_id in sorted(client.view.games)]
            return [json.loads(service.get(path)[1])["plays"] for path in paths]

        at_first = plays(relay)
        for service in (daemon, relay, daemon, relay):
            client.connect(service.ports("stream")[0])
            client.take_batches(3)
        assert client.snapshots == 1
        # The relay dies, and another begins with the log alone.
        relay.kill()
        relay.start()
        client.connect(relay.ports("stream")[0])
        client.take_batches(3)
        assert client.snapshots == 1
        # The broker stands still: the daemon's own subscribers do not notice, and what the log
        # lacks it gets afterwards.
        redis.process.send_signal(signal.SIGSTOP)
        near = Follower()
        near.connect(daemon.ports("stream")[0])
        daemon.wait_for("publish_failed")
        near.take_batches(5)
        redis.process.send_signal(signal.SIGCONT)
        client.take_batches(10)
        # The broker dies and comes back with what it has written.
        redis.kill()
        relay.wait_for("log_unreachable")
        near.take_batches(3)
        redis.start()
        client.take_batches(10)
        assert client.snapshots == 1
        assert len(client.epochs) == 1
        assert not daemon.events("publish_lost")
        status, page = relay.get("/")
        assert status == 200
        assert b"<title>" in page
        assert until(relay.is_ready, "the relay is not ready")
        games = json.loads(relay.get("/v1/games")[1])["games"]
        told = json.loads(relay.get(f"/v1/games/{games[0]['game_id']}")[1])
        assert told["series"]
        assert told["scoring"]

        def are_told() -> bool:
            shown = plays(relay)
            pairs = zip(plays(daemon), shown, strict=True)
            return shown != at_first and all(known[: len(told)] == told for known, told in pairs)

        # Every 10 s it is told more of them: since the first time at least once, and a play that
        # the scorers corrected meanwhile the next time.
        until(are_told, "the relay is told no more plays")
        assert b"nbad_relay_gaps_total 0.0" in relay.get("/metrics")[1]
        near.close()
        client.close()
        assert (relay.end(), daemon.end()) == (OK, OK)


@pytest.mark.slow
def test_another_daemon_goes_on_where_the_leader_dies(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    client = Follower()
    with night(*NIGHT) as feed:
        text = feed + PORTS + publish(redis, LEASE_S, required="true")
        one, two = (Nbad(tmp_path, name, text, "run") for name in ("one", "two"))
        relay = Nbad(tmp_path, "relay", PORTS + publish(redis))
        client.connect(relay.ports("stream")[0])
        client.take_batches(3)
        for _ in range(2):
            until(lambda: one.leads() != two.leads(), "not one of two leads")
            leader, other = (one, two) if one.leads() else (two, one)
            other.wait_for("standing_by")
            assert b"standing by" in other.get("/readyz")[1]
            epochs, snapshots = len(client.epochs), client.snapshots
            leader.kill()
            died_at = time.monotonic()
            until(other.leads, "nobody took over")
            while len(client.epochs) == epochs:
                client.take()
            # Two leases, and what a busy machine adds.
            assert time.monotonic() - died_at < 2 * LEASE_S + 20
            client.take_batches(3)
            assert client.snapshots == snapshots + 1
            assert until(other.is_ready, "the new leader is not ready")
            leader.start()
        # Asked to end, the leader hands over at once.
        until(lambda: leader.events("standing_by"), "the one that came back does not stand by")
        epochs = len(client.epochs)
        assert other.end() == OK
        until(leader.leads, "nobody took over")
        while len(client.epochs) == epochs:
            client.take()
        client.close()
        assert (relay.end(), leader.end()) == (OK, OK)


@pytest.mark.slow
def test_workers_share_a_port_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    with night(*NIGHT) as feed:
        daemon = Nbad(tmp_path, "run", feed + PORTS + publish(redis))
        daemon.wait_for("leading")
        relay = Nbad(tmp_path, "relay", PORTS + publish(redis), "relay", "--workers", "2")
        relay.wait_for("ready", 2)
        assert len(set(relay.ports("stream"))) == 1
        assert len(set(relay.ports("http"))) == 2
        port = relay.ports("stream")[0]
        clients = [Follower() for _ in range(8)]
        for client in clients:
            client.connect(port)
            client.take_batches(1)
        victim = relay.events("worker_started")[0]["pid"]
        os.kill(victim, signal.SIGKILL)
        relay.wait_for("worker_started", 3)
        assert relay.wait_for("worker_ended")["code"] == -signal.SIGKILL
        # Whoever comes while it restarts waits in its queue; the others' subscribers stay.
        for client in clients:
            client.connect(port)
            client.take_batches(1)
            client.close()
        relay.process.send_signal(signal.SIGHUP)
        relay.wait_for("reloaded", 2)
        text = relay.config.read_text()
        relay.config.write_text(text.replace("[server]\nport = 0", "[server]\nport = 1"))
        relay.process.send_signal(signal.SIGHUP)
        assert "until nbad is restarted" in relay.wait_for("listen_failed", 2)["error"]
        assert relay.end() == OK
        assert daemon.end() == OK


async def test_a_worker_without_a_broker_does_not_end_one_that_came_up_meanwhile(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    workers = [_Worker(number, "", ()) for number in range(2)]
    ending, lives = trio.Event(), 0

    async def run_once(*_: object) -> int:
        nonlocal lives
        lives += 1
        workers[1].ready = True
        if lives == 3:
            ending.set()
        return UNAVAILABLE

    monkeypatch.setattr("nbad.relay.workers._run_once", run_once)
    await _keep(None, workers[0], workers, ending, Notifier({}))
    assert lives == 3


def test_a_file_that_is_faulty_when_a_worker_dies_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "manager"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "manager"))
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    redis = Redis(tmp_path)
    relay = Nbad(tmp_path, "relay", PORTS + publish(redis), "relay", "--workers", "2")
    relay.wait_for("ready", 2)
    text = relay.config.read_text()
    relay.config.write_text(f"{text}colour = 1\n")
    os.kill(relay.events("worker_started")[0]["pid"], signal.SIGKILL)
    assert relay.wait_for("worker_ended", 2)["code"] == CONFIG
    assert relay.process.poll() is None
    # Nor does the service manager, which would take all of them for stuck.
    manager.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while manager.recv(4096):
            pass
    manager.settimeout(60.0)
    while manager.recv(4096) != b"WATCHDOG=1":
        pass
    relay.config.write_text(text)
    relay.wait_for("ready", 3)
    manager.close()
    assert relay.end() == OK


@pytest.mark.parametrize(
    ("options", "named", "code", "complaint"),
    [
        ((), False, CONFIG, "publish.url: expected the broker"),
        ((), True, UNAVAILABLE, "is unavailable"),
        (("--workers", "2"), True, UNAVAILABLE, "is unavailable"),
    ],
    ids=["unnamed", "away", "away from workers"],
)
def test_a_relay_without_a_broker_ends_and_says_what_to_do(
    tmp_path: Path, options: tuple[str, ...], named: bool, code: int, complaint: str
) -> None:
    redis = Redis(tmp_path)
    redis.kill()
    config, errors = tmp_path / "nbad.toml", tmp_path / "errors"
    config.write_text(f"{PORTS}{publish(redis) if named else ''}[log]\nfile = '{tmp_path}/log'\n")
    with errors.open("wb") as said:
        relay = start([*NBAD, "relay", *options, "--config", str(config)], stderr=said)
        assert relay.wait(60) == code
    line = errors.read_text().splitlines()[0]
    assert line.startswith("nbad relay: ")
    assert complaint in line


def test_workers_whose_http_ports_would_end_past_the_last_one_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "nbad.toml"
    config.write_text('[publish]\nurl = "redis://127.0.0.1:1"\n[http]\nport = 65534\n')
    command = [*NBAD, "relay", "--workers", "3", "--config", str(config)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == CONFIG
    assert "http.port: expected one with 2 more after it, was 65534" in done.stderr
