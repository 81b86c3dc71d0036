"""``nbad demo``: a simulated night and the real daemon on it, all on this machine."""

from __future__ import annotations

import argparse
import os
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
from trio_websocket import ConnectionClosed, HandshakeError, open_websocket_url

from nbad.cli.render import bar, where
from nbad.exit_codes import FAILED, OK, UNAVAILABLE, USAGE, end
from nbad.simulator import MAX_GAMES, simulate_night
from nbad.simulator.server import FeedAddress, FeedClock, serve_feed

_SHOW_EVERY_S = 2.0
_START_S = 30.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``demo``."""
    parser = subparsers.add_parser(
        "demo",
        help="a simulated night of games, predicted live, with no network",
        description="Simulates a night of games, runs the daemon on it, and shows what it sends.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--games", type=int, default=10, metavar="N", help=f"1 to {MAX_GAMES}")
    parser.add_argument("--speed", type=float, default=20.0, metavar="X", help="times real time")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the same seed, the same night"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.0, metavar="S", help="0: until the night ends"
    )
    parser.set_defaults(run=run)


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
                f'[server]\nport = 0\n[http]\nport = 0\n[log]\nfile = "{log_file}"\n'
            )
            # A process of its own, as it runs in earnest: nothing of the demo slows it down. In a
            # session of its own: a Ctrl-C is for the demo, which then ends the daemon well.
            command = [sys.executable, "-m", "nbad", "run", "--config", str(config)]
            daemon: trio.Process = await nursery.start(
                partial(
                    trio.run_process, command, check=False, stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )  # fmt: skip
            ports = await _ports(log_file, daemon)
            if ports is None:
                nursery.cancel_scope.cancel()
                return end("demo", UNAVAILABLE, "the daemon did not start; its reason is above")
            url = f"ws://127.0.0.1:{ports['stream']}/v1/stream"
            _say(f"page    http://127.0.0.1:{ports['http']}/\nstream  {url}\n")
            _say(f"feed    {address.base_url}\nlog     {log_file}, until the end\n")
            with trio.move_on_after(seconds) as watching:
                nursery.start_soon(_interrupt, signals, watching)
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
    games: dict[str, Any] = {}
    shown_at = float("-inf")
    try:
        async with open_websocket_url(url) as stream:
            # A score may still be corrected after the end.
            while not _over(games, finals):
                message = orjson.loads(await stream.get_message())
                found = message.get("games") or message.get("messages") or ()
                games |= {game["game_id"]: game for game in found}
                if trio.current_time() - shown_at >= _SHOW_EVERY_S and games:
                    shown_at = trio.current_time()
                    _say("\n" + "".join(map(_line, games.values())))
    except (ConnectionClosed, HandshakeError) as error:
        return not end("demo", FAILED, f"the stream ended: {error!r}")
    _say("\nthe night is over\n" + "".join(map(_line, games.values())))
    return True


def _over(games: dict[str, Any], finals: dict[str, tuple[int, int]]) -> bool:
    return finals == {
        game_id: (game["home"]["score"], game["away"]["score"])
        for game_id, game in games.items()
        if game["status"] == "final"
    }


def _line(game: Any) -> str:
    home, away, forecast = game["home"], game["away"], game["forecast"]
    stands = where(game["status"], game["period"], game["clock_s"], game["start_utc"])
    score = f"{away['tricode']} {away['score']:3} @ {home['tricode']} {home['score']:3}"
    if forecast is None:
        return f"  {stands:10} {score}\n"
    # Of the favourite: a chance over a half, and a margin that is mostly his.
    p, margin = forecast["home_win"], forecast["margin"]
    favourite, sign = (home, 1) if p >= 0.5 else (away, -1)
    if game["status"] == "final":
        return f"  {stands:10} {score}  {favourite['tricode']} won by {abs(game['differential'])}\n"
    chance = max(p, 1 - p)
    low, high = sorted((sign * margin["p10"], sign * margin["p90"]))
    return (
        f"  {stands:10} {score}  {favourite['tricode']} {chance:6.1%} {bar(chance, 20):20}"
        f"  by {low:+5.1f} to {high:+5.1f}\n"
    )


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
