"""How a command that was called wrongly ends: its code, and one line that says what to do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nbad import __version__
from nbad.cli import main
from nbad.settings.files import try_to_write


def nbad(*arguments: str, **environ: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "nbad", *arguments],
        capture_output=True, text=True, check=False, timeout=60, env=os.environ | environ,
    )  # fmt: skip
    assert done.stderr.count("\n") == 1, done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 64, "see nbad --help"),
        (("wtach",), 64, "unknown command 'wtach' (did you mean watch?); see nbad --help"),
        (("run", "--nope"), 64, "nbad run: unrecognized arguments: --nope; see nbad run --help"),
        (("watch", "http://127.0.0.1:1/"), 69, "is the daemon running"),
        (("watch", "ftp://127.0.0.1/"), 64, "expected ws://HOST:PORT/v1/stream"),
        (("watch", "ws://:bad/"), 64, "expected ws://HOST:PORT/v1/stream"),
        (("stats", "http://127.0.0.1:9"), 69, "is the daemon running"),
        (("run", "--config", "/nowhere.toml"), 78, "/nowhere.toml: expected a readable file"),
        (("bench", "--live", "--config", "/nowhere.toml"), 78, "expected a readable file"),
    ],
)
def test_a_wrong_call_is_told(arguments: tuple[str, ...], code: int, said: str) -> None:
    ended, told = nbad(*arguments)
    assert ended == code
    assert said in told


def test_an_unknown_section_of_the_environment_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    config = tmp_path / "nbad.toml"
    config.touch()
    code, said = nbad("check", "--config", str(config), NBAD_NOPE__X="1")
    assert code == 78
    assert said.startswith("NBAD_NOPE__X: nope: expected ")


@pytest.mark.parametrize(
    ("arguments", "unbuffered"), [(["version"], "1"), (["ratings", "--help"], "")]
)
def test_standard_output_that_is_lost_is_no_traceback(
    arguments: list[str], unbuffered: str
) -> None:
    command = [sys.executable, "-m", "nbad", *arguments]
    environ = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environ
        )
    assert done.returncode == 1
    told = f"nbad {arguments[0]}: cannot write to standard output: No space left on device\n"
    assert done.stderr == told
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, text=True, check=False, env=environ
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_what_was_closed_before_the_start_leads_nowhere(tmp_path: Path, closed: str) -> None:
    """Else the exit code is another, and what a library says goes to the next socket."""
    for command, code in (("relay", 78), ("check", 0), ("version", 0)):
        call = [sys.executable, "-m", "nbad", command]
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *call], cwd=tmp_path, check=False,
            stdout=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, command


def test_a_plot_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["bench"], ["evaluate", "--data", str(tmp_path)]):
        with pytest.raises(SystemExit, match="64"):
            main([*command, "--plot", "x.foo"])
        assert "argument --plot: expected FILE.png, was 'x.foo'" in capsys.readouterr().err
        assert main([*command, "--plot", str(tmp_path / "nowhere" / "x.png")]) == 64
        assert "nowhere/x.png: expected a file that can be written" in capsys.readouterr().err


def test_what_is_tried_is_left_as_it_was(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("kept")
    link = tmp_path / "link"  # to a file that is not there yet, as a log's on another disk
    link.symlink_to(tmp_path / "later")
    try_to_write(there, tmp_path / "not", link, None)
    assert {file.name for file in tmp_path.iterdir()} == {"there", "link"}
    assert there.read_text() == "kept"
    lost = tmp_path / "lost"
    lost.symlink_to(tmp_path / "nowhere" / "later")
    with pytest.raises(FileNotFoundError, match="lost"):
        try_to_write(lost)


def test_no_help_shows_a_default_that_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("demo", "feed", "bench", "train", "evaluate", "watch", "stats"):
        told = help_of(command, capsys)
        assert not re.search(r"\(default: (None|\[\]|False)?\)", told)
    assert "as a multiple of real time (default: 20.0)" in help_of("demo", capsys)


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"nbad {__version__}\n"


@pytest.mark.parametrize(
    ("key", "value", "command", "code", "said"),
    [
        ("HTTP__PORT", "9", ["stats"], 69, "http://127.0.0.1:9: expected a daemon's"),
        ("HTTP__HOST", "::1", ["stats"], 69, "http://[::1]:8780: expected a daemon's"),
        ("SERVER__PORT", "9", ["watch"], 69, "ws://127.0.0.1:9/v1/stream: "),
        ("MODEL__PATH", "/nowhere", ["ratings"], 78, "/nowhere/model.json: expected a model"),
        ("MODEL__PATH", "/nowhere", ["evaluate", "--data", "/"], 78, "/nowhere/model.json: "),
        ("RECORD__PATH", "/nowhere", ["report", "2026-01-19"], 64, "a night recorded in /nowhere"),
        ("RECORD__PATH", "/nowhere", ["export", "--out", "{folder}"], 64, "/nowhere: expected"),
        ("HTTP__PORT", "x", ["stats"], 78, "NBAD_HTTP__PORT: http.port: expected"),
    ],
)
def test_every_command_reads_the_configuration(
    key: str, value: str, command: list[str], code: int, said: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv(f"NBAD_{key}", value)
    assert main([part.format(folder=tmp_path) for part in command]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("OSError('libgomp.so.1: no such file')", "LightGBM needs the system's libgomp.so.1; apt "),
        (
            "ModuleNotFoundError('No module', name='lightgbm')",
            "lightgbm is not installed; pip install 'nbad[train]'",
        ),
    ],
)
def test_training_without_lightgbm_says_what_to_install(
    missing: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "lightgbm.py").write_text(f"raise {missing}\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "nbad", "train", "--data", "."],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
    )  # fmt: skip
    assert done.returncode == 69
    assert done.stderr.startswith(f"nbad train: {said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "happens",
    [
        "cli._run = lambda _: exec('raise BaseExceptionGroup(str(), [KeyboardInterrupt()])')",
        "cli.import_module = lambda _: signal.raise_signal(signal.SIGINT)",
    ],
    ids=["in its midst, from a nursery", "while it is imported"],
)
def test_ctrl_c_ends_a_command_without_a_traceback(happens: str) -> None:
    program = (
        "import signal; from nbad import cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in the background
        f"{happens}\ncli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_ctrl_c_ends_the_processes_that_read_games_without_a_traceback(tmp_path: Path) -> None:
    for number in range(1, 80):
        (tmp_path / f"playbyplay_{number:02}.json").write_text("{}")
    waited_for = tmp_path / "playbyplay_00.json"
    os.mkfifo(waited_for)
    with (
        subprocess.Popen(
            [sys.executable, "-m", "nbad", "evaluate", "--data", str(tmp_path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        ) as process,
        waited_for.open("w"),  # once a worker reads it; the other still starts, or waits
    ):  # fmt: skip
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate() == ("", "")
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_the_terminal_has_no_letter_for_is_no_traceback(tmp_path: Path, encoding: str) -> None:
    config = tmp_path / os.fsdecode(b"Don\xc4\x8di\xc4\x87\xff.toml")
    config.write_text("[server]\nport = 0\n")
    done = subprocess.run(
        [sys.executable, "-m", "nbad", "check", "--config", str(config)],
        capture_output=True, check=False, timeout=60,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
