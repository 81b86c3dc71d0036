"""One's own model takes force by SIGHUP in a running daemon; a broken one changes nothing."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from daemon_kit import Daemon, messages, serving

from nbad.model.forecaster import BUNDLED, Forecaster

pytestmark = pytest.mark.slow


def renamed(folder: Path, name: str) -> str:
    """A model made anew in ``folder``, as `nbad train --name` makes it; the name forecasts carry"""
    shutil.copytree(BUNDLED, folder, dirs_exist_ok=True)
    facts = folder / "model.json"
    facts.write_text(facts.read_text().replace('"name": "nbad-3"', f'"name": "{name}"'))
    return Forecaster.load(folder).name


def models(incoming: Iterator[dict[str, Any]], count: int) -> list[str]:
    """The models of the next ``count`` games told."""
    told = (
        game["forecast"]["model"]
        for message in incoming
        for game in message.get("games", message.get("messages", ()))
        if game["forecast"]
    )
    return list(islice(told, count))


def test_a_model_made_anew_takes_force_by_sighup(tmp_path: Path) -> None:
    bundled, mine = Forecaster.load().name, tmp_path / "mine"
    with serving("--games", "3", "--seed", "2", "--speed", "240") as urls:
        daemon = Daemon(tmp_path / "daemon", *urls)
        with daemon.stream() as stream:
            incoming = messages(stream)
            assert set(models(incoming, 5)) == {bundled}

            first = renamed(mine, "first")
            daemon.config.write_text(daemon.text + f'[model]\npath = "{mine}"\n')
            daemon.process.send_signal(signal.SIGHUP)
            assert daemon.wait_for("reloaded")["changes"]["model"] == {"old": bundled, "new": first}
            # What was under way when the signal came may still be told by the old one.
            assert next(name for name in iter(lambda: models(incoming, 1)[0], "") if name == first)

            # Trained again into the same folder: the configuration says nothing new, the model is.
            second = renamed(mine, "second")
            daemon.process.send_signal(signal.SIGHUP)
            assert next(name for name in iter(lambda: models(incoming, 1)[0], "") if name == second)

            size = (mine / "home_win.txt").stat().st_size
            (mine / "home_win.txt").write_text("half a mod")
            daemon.process.send_signal(signal.SIGHUP)
            (error,) = daemon.wait_for("reload_rejected")["errors"]
            assert f"{mine}/home_win.txt: expected {size} bytes, was 10" in error
            assert set(models(incoming, 5)) == {second}
        assert daemon.end() == 0
