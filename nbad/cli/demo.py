"""``nbad demo``: a simulated night and the real daemon on it, all on this machine."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import trio

import nbad
from nbad.cli.render import line
from nbad.cli.scorecard import scorecard
from nbad.client import Dropped, DroppedError, Game, RefusedError, connect
from nbad.exit_codes import FAILED, OK, UNAVAILABLE, USAGE, end
from nbad.simulator import MAX_GAMES, simulate_night
from nbad.simulator.server import FeedAddress, FeedClock, serve_feed

_SHOW_EVERY_S = 2.0
_START_S = 30.0


HELP = "a simulated night of games, predicted live, with no network"
DESCRIPTION = "Simulates a night of games, runs the daemon on it, and shows what it sends."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--games", type=int, default=10, metavar="N", help=f"number of games, 1 to {MAX_GAMES}"
    )
    parser.add_argument(
        "--speed", type=float, default=20.0, metavar="X", help="speed, as a multiple of real time"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="random seed; one seed, one night"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.0, metavar="S",
        help="seconds to run; 0: until the night ends; in a terminal, the page then stays up until"
        " Ctrl-C",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Show the night. Exit codes: 0 it ended, 64 wrong arguments, 69 the daemon did not start."""
    if not args.seconds >= 0:
        return end("demo", USAGE, f"seconds: expected 0 or more, was {args.seconds}")
    try:
        night = simulate_night(args.games, args.seed, starts_at=time.time())
        clock = FeedClock(night.starts_at, args.speed)
    except ValueError as error:
        return end("demo", USAGE, str(error))
    with tempfile.TemporaryDirectory(prefix="nbad-demo-") as folder:
        seconds = args.seconds or float("inf")
        return trio.run(partial(_demo, night, clock, Path(folder), seconds))


async def _demo(night: Any, clock: FeedClock, folder: Path, seconds: float) -> int:
    log_file = folder / "nbad.log"
    config = folder / "nbad.toml"
    code = OK
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            address: FeedAddress = await nursery.start(partial(serve_feed, night, clock=clock))
            config.write_text(
                f'[feed]\nbase_url = "{address.base_url}"\n'
                f'schedule_url = "{address.schedule_url}"\n'
                "[poll]\nlive_interval_s = 0.25\nidle_interval_s = 1.0\nrefresh_interval_s = 1.0\n"
                "max_requests_per_s = 200.0\n"
                f'[server]\nport = 0\n[http]\nport = 0\n[log]\nfile = "{log_file}"\n',
                "utf-8",
            )
            # A process of its own, as it runs in earnest: nothing of the demo slows it down. In a
            # session of its own: a Ctrl-C is for the demo, which then ends the daemon well.
            # With -P, and this package's own place: a folder named nbad in the one where the demo
            # was started is not taken for it.
            command = [sys.executable, "-P", "-m", "nbad", "run", "--config", str(config)]
            places = [str(Path(nbad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
            environ = {
                name: value
                for name, value in os.environ.items()
                # They are for a service: its feed is elsewhere, and its state is not for this.
                if not name.startswith("NBAD_") and name != "STATE_DIRECTORY"
            } | {"PYTHONPATH": os.pathsep.join(filter(None, places))}
            daemon: trio.Process = await nursery.start(
                partial(
                    trio.run_process, command, check=False, stdin=subprocess.DEVNULL,
                    start_new_session=True, env=environ,
                )
            )  # fmt: skip
            ports = await _ports(log_file, daemon)
            if ports is None:
                nursery.cancel_scope.cancel()
                return end("demo", UNAVAILABLE, "the daemon did not start; the reason is above")
            url = f"ws://127.0.0.1:{ports['stream']}/v1/stream"
            about = (
                f"page    http://127.0.0.1:{ports['http']}/\nstream  {url}\n"
                f"feed    {address.base_url}\nlog     {log_file}, until the end\n\n"
            )
            with trio.move_on_after(seconds) as watching:
                nursery.start_soon(_interrupt, signals, watching)
                _say(about)
                if not await _watch(url, night.finals):
                    code = FAILED
            os.kill(daemon.pid, signal.SIGTERM)
            await daemon.wait()
            nursery.cancel_scope.cancel()
    return code


async def _interrupt(signals: Any, scope: trio.CancelScope) -> None:
    # Heard to the end: under `timeout make demo` each signal comes twice, and none may cut short
    # what the first began.
    async for _ in signals:
        scope.cancel()


async def _ports(log_file: Path, daemon: trio.Process) -> dict[str, int] | None:
    """The ports that the daemon's log names, by service; None where it ended or took too long."""
    ports: dict[str, int] = {}
    with trio.move_on_after(_START_S):
        while daemon.returncode is None:
            for line in _lines(log_file):
                event = orjson.loads(line)
                if event["event"] == "listening":
                    ports[event["service"]] = int(event["port"])
            if len(ports) == 2:
                return ports
            await trio.sleep(0.05)
    return None


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines() if file.exists() else []


async def _watch(url: str, finals: dict[str, tuple[int, int]]) -> bool:
    """Show the games until each has ended with the simulator's score; False where it is cut."""
    shown_at = float("-inf")
    screen = _Screen()
    try:
        async with connect(url) as feed:
            # A score may still be corrected after the end.
            while not _over(feed.games, finals):
                message = await anext(feed)
                if isinstance(message, Dropped):
                    return not end("demo", FAILED, f"the stream ended: {message.reason}")
                if trio.current_time() - shown_at >= _SHOW_EVERY_S and feed.games:
                    shown_at = trio.current_time()
                    screen.show([line(game, 20) for game in feed.games.values()])
            screen.show([line(game) for game in feed.games.values()])
        async with connect(url) as feed:  # a newcomer is sent the series too
            while not feed.games:
                await anext(feed)
            _say("\n".join(["", "the night is over", *scorecard(feed.games.values()), ""]))
    except (DroppedError, RefusedError) as error:
        return not end("demo", FAILED, f"the stream ended: {error}")
    if sys.stdout.isatty():
        _say("The page stays up, with every curve: Ctrl-C ends it.\n")
        await trio.sleep_forever()
    return True


class _Screen:
    """Lines that are repainted in place on a terminal, and follow each other elsewhere."""

    def __init__(self) -> None:
        self._in_place = sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")
        self._painted = 0

    def show(self, lines: list[str]) -> None:
        """Paint ``lines`` over the last ones; each is cut at the terminal's width."""
        size = shutil.get_terminal_size()
        if self._in_place and len(lines) + 6 <= size.lines:
            up = f"\x1b[{self._painted}F\x1b[J" if self._painted else ""
            self._painted = len(lines)
            _say(up + "".join(f"{line[: size.columns - 1]}\n" for line in lines))
        else:
            _say("\n" + "".join(f"  {line}\n" for line in lines))


def _over(games: dict[str, Game], finals: dict[str, tuple[int, int]]) -> bool:
    return finals == {
        game_id: (game.home.score, game.away.score)
        for game_id, game in games.items()
        if game.status == "final"
    }


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
