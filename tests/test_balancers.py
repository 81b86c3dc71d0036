"""The balancers' configurations in examples/, read and run by the programs that they are for."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import urllib.request
from functools import partial
from pathlib import Path

import pytest
from port_kit import free_port
from process_kit import start
from relay_kit import PORTS, Follower, Nbad, night, until

from nbad.exit_codes import OK

EXAMPLES = Path(__file__).parent.parent / "examples"
PROGRAMS = {
    "haproxy.cfg": ("haproxy", "-db", "-f"),
    "nginx.conf": ("nginx", "-g", "daemon off; error_log stderr;", "-c"),
}
CHECKS = {"haproxy.cfg": ("haproxy", "-c", "-f"), "nginx.conf": ("nginx", "-t", "-c")}


def is_here(name: str) -> bool:
    return shutil.which(PROGRAMS[name][0]) is not None


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_read_without_a_complaint(name: str) -> None:
    if not is_here(name):
        pytest.skip(f"needs {PROGRAMS[name][0]}")
    command = [*CHECKS[name], str(EXAMPLES / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not re.search("warn|alert", done.stdout + done.stderr, re.I)


@pytest.mark.soak
@pytest.mark.slow
def test_a_subscriber_is_led_to_the_relay_that_is_there(tmp_path: Path) -> None:
    names = [name for name in PROGRAMS if is_here(name)]
    if not names:
        pytest.skip("needs haproxy or nginx")
    with night("--games", "2", "--speed", "15", "--seed", "4") as feed:
        daemon = Nbad(tmp_path, "run", feed + PORTS)
        stream, http = daemon.ports("stream")[0], daemon.ports("http")[0]
        until(daemon.is_ready, "the daemon is not ready")
        for name in names:
            front = free_port()
            # The first of the two relays is away.
            ports = {8000: front, 8001: free_port(), 8081: free_port(), 8002: stream, 8082: http}
            text = (EXAMPLES / name).read_text()
            for written, taken in ports.items():
                text = re.sub(rf"\b{written}\b", str(taken), text)
            config = tmp_path / name
            config.write_text(text.replace("events {", f"pid {tmp_path}/nginx.pid;\nevents {{"))
            balancer = start([*PROGRAMS[name], str(config)])
            until(partial(answers, front), f"{name}: nothing listens")
            client = Follower()
            client.connect(front)
            client.take_batches(3)
            assert client.snapshots == 1
            client.connect(front)  # on from where it was
            client.take_batches(2)
            assert client.snapshots == 1
            client.close()
            with urllib.request.urlopen(f"http://127.0.0.1:{front}/", timeout=10) as page:
                assert b"<title>" in page.read()
            balancer.terminate()
            balancer.wait()
        assert daemon.end() == OK
