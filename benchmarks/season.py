"""The daemon's memory over a season of nights: it has to be flat.

    python benchmarks/season.py [--nights 165] [--games 8] [--speed 1500] [--json FILE]

One `nbad run` lives through all nights, with a subscriber that reads everything. Each night is
another one of simulated games, a day after the last; the hours between them are left out. Ticks
are as many as the time-lapse leaves room for, `[poll] live_interval_s` apart.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import trio
import trio_websocket

from nbad.simulator import GamesNight, simulate_night
from nbad.simulator.server import FeedClock, serve_feed

_DAY_S = 86_400.0


class Season:
    """The night that is on, and its clock; one after another they are put in here."""

    night: GamesNight
    clock: FeedClock

    def __getattr__(self, name: str) -> object:
        return getattr(self.journal, name)


async def subscribe(port: int, seen: dict[str, int]) -> None:
    """Read all that is sent; note the last tick and the finals of the games."""
    url = f"ws://127.0.0.1:{port}/v1/stream"
    async with trio_websocket.open_websocket_url(url) as stream:
        while True:
            message = json.loads(await stream.get_message())
            seen["tick"] = message.get("tick", seen.get("tick", 0))
            for game in message.get("messages", message.get("games", ())):
                if game["status"] == "final":
                    seen[game["game_id"]] = game["differential"]


class Daemon:
    """A real `nbad run`, and what its log says."""

    def __init__(self, folder: Path, base_url: str, schedule_url: str) -> None:
        self.log = folder / "log"
        config = folder / "nbad.toml"
        config.write_text(
            f'[feed]\nbase_url = "{base_url}"\nschedule_url = "{schedule_url}"\n'
            "[poll]\nlive_interval_s = 0.02\nidle_interval_s = 0.05\n"
            "refresh_interval_s = 0.1\nmax_requests_per_s = 2000.0\n"
            f'[server]\nport = 0\n[http]\nport = 0\n[log]\nfile = "{self.log}"\n'
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nbad", "run", "--config", str(config)],
        )

    def port(self) -> int | None:
        """The stream's, once the daemon is ready."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        events = {line["event"]: line for line in map(json.loads, lines)}
        return events["listening"]["port"] if "ready" in events else None

    def rss_mb(self) -> float:
        """Resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def forget_log(self) -> None:
        """Empty it: the log is not what is measured, and disks are small."""
        self.log.write_bytes(b"")


async def main(args: argparse.Namespace) -> list[dict[str, float]]:
    season, seen = Season(), {}
    first = simulate_night(args.games, 1)
    with tempfile.TemporaryDirectory() as folder:
        async with trio.open_nursery() as nursery:
            season.night, season.clock = first, FeedClock(first.starts_at, args.speed)
            serve = partial(serve_feed, season, clock=lambda: season.clock())
            address = await nursery.start(serve)
            daemon = Daemon(Path(folder), address.base_url, address.schedule_url)
            try:
                while (port := daemon.port()) is None:  # noqa: ASYNC110 - it is another process
                    await trio.sleep(0.1)
                nursery.start_soon(subscribe, port, seen)
                rows = [
                    await one_night(number, season, daemon, seen, args)
                    for number in range(args.nights)
                ]
            finally:
                daemon.process.terminate()
                daemon.process.wait()
            nursery.cancel_scope.cancel()
    return rows


async def one_night(
    number: int, season: Season, daemon: Daemon, seen: dict[str, int], args: argparse.Namespace
) -> dict[str, float]:
    """Put the night on and wait until every final score was told."""
    if number:
        at = season.night.starts_at + _DAY_S
        season.night = simulate_night(args.games, number + 1, starts_at=at)
        season.clock = FeedClock(at, args.speed)
    night = season.night
    finals = {game: home - away for game, (home, away) in night.finals.items()}
    give_up = time.monotonic() + 60 + (night.ends_at - night.starts_at) / args.speed
    while any(seen.get(game) != margin for game, margin in finals.items()):
        if time.monotonic() > give_up:
            sys.exit(f"night {number + 1}: expected the finals {finals}, was {seen}")
        await trio.sleep(0.1)
    for game in finals:
        del seen[game]
    daemon.forget_log()
    row = {"night": number + 1, "ticks": seen["tick"], "rss_mb": round(daemon.rss_mb(), 1)}
    if number % args.every == 0 or number + 1 == args.nights:
        sys.stdout.write("night {night:4}  ticks {ticks:8}  RSS {rss_mb:6} MB\n".format(**row))
        sys.stdout.flush()
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The daemon's memory over a season of nights.")
    parser.add_argument("--nights", type=int, default=165)
    parser.add_argument("--games", type=int, default=8)
    parser.add_argument("--speed", type=float, default=1500.0)
    parser.add_argument("--every", type=int, default=10, help="print one night in so many")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    measured = trio.run(main, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(measured))
