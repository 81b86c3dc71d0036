"""Sockets that another opened: taken over, served, and outliving the daemon."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from daemon_kit import serving
from process_kit import start
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from nbad.systemd.activation import ActivationError, Inherited, take_inherited

FIRST_FD = 200

# What systemd does: the sockets at 3 and on, and the variables, one of them the process's own id.
ACTIVATE = """
import os, sys
names, fds = sys.argv[1], sys.argv[2].split(",")
for number, fd in enumerate(map(int, fds), 3):
    os.dup2(fd, number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": names}
os.execv(sys.executable, [sys.executable, "-m", "nbad", *sys.argv[3:]])
"""


@pytest.fixture
def listening() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two listening sockets, also found at ``FIRST_FD`` and the next."""
    with (
        socket.create_server(("127.0.0.1", 0)) as stream,
        socket.create_server(("127.0.0.1", 0)) as http,
    ):
        yield stream, http


def passed(*socks: socket.socket, names: str, pid: int | None = None) -> Inherited:
    for number, sock in enumerate(socks, FIRST_FD):
        os.dup2(sock.fileno(), number)
    env = {
        "LISTEN_PID": str(pid or os.getpid()),
        "LISTEN_FDS": str(len(socks)),
        "LISTEN_FDNAMES": names,
    }
    return take_inherited(env, FIRST_FD)


def test_sockets_are_told_apart_by_name(listening: tuple[socket.socket, socket.socket]) -> None:
    inherited = passed(*listening, names="http:stream")
    assert [sock.getsockname() for sock in inherited.http] == [listening[0].getsockname()]
    assert [sock.getsockname() for sock in inherited.stream] == [listening[1].getsockname()]
    assert not os.get_inheritable(FIRST_FD)
    for sock in (*inherited.http, *inherited.stream):
        sock.close()


def test_what_is_meant_for_another_process_is_left(
    listening: tuple[socket.socket, socket.socket],
) -> None:
    assert passed(*listening, names="stream:http", pid=1) == Inherited()
    assert take_inherited({}) == Inherited()
    os.close(FIRST_FD)
    os.close(FIRST_FD + 1)


@pytest.mark.parametrize(
    ("names", "said"),
    [("nbad.socket", "FileDescriptorName="), ("", "expected stream or http, was ''")],
)
def test_a_name_that_says_nothing_is_an_error(
    listening: tuple[socket.socket, socket.socket], names: str, said: str
) -> None:
    with pytest.raises(ActivationError, match=said):
        passed(listening[0], names=names)
    os.close(FIRST_FD)


def test_what_is_no_listening_tcp_socket_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as deaf, pytest.raises(ActivationError, match="listening TCP"):
        passed(deaf, names="stream")
    with socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "socket"))
        local.listen()
        with pytest.raises(ActivationError, match="listening TCP"):
            passed(local, names="http")
    with (tmp_path / "file").open("wb") as file, pytest.raises(ActivationError, match="stream"):
        passed(file, names="stream")  # type: ignore[arg-type]


@pytest.mark.slow
def test_who_comes_while_no_daemon_runs_waits_for_the_next(
    listening: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    config, log = tmp_path / "nbad.toml", tmp_path / "nbad.log"
    fds = [door.fileno() for door in listening]
    command = [sys.executable, "-c", ACTIVATE, "stream:http", ",".join(map(str, fds))]
    command += ["run", "--config", str(config)]
    address = "{}:{}".format(*listening[0].getsockname())
    with serving("--games", "2", "--speed", "20") as urls:
        config.write_text(
            f'[feed]\nbase_url = "{urls[0]}"\nschedule_url = "{urls[1]}"\n'
            "[poll]\nlive_interval_s = 0.1\nidle_interval_s = 0.2\n"
            f'[server]\nport = 1\n[http]\nport = 2\n[log]\nfile = "{log}"\n'
        )
        daemon = start(command, pass_fds=fds)
        with connect(f"ws://{address}/v1/stream", open_timeout=60, max_size=None) as client:
            first = json.loads(client.recv(30))
            daemon.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed, match="1001"):
                deque(iter(partial(client.recv, 30), None), maxlen=0)
        assert daemon.wait(60) == 0
        welcomes = []

        def come() -> None:
            with connect(f"ws://{address}/v1/stream", open_timeout=60, max_size=None) as client:
                welcomes.append(json.loads(client.recv(30)))

        with socket.create_connection(listening[1].getsockname(), 60) as waiting:
            waiting.sendall(b"GET /livez HTTP/1.1\r\nHost: nbad\r\n\r\n")
            newcomer = threading.Thread(target=come)
            newcomer.start()
            daemon = start(command, pass_fds=fds)
            assert waiting.recv(12) == b"HTTP/1.1 200"
        newcomer.join(60)
        assert welcomes
        assert welcomes[0]["epoch"] != first["epoch"]
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0
    heard = [json.loads(line) for line in log.read_bytes().splitlines()]
    ports = {e["service"]: e["port"] for e in heard if e["event"] == "listening"}
    assert ports == {"stream": listening[0].getsockname()[1], "http": listening[1].getsockname()[1]}
