"""A real daemon under hostile and mutated requests at both of its doors, with fresh seeds."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from corpus import GET, HOSTILE, UPGRADE, masked, mutated
from daemon_kit import Daemon, get, messages, serving
from process_kit import start

# Of each door; as many more as CI likes: NBAD_FUZZ_S=600.
FUZZ_S = float(os.environ.get("NBAD_FUZZ_S", "2"))


def open_descriptors(daemon: Daemon) -> int:
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


def send(port: int, data: bytes, *, wait_s: float = 0.05) -> bytes:
    """What is answered to ``data`` until nothing comes for ``wait_s``."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0)) as sock:
        sock.settimeout(wait_s)
        with contextlib.suppress(OSError):
            sock.sendall(data)
            while part := sock.recv(65_536):
                got += part
    return got


@pytest.mark.slow
def test_hostile_requests_at_both_doors_cost_their_connections(tmp_path: Path) -> None:
    with serving("--games", "4", "--seed", "2", "--speed", "5") as urls:
        daemon = Daemon(tmp_path, *urls)
        http, stream = daemon.port("http"), daemon.port("stream")
        with daemon.stream() as healthy:
            incoming = messages(healthy)
            before = open_descriptors(daemon)
            for data in HOSTILE:
                answer = send(http, data)
                assert not answer or answer.startswith(b"HTTP/1.1 "), data[:80]
                assert b"evil.example" not in answer
                assert b" 500 " not in answer.partition(b"\r\n")[0], data[:80]
                send(stream, data.replace(b"GET / ", b"GET /v1/stream "))
            seed = time.time_ns()
            rng = random.Random(seed)
            give_up = time.monotonic() + 2 * FUZZ_S
            while time.monotonic() < give_up:
                send(http, mutated(rng), wait_s=0.002)
                send(stream, mutated(rng).replace(b"GET / ", b"GET /v1/stream "), wait_s=0.002)
                assert daemon.process.poll() is None, f"ended by the mutations of seed {seed}"
            assert get(f"http://127.0.0.1:{http}/livez")[0] == 200
            assert not daemon.events("http_failed"), f"seed {seed}"
            assert not daemon.events("subscriber_failed"), f"seed {seed}"
            seqs = [m["seq"] for _, m in zip(range(10), incoming, strict=False)
                    if m["type"] == "batch"]  # fmt: skip
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
            # Each of them is closed at the latest when its deadlines have passed.
            until = time.monotonic() + 30
            while open_descriptors(daemon) > before + 3:
                assert time.monotonic() < until, "descriptors leak"
                daemon.pause()
        lines = daemon.log.read_bytes().count(b"handshake_refused")
        assert lines < 10 * 20 * (1 + FUZZ_S)  # ten of a kind in ten seconds
        assert daemon.end() == 0


def test_what_holds_all_connections_leaves_the_health_checks_and_the_end(tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        daemon.wait_for("ready")
        http, stream = daemon.port("http"), daemon.port("stream")
        held = []
        try:
            for number in range(300):
                port = (http, stream)[number % 2]
                data = (b"", b"GET / HTTP/1.1\r\nA: ", GET * 50, masked(1) * 99)[number // 2 % 4]
                sock = socket.create_connection(
                    ("127.0.0.1", port), source_address=("127.0.0.2", 0)
                )
                held.append(sock)
                sock.setblocking(False)
                with contextlib.suppress(OSError):
                    sock.send(data)
            assert get(f"http://127.0.0.1:{http}/livez")[0] == 200
            with daemon.stream() as healthy:
                assert next(messages(healthy))["type"] == "welcome"
            assert daemon.end() == 0
        finally:
            for sock in held:
                sock.close()


@pytest.mark.slow
def test_out_of_descriptors_it_serves_who_is_there_and_takes_others_in_later(
    tmp_path: Path,
) -> None:
    few = 120
    with serving("--games", "2", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        daemon.wait_for("ready")
        assert daemon.end() == 0
        code = (
            f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({few}, {few}));"
            "os.execv(sys.executable, [sys.executable, '-m', 'nbad', *sys.argv[1:]])"
        )
        daemon.log.unlink()
        command = [sys.executable, "-c", code, "run", "--config", str(daemon.config)]
        daemon.process = start(command)
        daemon.wait_for("ready")
        assert daemon.events("descriptors_few")[0]["was"] == few
        port = daemon.port("stream")
        with daemon.stream() as healthy:
            incoming = messages(healthy)
            held = []
            for number in range(200):
                source = f"127.0.0.{2 + number % 50}", 0
                held.append(socket.create_connection(("127.0.0.1", port), source_address=source))
            assert [next(incoming)["type"] for _ in range(20)]
            assert get(f"http://127.0.0.1:{daemon.port('http')}/livez")[0] == 200
            for sock in held:
                sock.close()
            with daemon.stream() as late:
                assert next(messages(late))["type"] == "welcome"
        assert daemon.end() == 0


@pytest.mark.slow
def test_ten_newcomers_pass_a_storm_of_completed_handshakes_of_another_address(
    tmp_path: Path,
) -> None:
    """All of the storm came before them, and most of it is served after them."""
    storm = min(3000, int(Path("/proc/sys/net/core/somaxconn").read_text()) - 100)
    with (
        serving("--games", "2", "--seed", "2", "--speed", "60") as urls,
        contextlib.ExitStack() as opened,
    ):
        daemon = Daemon(tmp_path, *urls)
        daemon.wait_for("ready")
        port = daemon.port("stream")
        daemon.process.send_signal(signal.SIGSTOP)  # all wait in the kernel's queue meanwhile
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, storm + 500), hard))
        stormers, newcomers = (
            [
                opened.enter_context(
                    socket.create_connection(("127.0.0.1", port), source_address=(host, 0))
                )
                for _ in range(count)
            ]
            for host, count in (("127.0.0.2", storm), ("127.0.0.3", 10))
        )
        for sock in stormers:
            sock.sendall(UPGRADE)
        for sock in newcomers:
            sock.sendall(UPGRADE)
        daemon.process.send_signal(signal.SIGCONT)
        for sock in newcomers:
            got = b""
            while b'"welcome"' not in got:
                got += sock.recv(65_536)
        joined: list[str] = []  # who was served, in this order
        give_up = time.monotonic() + 60
        # Those of the storm that wait are served, too, at its rate.
        while joined.count("127.0.0.3") < 10 or joined.count("127.0.0.2") <= 310:
            assert time.monotonic() < give_up
            daemon.pause()
            told = daemon.events("subscriber_joined")
            joined = [event["address"].partition(":")[0] for event in told]
        last = len(joined) - joined[::-1].index("127.0.0.3")
        # What its rate lets in at once, and its turns while they had theirs.
        assert joined[:last].count("127.0.0.2") <= 300
        assert daemon.end() == 0


def test_a_storm_of_one_address_leaves_a_newcomer_of_another_its_turn(tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        daemon.wait_for("ready")
        port = daemon.port("stream")
        silent = [
            socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
            for _ in range(1500)
        ]
        try:
            # Were it behind them in one queue of 256 at once and 5 s each, it would wait for 25 s.
            with daemon.stream() as stream:
                assert next(messages(stream))["type"] == "welcome"
            assert not daemon.events("handshake_refused"), "the first deadlines have passed already"
        finally:
            for sock in silent:
                sock.close()
        signal.sigtimedwait([], 0.1)
        assert daemon.end() == 0
