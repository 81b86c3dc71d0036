"""Network namespaces of a test's own: hosts, and cables between them that it pulls."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x4000_0000


class Host:
    """A namespace; ``within`` goes before a command that is to run there."""

    def __init__(self, name: str) -> None:
        self.name = f"nbad-{os.getpid()}-{name}"
        self.within = ("ip", "netns", "exec", self.name)
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")

    def delete(self) -> None:
        _ip("netns", "delete", self.name)


class Cable:
    """Between two hosts, whose ``addresses`` on it are these.

    Pulled, what is sent into it is lost, both ways, and who had connections is told nothing.
    """

    def __init__(self, one: Host, two: Host, number: int) -> None:
        self.addresses = f"10.99.{number}.1", f"10.99.{number}.2"
        self._far, self._end = two.name, f"cable{number}"
        peer = "type", "veth", "peer", "name", self._end, "netns", two.name
        _ip("-n", one.name, "link", "add", self._end, *peer)
        for host, address in zip((one, two), self.addresses, strict=True):
            _ip("-n", host.name, "address", "add", f"{address}/24", "dev", self._end)
            _ip("-n", host.name, "link", "set", self._end, "up")

    def pull(self) -> None:
        _ip("-n", self._far, "link", "set", self._end, "down")

    def plug_in(self) -> None:
        _ip("-n", self._far, "link", "set", self._end, "up")


@contextlib.contextmanager
def hosts(*names: str) -> Iterator[list[Host]]:
    """Some hosts, the first of them this thread's, and that of the processes it starts."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    with contextlib.ExitStack() as ending:
        ending.callback(os.close, own)
        ending.callback(_enter, own)
        made = [Host(name) for name in names]
        for host in made:
            ending.callback(host.delete)
        with Path("/run/netns", made[0].name).open() as first:
            _enter(first.fileno())
        yield made


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _may() -> bool:
    if os.geteuid() != 0 or not shutil.which("ip"):
        return False
    try:
        Host("try").delete()
    except subprocess.CalledProcessError:
        return False
    return True


needs_hosts = pytest.mark.skipif(not _may(), reason="needs root and ip netns")
