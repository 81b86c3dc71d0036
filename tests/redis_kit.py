"""A real Redis of a test's own, on a free port, and its files in a folder of the test's."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from port_kit import free_port
from process_kit import start

from nbad.publish.broker import START, Broker, with_broker
from nbad.publish.entries import BatchEntry, Entry, SnapshotEntry, decode
from nbad.settings.schema import Publish

needs_redis = pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server")


class Redis:
    """``url`` is its address; it writes all down (AOF), so that a killed one forgets nothing."""

    def __init__(
        self, folder: Path, *options: str, host: str = "127.0.0.1", within: Sequence[str] = ()
    ) -> None:
        """``host`` is its address, ``within`` goes before the command where it is elsewhere."""
        self.host = host
        self.port = free_port()
        self.url = f"redis://{host}:{self.port}/0"
        self._command = [
            *within, "redis-server", "--port", str(self.port), "--bind", host, "--dir", str(folder),
            "--save", "", "--appendonly", "yes", "--protected-mode", "no", *options,
        ]  # fmt: skip
        self.start()

    def start(self, *options: str) -> None:
        """Start it, with more ``options`` than the first time."""
        self.process = start([*self._command, *options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                with socket.create_connection((self.host, self.port), 1) as line:
                    line.sendall(b"PING\r\n")
                    if line.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait()

    def ask(self, *words: str, port: int = 0) -> str:
        """The answer to a command, as it comes; ``port``: of who is asked in its place."""
        with socket.create_connection((self.host, port or self.port), 5) as line:
            line.sendall(" ".join(words).encode() + b"\r\n")
            return line.recv(1 << 16).decode(errors="replace")

    def log(self) -> list[Entry]:
        """All that is in the log."""

        async def read(broker: Broker) -> list[Entry]:
            return [decode(fields) for _, fields in await broker.read(START, 100_000, 0.1)]

        return trio.run(with_broker, Publish(url=self.url), read)


def check_log(entries: list[Entry]) -> list[str]:
    """See that no two publishers' entries are mixed and no batch is missing; the epochs in turn.

    One that is there twice does no harm: the broker had taken it, and its answer was lost.
    """
    epochs: list[str] = []
    fence, seq = 0, 0
    for entry in entries:
        if entry.fence > fence:
            fence = entry.fence
            if epochs[-1:] != [entry.epoch]:  # else its lease ran out, and nobody wrote meanwhile
                assert isinstance(entry, SnapshotEntry) or not epochs, "begins without a snapshot"
                seq = entry.seq
                epochs.append(entry.epoch)
        assert (entry.fence, entry.epoch) == (fence, epochs[-1]), "two publishers are mixed"
        if isinstance(entry, BatchEntry):
            assert entry.seq <= seq + 1, f"{entry.seq} after {seq}"
            seq = max(seq, entry.seq)
    return epochs
