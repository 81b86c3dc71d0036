"""``nbad watch`` in a real terminal of 80 × 24, and in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from daemon_kit import Daemon, serving
from process_kit import start

from nbad.cli.render import bar, where

_NBAD = [sys.executable, "-m", "nbad", "watch"]


def stream_url(daemon: Daemon) -> str:
    daemon.wait_for("ready")
    return f"ws://127.0.0.1:{daemon.port('stream')}/v1/stream"


@pytest.mark.slow
def test_a_terminal_of_80_columns_shows_every_game_and_is_left_clean(tmp_path: Path) -> None:
    with serving("--games", "5", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        url = stream_url(daemon)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        env["TERM"] = "xterm-256color"
        watch = start(
            [*_NBAD, url], stdin=theirs, stdout=theirs, stderr=theirs, env=env,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        while seen.count(b"wins by") < 3:
            seen += os.read(ours, 65536)
        watch.send_signal(signal.SIGINT)
        try:
            while part := os.read(ours, 65536):
                seen += part
        except OSError:  # how Linux says that the other side is closed
            pass
        os.close(ours)
        assert watch.wait(10) == 0
        text = seen.decode()
        assert "Traceback" not in text
        # The other screen is left and the cursor shown again: all there was comes back.
        assert text.rindex("\x1b[?1049l") > text.rindex("\x1b[?1049h")
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
        frame = text.split("wins by")[2]
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frame.replace("\x1b[H", "\n")).splitlines()
        assert sum(" @ " in line for line in lines) == 5
        assert max(map(len, lines)) <= 80, lines
        assert daemon.end() == 0


@pytest.mark.slow
def test_a_pipe_gets_a_line_per_change_and_may_close(tmp_path: Path) -> None:
    with serving("--games", "3", "--seed", "2", "--speed", "300") as urls:
        daemon = Daemon(tmp_path, *urls)
        watch = start([*_NBAD, stream_url(daemon)], stdout=subprocess.PIPE, text=True)
        assert watch.stdout
        lines = [watch.stdout.readline() for _ in range(10)]
        assert all(re.match(r"\d{10} \S.* @ ", line) for line in lines)
        watch.stdout.close()
        assert watch.wait(30) == 0
        assert daemon.end() == 0


def test_no_daemon_is_said_on_one_line() -> None:
    done = subprocess.run(
        [*_NBAD, "ws://127.0.0.1:9/v1/stream"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 69
    assert done.stderr.count("\n") == 1
    assert "Connection refused; is the daemon running" in done.stderr


@pytest.mark.parametrize(
    ("game", "told"),
    [
        (("live", 4, 65.9), "Q4  1:05"),
        (("live", 5, 300.0), "OT  5:00"),
        (("live", 6, 0.0), "2OT  0:00"),
        (("final", 4, 0.0), "final"),
        (("final", 7, 0.0), "final/3OT"),
        (("postponed", 0, 0.0), "postponed"),
    ],
)
def test_where_a_game_stands_takes_nine_columns(game: tuple[str, int, float], told: str) -> None:
    assert where(*game, "2026-01-15T00:30:00Z") == told
    assert len(told) <= 9


def test_a_tip_off_is_told_in_the_time_of_this_machine() -> None:
    assert re.fullmatch(r"at \d\d:30", where("scheduled", 0, 0.0, "2026-01-15T00:30:00Z"))
    assert where("scheduled", 0, 0.0, "") == "scheduled"


def test_a_bar_tells_eighths_of_a_column() -> None:
    assert [bar(share, 8) for share in (0, 0.5, 0.54, 1)] == ["", "████", "████▍", "████████"]
