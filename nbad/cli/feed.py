"""``nbad feed``: an NBA-shaped live feed from the simulator or from a recording."""

from __future__ import annotations

import argparse
import signal
import sys
from functools import partial
from pathlib import Path

import trio

from nbad.exit_codes import OK, UNAVAILABLE, USAGE, end
from nbad.recording.format import Recording
from nbad.simulator import MAX_GAMES, replay_game, simulate_night
from nbad.simulator.faults import KINDS, Faults, parse_faults
from nbad.simulator.recorded import RecordedSource
from nbad.simulator.server import FeedAddress, FeedClock, listen, serve_feed
from nbad.simulator.source import FeedSource

HELP = "serve an NBA-shaped live feed, simulated or recorded"
DESCRIPTION = "Serves an NBA-shaped live feed over HTTP, until SIGTERM or SIGINT."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    kinds = "; ".join(f"{kind}: {what}" for kind, what in KINDS.items())
    parser.epilog = f"Faults: an HTTP status from 400 to 599; {kinds}."
    parser.add_argument(
        "--games", type=int, default=10, metavar="N", help=f"simulated games, 1 to {MAX_GAMES}"
    )
    parser.add_argument(
        "--speed", type=float, default=20.0, metavar="X", help="speed, as a multiple of real time"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="seed of the night and the faults"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port to listen on; 0 takes a free one"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[:PROBABILITY][@GAME_ID]",
        help="fault to inject, always or with this probability; repeatable",
    )
    parser.add_argument(
        "--replay",
        nargs=2,
        type=Path,
        metavar=("PBP.json", "BOX.json"),
        help="replay a recorded game instead of simulated ones",
    )
    parser.add_argument(
        "--recording", type=Path, metavar="DIR",
        help="replay a folder that `nbad record` wrote",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Serve until told to end. Exit codes: 0, 64 wrong arguments, 69 the port is unavailable."""
    if not 0 <= args.port <= 65_535:
        return end("feed", USAGE, f"--port: expected 0 to 65535, was {args.port}")
    try:
        faults = parse_faults(args.fault, args.seed)
        night = _night(args)
        clock = FeedClock(night.starts_at, args.speed)
    except (ValueError, OSError) as error:
        return end("feed", USAGE, str(error))
    return trio.run(partial(_serve, night, clock, faults, args.host, args.port))


def _night(args: argparse.Namespace) -> FeedSource:
    if args.recording is not None:
        return RecordedSource(Recording(args.recording))
    if args.replay is None:
        return simulate_night(args.games, args.seed)
    plays, box = (path.read_bytes() for path in args.replay)
    return replay_game(plays, box)


async def _serve(night: FeedSource, clock: FeedClock, faults: Faults, host: str, port: int) -> int:
    # Before the address is printed: whoever read it may signal at once.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        try:
            listeners = await listen(host, port)
        except OSError as error:
            hint = "choose another --port, or 0 for a free one"
            return end("feed", UNAVAILABLE, f"{host}:{port}: {error.strerror}; {hint}")
        async with trio.open_nursery() as nursery:
            serve = partial(
                serve_feed, night, host=host, listeners=listeners, clock=clock, faults=faults
            )
            address: FeedAddress = await nursery.start(serve)
            sys.stdout.write(f"feed {address.base_url}\nschedule {address.schedule_url}\n")
            sys.stdout.flush()
            async for _ in signals:
                nursery.cancel_scope.cancel()
    return OK
