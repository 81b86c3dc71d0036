"""A real Redis of a test's own, on a free port, and its files in a folder of the test's."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from process_kit import start

needs_redis = pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server")


class Redis:
    """``url`` is its address; it writes all down (AOF), so that a killed one forgets nothing."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder),
            "--save", "", "--appendonly", "yes", *options,
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = start(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as line:
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
