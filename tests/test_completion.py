"""``nbad completion`` in the shells themselves, as far as they are installed."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

from nbad.cli import main

# What is typed, and all that is offered for it.
TYPED = {
    "nbad rep": "report",
    "nbad demo --s": "--seconds --seed --speed",
    "nbad relay --w": "--workers",
    "nbad relay --so": "",  # which --help does not show
    "nbad completion ": "bash fish zsh",
    "nbad export --format ": "csv parquet",
    "nbad check --config one": "one.toml",
    "nbad export one": "one.toml",
    "nbad run one": "",
}
typed = pytest.mark.parametrize(("line", "offered"), TYPED.items())


@pytest.fixture
def script(
    shell: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:
    """The script for ``shell``, in a folder with a file to complete."""
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    assert main(["completion", shell]) == 0
    (tmp_path / "one.toml").touch()
    (tmp_path / "script").write_text(capsys.readouterr().out)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "script"


@typed
@pytest.mark.parametrize("shell", ["bash"])
def test_in_bash(line: str, offered: str, script: Path) -> None:
    words = [word or "''" for word in line.split(" ")]
    asked = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _nbad"
    done = run("bash", f'. {script}; {asked}; echo "${{COMPREPLY[@]}}"')
    # It has no descriptions to tell the options from the rest by: where nothing is typed, both.
    assert [word for word in sorted(done.split()) if word != "--help"] == offered.split()


@pytest.mark.parametrize("shell", ["bash"])
def test_a_file_with_a_space_in_its_name_is_one_in_bash(script: Path) -> None:
    (script.parent / "two parts.toml").touch()
    asked = "COMP_WORDS=(nbad run --config two); COMP_CWORD=3; _nbad"
    done = run("bash", f'. {script}; {asked}; printf "%s|" "${{COMPREPLY[@]}}"')
    assert done == "two parts.toml|"


@typed
@pytest.mark.parametrize("shell", ["fish"])
def test_in_fish(line: str, offered: str, script: Path) -> None:
    done = run("fish", f"source {script}; complete -C '{line}'")
    assert [row.partition("\t")[0] for row in done.splitlines()] == offered.split()


def run(shell: str, command: str) -> str:
    done = subprocess.run([shell, "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


@typed
@pytest.mark.parametrize("shell", ["zsh"])
def test_in_zsh(line: str, offered: str, script: Path) -> None:
    """At a prompt of its own, where nothing was set up before: ^D lists what there is."""
    ours, theirs = pty.openpty()
    zsh = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=os.environ | {"TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    try:
        os.write(ours, f"PS1=; . {script}; PS1='>>'\n".encode())
        until(ours, ">>\x1b")
        # ^U takes the line away, so that what follows is a command of its own.
        os.write(ours, f"{line}\x04\x15print DO''NE\n".encode())
        told = until(ours, "DONE")
    finally:
        zsh.kill()
        zsh.wait()
        os.close(ours)
    rows = told.partition("print")[0].replace("\r", "").splitlines()[1:]
    found = " ".join(row.partition(" -- ")[0] for row in rows if ">>" not in row)
    assert found.split() == offered.split()


def until(terminal: int, mark: str) -> str:
    """What the terminal shows, up to ``mark``."""
    shown = ""
    while mark not in shown:
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown
