"""The pipeline within another program: the example, and what an importer relies on."""

from __future__ import annotations

import io
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import trio
from daemon_kit import serving, urls_at
from feed_kit import ONE, TWO, FakeFeed, entry
from port_kit import free_port
from process_kit import start
from trio.testing import MockClock

import nbad
from nbad.settings.load import ConfigError
from nbad.settings.schema import Config, Model, Poll
from nbad.simulator import simulate_night

EXAMPLE = Path(__file__).parent.parent / "examples" / "follow.py"


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.mark.slow
def test_the_example_follows_a_night_to_its_end(tmp_path: Path) -> None:
    port = free_port()
    board, schedule = urls_at(port)
    config = tmp_path / "nbad.toml"
    config.write_text(
        f'[feed]\nbase_url = "{board}"\nschedule_url = "{schedule}"\n'
        "[poll]\nlive_interval_s = 0.05\nidle_interval_s = 0.1\nmax_requests_per_s = 500.0\n"
    )
    command = [sys.executable, str(EXAMPLE), str(config)]
    with socket.create_server(("127.0.0.1", port)) as door:
        door.settimeout(60)
        example = start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        door.accept()[0].close()  # it is there: the night may begin
    night = ("--games", "2", "--seed", "3", "--speed", "600", "--port", str(port))
    with serving(*night):
        out, errors = example.communicate(timeout=120)
    assert example.returncode == 0, errors
    told = re.findall(r"^final +Q\d (.*?) +home wins", out, re.MULTILINE)
    scores = Counter(tuple(map(int, re.findall(r"\d+", line)))[::-1] for line in set(told))
    assert scores == Counter(simulate_night(2, 3).finals.values())
    assert "live" in out


async def test_games_come_as_they_change(autojump_clock: MockClock) -> None:
    feed = FakeFeed(entry(ONE), entry(TWO))
    async with nbad.pipeline(Config(poll=Poll(live_interval_s=1)), transport=feed) as games:
        first = {(await anext(games)).game_id, (await anext(games)).game_id}
        assert first == {ONE, TWO} == set(games.now)
        assert games.now[ONE].clock_s == 600
        feed.games[0] = entry(ONE, clock="PT09M59.00S")
        changed = await anext(games)
        assert (changed.game_id, changed.clock_s) == (ONE, 599)
        assert games.now[ONE] is changed
        polls = feed.count("scoreboard")
        with trio.move_on_after(60):
            await anext(games)  # nothing changes
        assert feed.count("scoreboard") >= polls + 50
    after = feed.count("scoreboard")
    await trio.sleep(60)
    assert feed.count("scoreboard") == after


async def test_who_does_not_iterate_holds_up_the_poller(autojump_clock: MockClock) -> None:
    feed = FakeFeed(entry(ONE))
    async with nbad.pipeline(Config(poll=Poll(live_interval_s=1)), transport=feed) as games:
        await anext(games)
        for second in range(600):
            feed.games[0] = entry(ONE, clock=f"PT{(600 - second) // 60:02}M{-second % 60:02}.00S")
            await trio.sleep(1)
        asked = feed.count("scoreboard")
        assert asked < 30
        while (await anext(games)).clock_s != 1:
            pass  # what waited, then the newest
        assert games.now[ONE].clock_s == 1


async def test_a_configuration_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nbad.toml"
    path.write_text("[poll]\nlive_intervall_s = 1\n")
    with pytest.raises(ConfigError, match="live_interval_s"):
        async with nbad.pipeline(path):
            pass
    config = Config(model=Model(path=tmp_path))
    with pytest.raises(ConfigError, match=r"config: model\.path"):
        async with nbad.pipeline(config):
            pass


async def test_the_programs_own_logging_stays(autojump_clock: MockClock) -> None:
    out = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(out))
    async with nbad.pipeline(Config(), transport=FakeFeed(entry(ONE))) as games:
        await anext(games)
    assert "predict" in out.getvalue()
