"""``nbad watch`` in a real terminal of 80 × 24, and in a pipe."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
import trustme
from daemon_kit import Daemon, serving
from process_kit import start

from nbad.cli.opened import leaders
from nbad.cli.render import bar, percent, signed, where
from nbad.cli.watch import _is_screen, _page_of

_NBAD = [sys.executable, "-m", "nbad", "watch"]


def stream_url(daemon: Daemon) -> str:
    daemon.wait_for("ready")
    return f"ws://127.0.0.1:{daemon.port('stream')}/v1/stream"


class Terminal:
    """A terminal of our own making, and what it was sent."""

    def __init__(self, command: list[str], columns: int, lines: int = 24) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        env["TERM"] = "xterm-256color"
        self.process = start(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
        )
        os.close(theirs)
        self.seen = b""

    def until(self, mark: str) -> str:
        """Read until ``mark`` came; what came up to its end is then past."""
        while mark.encode() not in self.seen:
            self.seen += os.read(self.ours, 65536)
        before, _, self.seen = self.seen.partition(mark.encode())
        return before.decode() + mark

    def rest(self) -> str:
        with contextlib.suppress(OSError):  # how Linux says that the other side is closed
            while part := os.read(self.ours, 65536):
                self.seen += part
        os.close(self.ours)
        return self.seen.decode()


def drawn(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.replace("\x1b[H", "\n")).splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    "columns",
    [60, 80, 130],
)
def test_every_game_is_shown_in_the_width_there_is(tmp_path: Path, columns: int) -> None:
    with serving("--games", "5", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        daemon.wait_for("ready")
        terminal = Terminal([*_NBAD, f"http://127.0.0.1:{daemon.port('http')}/"], columns)
        first = terminal.until("80% by") + terminal.until("80% by")
        lines = drawn(terminal.until("80% by"))
        assert sum(" @ " in line for line in lines) == 5
        assert all(re.search(r"\b(to|by) \S?\d", line) for line in lines if " @ " in line), lines
        assert max(map(len, lines)) <= columns, lines
        assert any("trend" in line for line in lines) is (columns >= 80)
        assert any("last play" in line for line in lines) is (columns >= 130)
        os.write(terminal.ours, b"\x1b[B\r")  # the second key press is Enter: it opens the game
        terminal.until("plays, newest first")
        opened = drawn(terminal.until("rebounds") + terminal.until("quit"))
        assert any(line.startswith("points ") for line in opened), opened
        plays = [line for line in opened if re.match(r"Q\d +\d+:\d\d +\d+ +\d+  \S", line)]
        assert len(plays) >= 3, opened  # those before we came are asked for
        assert max(map(len, opened)) <= columns, opened
        os.write(terminal.ours, b"q")
        text = first + terminal.rest()
        assert terminal.process.wait(60) == 0
        assert "Traceback" not in text
        # The other screen is left and the cursor shown again: all there was comes back.
        assert "\x1b[?1049h" in text
        assert text.rindex("\x1b[?1049l") > 0
        assert text.rindex("\x1b[?25h") > 0
        assert daemon.end() == 0


@pytest.mark.slow
def test_a_pipe_gets_a_line_per_change_and_may_close(tmp_path: Path) -> None:
    with serving("--games", "3", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        stream = stream_url(daemon)
        page = f"http://127.0.0.1:{daemon.port('http')}/"
        for url in (stream, page):  # which says where the stream is
            watch = start([*_NBAD, url], stdout=subprocess.PIPE, text=True)
            assert watch.stdout
            lines = [watch.stdout.readline() for _ in range(12)]
            assert lines[0].endswith(" feed ok\n")
            told = re.compile(r"\d\d:\d\d:\d\d (\d{10} \S.* @ .*)\n")
            said = [match[1] for match in map(told.fullmatch, lines[1:]) if match]
            assert len(said) == len(set(said)) == 11, lines
            watch.stdout.close()
            assert watch.wait(60) == 0
        assert daemon.end() == 0


def test_a_stream_that_has_tls_is_found_from_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, pem, trusted = trustme.CA(), tmp_path / "pem", tmp_path / "trusted"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority.cert_pem.write_to_path(str(trusted))
    server = f'[server]\nport = 0\ntls_cert = "{pem}"\n[http]\nport = 0\n'
    with serving("--games", "3", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls, server=server)
        daemon.wait_for("ready")
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        page = f"http://127.0.0.1:{daemon.port('http')}/"
        watch = start([*_NBAD, page], stdout=subprocess.PIPE, text=True)
        assert watch.stdout
        assert watch.stdout.readline().endswith(" feed ok\n")


def test_without_an_address_it_is_that_of_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "nbad.toml"
    config.write_text('[server]\nhost = "0.0.0.0"\nport = 9\n')
    done = subprocess.run(
        [*_NBAD, "--config", str(config)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 69
    assert "ws://127.0.0.1:9/v1/stream" in done.stderr
    assert "[server] address?" in done.stderr


def test_a_page_that_does_not_answer_is_asked_for_by_its_own_key() -> None:
    done = subprocess.run(
        [*_NBAD, "http://127.0.0.1:9/"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 69
    assert done.stderr.endswith("is this its [http] address?\n")


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for term, screen in (("dumb", False), ("", False), ("xterm", True)):
        monkeypatch.setenv("TERM", term)
        assert _is_screen() is screen


def test_no_daemon_is_said_on_one_line() -> None:
    done = subprocess.run(
        [*_NBAD, "ws://127.0.0.1:9/v1/stream"], capture_output=True, text=True, timeout=60
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


def test_the_leaders_fit_sixty_columns_and_what_nobody_has_is_left_out() -> None:
    def side(tricode: str, *players: tuple[str, int | None, int | None]) -> dict[str, Any]:
        numbers = [
            {"name": name, "numbers": {"points": points, "rebounds": rebounds, "assists": None}}
            for name, points, rebounds in players
        ]
        return {"tricode": tricode, "players": numbers}

    away = side("ATL", ("T. Young", 31, None), ("C. Capela", 4, None))
    home = side("TOR", ("S. Gilgeous-Alexander", 100, 12), ("J. Poeltl", 2, 12))
    lines = leaders({"away": away, "home": home})
    assert lines == [
        "points    ATL T. Young 31         TOR S. Gilgeous-Ale 100",
        "rebounds  ATL -                   TOR S. Gilgeous-Ale 12",
    ]
    assert max(map(len, lines)) <= 60
    assert leaders({"away": side("ATL"), "home": side("TOR")}) == []


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("ws://h:8765/v1/stream?token=t", "http://h:9/?token=t"),
        ("wss://[::1]:8765/v1/stream", "http://[::1]:9/"),
        ("wss://h/v1/stream", "https://h/"),
        ("wss://h:8443/v1/stream?token=t", "https://h:8443/?token=t"),  # never in the clear
        ("https://h:1/?token=t", "https://h:1/?token=t"),
    ],
)
def test_the_page_is_found_from_the_stream(address: str, page: str) -> None:
    assert _page_of(address, 9) == page


def test_a_bar_tells_eighths_of_a_column() -> None:
    assert [bar(share, 8) for share in (0, 0.5, 0.54, 1)] == ["", "████", "████▍", "████████"]


def test_a_live_game_is_never_certain_and_zero_has_no_sign() -> None:
    assert [percent(p) for p in (0.0, 0.004, 0.5, 0.994, 0.996, 1.0)] == [
        "<1%", "<1%", "50%", "99%", ">99%", ">99%",
    ]  # fmt: skip
    assert [signed(v) for v in (-0.4, 0.4, -0.6, 11.6)] == ["0", "0", "-1", "+12"]
