"""The examples of docs/protocol.md and clients.md, run as they stand against the real stage."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from stream_kit import make_game, running

PIPES: dict[str, Any] = {
    "stdin": subprocess.PIPE,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.DEVNULL,
}
DOCS = Path(__file__).parent.parent / "docs"


def example(language: str, mark: str, page: str = "protocol.md") -> str:
    """The one code block of ``page`` in ``language`` that holds ``mark``."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.S)
    (found,) = [block for block in blocks if mark in block]
    return str(found)


def node() -> list[str]:
    """A node that has a WebSocket of its own."""
    if not shutil.which("node"):
        pytest.skip("no node")
    for options in ([], ["--experimental-websocket"]):
        test = ["node", *options, "-e", "process.exit(typeof WebSocket == 'undefined' ? 1 : 0)"]
        if subprocess.run(test, capture_output=True, check=False).returncode == 0:
            return ["node", *options, "-e"]
    pytest.skip("this node has no WebSocket")


async def printed(command: list[str], code: str) -> None:
    """Run ``code``; it tells of a game that is there, then of one that changes, and is stopped."""
    async with running() as stage:
        await stage.tick(make_game(0, 41), make_game(1))
        code = code.replace("127.0.0.1:8765", f"127.0.0.1:{stage.port}")
        assert str(stage.port) in code
        async with trio.open_nursery() as nursery:
            process = await nursery.start(
                partial(trio.run_process, check=False, deliver_cancel=end, **PIPES),
                [*command, code],
            )
            output = b""
            with trio.fail_after(10):
                while b"0022500001" not in output:
                    output += await more(process)
                await stage.tick(make_game(1, 77))
                await stage.tick(make_game(0, 78))  # a pipe may hold a line till the next comes
                while b"77" not in output:
                    output += await more(process)
            nursery.cancel_scope.cancel()


async def more(process: trio.Process) -> bytes:
    assert process.stdout
    data = await process.stdout.receive_some()
    assert data, "it ended"
    return bytes(data)


async def end(process: trio.Process) -> None:
    process.kill()


async def test_python_with_websockets() -> None:
    await printed([sys.executable, "-u", "-c"], example("python", "websockets.sync"))


async def test_python_with_our_client() -> None:
    code = example("python", "import Batch, Dropped", "clients.md")
    code = code.replace('teams=["BOS"]', 'teams=["CHI", "ATL"]')
    await printed([sys.executable, "-u", "-c"], code)


async def test_javascript() -> None:
    await printed(node(), example("javascript", "WebSocket"))


async def test_shell() -> None:
    python = shlex.quote(sys.executable)
    await printed(["sh", "-c"], example("sh", "websockets").replace("python3", python))
