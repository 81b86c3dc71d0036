"""The notification protocol, against a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nbad.systemd.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[socket.socket, Notifier]]:
    """A service manager's socket, and a notifier that knows its address."""
    name = f"@nbad-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if name.startswith("@") else name)
        listener.settimeout(5)
        yield listener, Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})


def test_each_message_is_one_datagram(manager: tuple[socket.socket, Notifier]) -> None:
    listener, notifier = manager
    notifier.ready("10 games")
    notifier.status("Dončić — 41\nREADY=0")
    notifier.stopping()
    notifier.watchdog()
    assert listener.recv(4096) == b"READY=1\nSTATUS=10 games"
    assert listener.recv(4096).decode() == "STATUS=Dončić — 41 READY=0"
    assert listener.recv(4096) == b"STOPPING=1"
    assert listener.recv(4096) == b"WATCHDOG=1"


def test_a_reload_carries_its_moment(manager: tuple[socket.socket, Notifier]) -> None:
    listener, notifier = manager
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    first, second = listener.recv(4096).decode().splitlines()
    assert first == "RELOADING=1"
    key, _, moment = second.partition("=")
    assert key == "MONOTONIC_USEC"
    assert before <= int(moment) <= time.monotonic_ns() // 1000


def test_without_a_service_manager_nothing_happens() -> None:
    with capture_logs() as logs:
        Notifier({}).ready("")
    assert logs == []


def test_a_missing_socket_is_logged_once(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "30000000"})
    with capture_logs() as logs:
        notifier.ready("")
        notifier.watchdog()
    assert [entry["event"] for entry in logs] == ["notify_failed"]


def test_a_full_socket_does_not_block(manager: tuple[socket.socket, Notifier]) -> None:
    _, notifier = manager
    with capture_logs() as logs:
        for _ in range(5_000):
            notifier.watchdog()
    assert [entry["event"] for entry in logs] == ["notify_failed"]


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({}, False),
        ({"WATCHDOG_USEC": "30000000"}, True),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, True),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, False),
        ({"WATCHDOG_USEC": "0"}, False),
        ({"WATCHDOG_USEC": "soon"}, False),
    ],
)
def test_a_watchdog_is_fed_where_one_is_set_for_this_process(
    tmp_path: Path, env: dict[str, str], told: bool
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        notifier = Notifier(env | {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        notifier.watchdog()
        notifier.stopping()
        assert (listener.recv(4096) == b"WATCHDOG=1") == told
