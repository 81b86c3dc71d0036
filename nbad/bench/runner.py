"""A pipeline on a slate: run it as a process, and take down what each tick cost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from nbad.bench.scenario import slate
from nbad.simulator.server import FeedAddress, FeedClock, serve_feed

# Of the feed's own time to the wall's, and between two ticks: of every game something new is told.
SPEED = 120.0
INTERVAL_S = 0.5
# The first ticks fold whole games and fill caches; what comes after is what a night is made of.
_WARM_UP = 5
# A slate counts while this share of its games changed: one or the other is always in a time-out.
_SHARE = 0.8
_PATIENCE_S = 60.0
# A slate is in play for some 45 s of the wall's time; more ticks than this are taken in more runs.
_MOST = 40
STAGES = ("poll", "parse", "pattern", "predict", "emit", "total")

Cost = dict[str, float]


class ContestError(Exception):
    """A pipeline could not be run; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A pipeline: ``command`` gets the feed's address appended, None is nbad's own daemon."""

    name: str
    command: tuple[str, ...] | None = None


async def measure(contestant: Contestant, games: int, ticks: int, subscribers: int) -> list[Cost]:
    """What ``ticks`` ticks of the pipeline cost on a slate of ``games``, in ms by stage.

    :class:`ContestError` where it cannot be run.
    """
    taken: list[Cost] = []
    while len(taken) < ticks:
        more = await _run_once(contestant, games, min(ticks - len(taken), _MOST), subscribers)
        if not more:
            raise ContestError(f"{contestant.name}: expected ticks of {games} games, was none")
        taken += more
    return taken


async def _run_once(contestant: Contestant, games: int, ticks: int, subscribers: int) -> list[Cost]:
    """At most ``ticks`` ticks, by a process that is started for them."""
    night = slate(games)
    async with trio.open_nursery() as nursery:
        clock = FeedClock(night.starts_at, SPEED)
        address: FeedAddress = await nursery.start(partial(serve_feed, night, clock=clock))
        with TemporaryDirectory(prefix="nbad-bench-") as folder:
            running = (
                _daemon(address, Path(folder))
                if contestant.command is None
                else _other(contestant, address)
            )
            async with running as (port, costs), trio.open_nursery() as crowd:
                joined = trio.Event()
                if subscribers:
                    crowd.start_soon(_crowd, port, subscribers, joined)
                else:
                    joined.set()
                taken = await _take(costs, games, ticks, joined)
                crowd.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
    return taken


async def measure_live(config: Path | None, ticks: int) -> list[Cost]:
    """What ``ticks`` ticks cost on the feed that ``config`` names, whatever is on there.

    :class:`ContestError` where the feed does not let the daemon get ready.
    """
    taken: list[Cost] = []
    with trio.move_on_after(_PATIENCE_S + ticks * 60.0):
        async with _run(config) as (_, costs):
            async for cost in costs:
                taken.append(cost)
                if len(taken) >= ticks:
                    break
    if not taken:
        raise ContestError("nbad: expected a tick of the live feed, was none: nbad check --network")
    return taken


async def _take(
    costs: AsyncIterator[Cost], games: int, ticks: int, joined: trio.Event
) -> list[Cost]:
    """Ticks once all subscribers have joined; those before are read too, or the pipe would fill
    and the pipeline wait for its reader."""
    taken: list[Cost] = []
    seen = 0
    with trio.move_on_after(_PATIENCE_S):
        async for cost in costs:
            seen += joined.is_set()
            if seen > _WARM_UP and cost["games"] >= _SHARE * games:
                taken.append(cost)
            if len(taken) >= ticks:
                break
    return taken


@contextlib.asynccontextmanager
async def _daemon(
    address: FeedAddress, folder: Path
) -> AsyncIterator[tuple[int, AsyncIterator[Cost]]]:
    """``nbad run``: its costs are those of its log."""
    config = folder / "nbad.toml"
    await trio.Path(config).write_text(
        f'[feed]\nbase_url = "{address.base_url}"\nschedule_url = "{address.schedule_url}"\n'
        f"[poll]\nlive_interval_s = {INTERVAL_S}\nmax_requests_per_s = 1000.0\n"
    )
    async with _run(config) as running:
        yield running


@contextlib.asynccontextmanager
async def _run(config: Path | None) -> AsyncIterator[tuple[int, AsyncIterator[Cost]]]:
    """``nbad run`` on any feed, beside one that may be running: at ports of its own, recording
    nothing."""
    command = [sys.executable, "-m", "nbad", "run"]
    if config is not None:
        command += ["--config", str(config)]
    own = {"SERVER__PORT": "0", "HTTP__PORT": "0", "LOG__FILE": "", "RECORD__PATH": ""}
    own |= {"LOG__FORMAT": "json", "LOG__LEVEL": "info"}
    environment = os.environ | {f"NBAD_{key}": value for key, value in own.items()}
    async with _process("nbad", tuple(command), environment) as lines:
        port = 0
        async for line in lines:
            event = json.loads(line)
            if event["event"] == "listening" and event["service"] == "stream":
                port = event["port"]
            if event["event"] == "ready":
                break
        yield port, _from_log(lines)


async def _from_log(lines: AsyncIterator[bytes]) -> AsyncIterator[Cost]:
    """The stages of each tick. ``total`` is all of them, and the waits between."""
    ticks: dict[int, Cost] = {}
    async for line in lines:
        event = json.loads(line)
        if event["event"] != "stage":
            continue
        cost = ticks.setdefault(event["tick"], {"total": 0.0})
        cost[event["stage"]] = event["elapsed_ms"]
        cost["total"] += event["elapsed_ms"] + event["waited_ms"]
        cost["games"] = event["games"]
        if event["stage"] == "emit":
            ticks = {}
            yield cost


@contextlib.asynccontextmanager
async def _other(
    contestant: Contestant, address: FeedAddress
) -> AsyncIterator[tuple[int, AsyncIterator[Cost]]]:
    """Another pipeline: it says ``listening PORT``, then a line of JSON for each tick."""
    assert contestant.command is not None
    command = (*contestant.command, address.base_url, "--interval", str(INTERVAL_S))
    async with _process(contestant.name, command) as lines:
        first = await anext(lines, b"")
        if not first.startswith(b"listening "):
            raise ContestError(f"{contestant.name}: expected `listening PORT`, was {first!r}")

        async def costs() -> AsyncIterator[Cost]:
            async for line in lines:
                yield json.loads(line)

        yield int(first.split()[1]), costs()


async def _crowd(port: int, subscribers: int, joined: trio.Event) -> None:
    """Subscribers, until cancelled; ``joined`` once all are in."""
    command = (sys.executable, "-m", "nbad.bench.load", str(port), str(subscribers))
    async with _process("subscribers", command) as lines:
        if await anext(lines, b"") != b"ready":
            raise ContestError(f"subscribers: expected {subscribers} to join, was none or fewer")
        joined.set()
        await trio.sleep_forever()


@contextlib.asynccontextmanager
async def _process(
    name: str, command: tuple[str, ...], environment: Mapping[str, str] = os.environ
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Run a process; gives the lines of its standard output."""
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process, list(command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                check=False, env=environment,
            )
        )  # fmt: skip
        assert process.stdout is not None
        yield _lines(process.stdout)
        process.send_signal(signal.SIGTERM)
        with trio.move_on_after(5):
            # What it still says is not kept, or it would wait for a reader for ever.
            while await process.stdout.receive_some(65536):
                pass
        nursery.cancel_scope.cancel()


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in stream:
        *whole, rest = (rest + bytes(chunk)).split(b"\n")
        for line in whole:
            yield line


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors in a group, however deep."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile of ``values``."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def figures(costs: list[Cost]) -> Iterator[tuple[str, dict[str, float]]]:
    """For each stage: avg, p50, p95, p99 in ms."""
    for stage in STAGES:
        values = [cost[stage] for cost in costs]
        yield (
            stage,
            {
                "avg": sum(values) / len(values),
                **{f"p{share}": percentile(values, share / 100) for share in (50, 95, 99)},
            },
        )
