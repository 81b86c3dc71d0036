"""Signals are heard whatever hangs: a pipe nobody writes to, a log nobody reads, a blocked disk."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from daemon_kit import Daemon, get, serving
from process_kit import start

NBAD = [sys.executable, "-m", "nbad"]
PATIENCE_S = 60.0  # on a busy machine: what is held up would never end


def catches(process: subprocess.Popen[bytes], number: int) -> bool:
    """Whether the process has signal ``number`` blocked: its thread for signals waits for them."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("SigBlk:"):
            blocked = int(line.split()[1], 16)
            # While it starts another process or a thread, all are, for a moment.
            return not blocked >> (signal.SIGUSR1 - 1) & 1 and bool(blocked >> (number - 1) & 1)
    return False


def until_it_hears(process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 60
    while not catches(process, signal.SIGTERM):
        assert process.poll() is None
        assert time.monotonic() < give_up
        signal.sigtimedwait([], 0.01)


@pytest.mark.parametrize(
    ("command", "what", "wait_s"),
    [
        ("run", "config", 0.0), ("run", "config", 2.0), ("run", "tokens", 2.0),
        ("run", "model", 2.0), ("relay", "config", 0.0), ("relay", "config", 2.0),
        ("relay --workers 2", "config", 2.0), ("record --out .", "config", 2.0),
    ],
)  # fmt: skip
def test_a_start_that_hangs_in_a_pipe_ends_as_asked(
    tmp_path: Path, command: str, what: str, wait_s: float
) -> None:
    pipe = tmp_path / "pipe"
    config = tmp_path / "nbad.toml"
    if what == "model":
        (tmp_path / "model").mkdir()
        pipe = tmp_path / "model" / "model.json"
    os.mkfifo(pipe)
    config.write_text({
        "config": "", "tokens": f'[server]\ntokens_file = "{pipe}"\n',
        "model": f'[model]\npath = "{pipe.parent}"\n',
    }[what])  # fmt: skip
    read = pipe if what == "config" else config
    process = start([*NBAD, *command.split(), "--config", str(read)])
    until_it_hears(process)
    signal.sigtimedwait([], wait_s)  # in the midst of its imports, and in the midst of the pipe
    process.send_signal(signal.SIGHUP)  # says nothing yet
    signal.sigtimedwait([], 0.1)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def configure(daemon: Daemon, text: str) -> None:
    """In one step: a reload under way would else read half of it."""
    new = daemon.config.with_suffix(".new")
    new.write_text(text)
    new.replace(daemon.config)


def test_a_reload_that_hangs_makes_nobody_deaf_and_the_newest_one_wins(tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        daemon.wait_for("ready")
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        hanging = daemon.text.replace("[server]\n", f'[server]\ntokens_file = "{pipe}"\n')
        for _ in range(3):
            configure(daemon, hanging)
            daemon.process.send_signal(signal.SIGHUP)
            daemon.pause()
        configure(daemon, daemon.text + "[budgets_ms]\nparse = 7.0\n")
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.wait_for("reloaded")["changes"] == {
            "budgets_ms.parse": {"old": 20.0, "new": 7.0}
        }
        rejected = [event["errors"] for event in daemon.events("reload_rejected")]
        assert all("another reload was asked for" in told for [told] in rejected)
        configure(daemon, hanging)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.pause()
        assert daemon.end() == 0


def test_the_second_signal_does_not_wait(tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        with daemon.stream() as stream:
            # Half a message, and then nothing: the goodbye has to wait for it.
            stream.socket.sendall(b"\x81")
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait_for("stopping")
            daemon.process.send_signal(signal.SIGINT)
            assert daemon.process.wait(PATIENCE_S) in (0, 1)
        assert not daemon.events("drain_cut")  # which is how the first would have ended it


@pytest.mark.slow
def test_a_log_that_nobody_reads_holds_up_neither_the_stream_nor_the_end(tmp_path: Path) -> None:
    with serving("--games", "8", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        port = daemon.port("http")
        daemon.wait_for("ready")
        assert daemon.end() == 0
        # To a pipe now, and a small one, which is soon full.
        text = daemon.text.replace(f'[log]\nfile = "{daemon.log}"', "[log]")
        text = text.replace("[http]\nport = 0", f"[http]\nport = {port}")
        daemon.config.write_text(text.replace("live_interval_s = 0.1", "live_interval_s = 0.01"))
        process = start([*NBAD, "run", "--config", str(daemon.config)], stdout=subprocess.PIPE)
        assert process.stdout
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        while b'"ready"' not in process.stdout.readline():
            pass
        ticks: list[bytes] = []
        give_up = time.monotonic() + 60
        while len(ticks) < 40:  # each of them logs some 1,000 bytes
            assert time.monotonic() < give_up
            now = get(f"http://127.0.0.1:{port}/v1/games")[1]
            if not ticks or now != ticks[-1]:
                ticks.append(now)
            daemon.pause()
        assert get(f"http://127.0.0.1:{port}/livez")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_out_of_memory_it_serves_on_and_hears_signals(tmp_path: Path) -> None:
    """No thread can be started then, nor a file of any size be read."""
    with serving("--games", "2", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        daemon.wait_for("ready")
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        [size] = [line.split()[1] for line in status.splitlines() if line.startswith("VmSize:")]
        most = int(size) * 1024 + 4096
        resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (most, most))
        daemon.process.send_signal(signal.SIGHUP)
        told = daemon.events("reloaded") + daemon.events("reload_rejected")
        give_up = time.monotonic() + 60
        while not told and daemon.process.poll() is None:
            assert time.monotonic() < give_up
            daemon.pause()
            told = daemon.events("reloaded") + daemon.events("reload_rejected")
        assert get(f"http://127.0.0.1:{daemon.port('http')}/livez")[0] == 200
        assert daemon.end() == 0
