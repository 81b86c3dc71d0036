"""A pipeline on a slate: run it as a process, and take down what each tick cost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import httpx
import trio

from nbad.observe.statistics import STAGES
from nbad.simulator.server import FeedAddress

# Between two ticks: of every game something new is told each time.
INTERVAL_S = 0.5
# The first ticks fold whole games and fill caches; what comes after is what a night is made of.
_WARM_UP = 3
# A round is one in which this share of its games changed.
_SHARE = 0.8
_PATIENCE_S = 60.0
# A slate has some 60 changes of each game; more ticks than this are taken in more runs.
_MOST = 30
_LOOK_S = 0.05

Cost = dict[str, float]


class ContestError(Exception):
    """A pipeline could not be run; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A pipeline: ``command`` gets the feed's address appended; None is nbad's own daemon."""

    name: str
    command: tuple[str, ...] | None = None


@dataclass(slots=True)
class Run:
    """What a run measured: each tick's ``costs`` in ms by stage; CPU of all the pipeline's threads
    and of the feed's, in ms a tick."""

    costs: list[Cost]
    cpu_ms: float
    feed_cpu_ms: float


@contextlib.asynccontextmanager
async def prepared_feed(
    games: int, quarter: int = 1, certificate: Path | None = None
) -> AsyncIterator[PreparedFeed]:
    """A process that answers from prepared bytes (:mod:`nbad.bench.feed`), over TLS where it has a
    ``certificate``, which the process's own environment must trust (``SSL_CERT_FILE``)."""
    command = [sys.executable, "-m", "nbad.bench.feed", str(games), str(quarter)]
    if certificate is not None:
        command.append(str(certificate))
    scheme = "http" if certificate is None else "https"
    with TemporaryDirectory(prefix="nbad-bench-") as folder:
        async with _process("feed", tuple(command), Path(folder) / "out") as (process, lines):
            yield PreparedFeed("127.0.0.1", int(await anext(lines)), scheme, pid=process.pid)


@dataclass(frozen=True, slots=True)
class PreparedFeed(FeedAddress):
    """The address and the process of a feed, and how to restart it."""

    pid: int = field(kw_only=True)

    async def begin(self) -> None:
        """Go back to the first change."""
        async with httpx.AsyncClient() as client:
            await client.get(f"{self.origin}/begin")


async def measure(
    contestant: Contestant, feed: PreparedFeed, games: int, ticks: int, subscribers: int
) -> Run:
    """What ``ticks`` ticks of the pipeline cost on the slate of ``games`` that ``feed`` serves.

    :class:`ContestError` where it cannot be run.
    """
    runs: list[Run] = []
    while (taken := sum(len(run.costs) for run in runs)) < ticks:
        run = await _run_once(contestant, feed, games, min(ticks - taken, _MOST), subscribers)
        if not run.costs:
            raise ContestError(f"{contestant.name}: expected ticks of {games} games, was none")
        runs.append(run)
    return Run(
        [cost for run in runs for cost in run.costs],
        statistics.mean(run.cpu_ms for run in runs),
        statistics.mean(run.feed_cpu_ms for run in runs),
    )


async def _run_once(
    contestant: Contestant, feed: PreparedFeed, games: int, ticks: int, subscribers: int
) -> Run:
    """At most ``ticks`` ticks, by a process that is started for them."""
    await feed.begin()
    async with trio.open_nursery() as crowd:
        with TemporaryDirectory(prefix="nbad-bench-") as folder:
            running = (
                _run(contestant, _config(feed, Path(folder)), Path(folder))
                if contestant.command is None
                else _other(contestant, feed, Path(folder))
            )
            async with running as (pid, port, costs):
                joined = trio.Event()
                if subscribers:
                    crowd.start_soon(_crowd, port, subscribers, joined)
                else:
                    joined.set()
                # nbad says how many documents it took; the board is one, and a tick of its own.
                whole = games + 1 if contestant.command is None else games
                run = await _take(costs, whole, ticks, joined, (pid, feed.pid))
                crowd.cancel_scope.cancel()
    return run


async def measure_live(config: Path | None, ticks: int) -> list[Cost]:
    """What ``ticks`` ticks cost on the feed that ``config`` names, whatever is on there.

    :class:`ContestError` where the feed does not let the daemon get ready.
    """
    taken: list[Cost] = []
    with trio.move_on_after(_PATIENCE_S + ticks * 60.0), TemporaryDirectory() as folder:
        async with _run(Contestant("nbad"), config, Path(folder)) as (_, _, costs):
            async for cost in costs:
                taken.append(cost)
                if len(taken) >= ticks:
                    break
    if not taken:
        raise ContestError("nbad: expected a tick of the live feed, was none: nbad check --network")
    return taken


async def _take(
    costs: AsyncIterator[Cost], whole: int, ticks: int, joined: trio.Event, pids: tuple[int, int]
) -> Run:
    """Ticks once all subscribers have joined.

    Of a tick that was asked for in parts (the board, then the plays) the parts add up, until they
    are nearly ``whole``: a board alone may tell every game, and is a part all the same.
    """
    taken: list[Cost] = []
    rounds = 0
    parts: Cost = {}
    spent = [0, 0]
    with trio.move_on_after(_PATIENCE_S):
        async for cost in costs:
            for part in (*STAGES, "games"):
                parts[part] = parts.get(part, 0.0) + cost.get(part, 0.0)
            if parts["games"] < _SHARE * whole or not joined.is_set():
                if not joined.is_set():
                    parts = {}
                continue
            rounds += 1
            if rounds > _WARM_UP:
                taken.append(parts)
            parts = {}
            if rounds == _WARM_UP:
                spent = [cpu_ns(pid) for pid in pids]
            if len(taken) >= ticks:
                break
        spent = [cpu_ns(pid) - before for pid, before in zip(pids, spent, strict=True)]
    count = max(1, len(taken))
    return Run(taken, spent[0] / 1e6 / count, spent[1] / 1e6 / count)


def cpu_ns(pid: int) -> int:
    """What all threads of a process have spent on the CPU."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def _config(feed: PreparedFeed, folder: Path) -> Path:
    """Write the configuration of a daemon on ``feed``."""
    config = folder / "nbad.toml"
    config.write_text(
        f'[feed]\nbase_url = "{feed.base_url}"\nschedule_url = "{feed.schedule_url}"\n'
        f"[poll]\nlive_interval_s = {INTERVAL_S}\nmax_requests_per_s = 1000.0\n"
        "[server]\nmax_subscribers = 65000\nmax_connects_per_s_per_address = 100000.0\n"
    )
    return config


@contextlib.asynccontextmanager
async def _run(
    contestant: Contestant, config: Path | None, folder: Path
) -> AsyncIterator[tuple[int, int, AsyncIterator[Cost]]]:
    """``nbad run`` on any feed, at free ports, recording nothing; the costs are from its log."""
    command = [sys.executable, "-m", "nbad", "run"]
    if config is not None:
        command += ["--config", str(config)]
    file = folder / "log"
    own = {"SERVER__PORT": "0", "HTTP__PORT": "0", "LOG__FILE": str(file), "RECORD__PATH": ""}
    own |= {"LOG__FORMAT": "json", "LOG__LEVEL": "info"}
    environment = os.environ | {f"NBAD_{key}": value for key, value in own.items()}
    async with _process(contestant.name, tuple(command), file, environment) as (process, lines):
        port = 0
        async for line in lines:
            event = json.loads(line)
            if event["event"] == "listening" and event["service"] == "stream":
                port = event["port"]
            if event["event"] == "ready":
                break
        yield process.pid, port, _from_log(lines)


async def _from_log(lines: AsyncIterator[bytes]) -> AsyncIterator[Cost]:
    """The stages of each tick. ``total`` is all of them, and the waits between; ``games`` how many
    documents were taken."""
    ticks: dict[int, Cost] = {}
    async for line in lines:
        event = json.loads(line)
        if event["event"] != "stage":
            continue
        cost = ticks.setdefault(event["tick"], {"total": 0.0})
        cost[event["stage"]] = event["elapsed_ms"]
        cost["total"] += event["elapsed_ms"] + event["waited_ms"]
        if event["stage"] == "poll":
            cost["games"] = event["games"]
        if event["stage"] == "emit":
            # The next one's poll may have been logged before.
            ticks = {number: each for number, each in ticks.items() if number > event["tick"]}
            if "poll" in cost:  # else it was under way when the daemon got ready
                yield cost


@contextlib.asynccontextmanager
async def _other(
    contestant: Contestant, feed: PreparedFeed, folder: Path
) -> AsyncIterator[tuple[int, int, AsyncIterator[Cost]]]:
    """Another pipeline: it says ``listening PORT``, then a line of JSON for each tick."""
    assert contestant.command is not None
    command = (*contestant.command, feed.base_url, "--interval", str(INTERVAL_S))
    async with _process(contestant.name, command, folder / "out") as (process, lines):
        first = await anext(lines, b"")
        if not first.startswith(b"listening "):
            raise ContestError(f"{contestant.name}: expected `listening PORT`, was {first!r}")

        async def costs() -> AsyncIterator[Cost]:
            async for line in lines:
                yield json.loads(line)

        yield process.pid, int(first.split()[1]), costs()


async def _crowd(port: int, subscribers: int, joined: trio.Event) -> None:
    """Subscribers, until cancelled; ``joined`` once all are in. One that is cut ends it all."""
    command = (sys.executable, "-m", "nbad.bench.load", str(port), str(subscribers))
    with TemporaryDirectory(prefix="nbad-bench-") as folder:
        async with _process("subscribers", command, Path(folder) / "out") as (process, lines):
            if await anext(lines, b"") != b"ready":
                raise ContestError(
                    f"subscribers: expected {subscribers} to join, was none or fewer"
                )
            joined.set()
            await process.wait()
            raise ContestError("subscribers: expected all to stay, was one that was closed")


@contextlib.asynccontextmanager
async def _process(
    name: str, command: tuple[str, ...], file: Path, environment: Mapping[str, str] = os.environ
) -> AsyncIterator[tuple[trio.Process, AsyncIterator[bytes]]]:
    """Run a process; gives the lines of ``file``, where it writes its standard output or its log:
    the process must never wait for its reader."""
    async with trio.open_nursery() as nursery:
        with file.open("ab") as out, file.open("rb") as reading:
            process: trio.Process = await nursery.start(
                partial(
                    trio.run_process, list(command), stdout=out, stderr=subprocess.DEVNULL,
                    check=False, env=environment,
                )
            )  # fmt: skip
            async with contextlib.aclosing(_lines(reading, process)) as lines:
                yield process, lines
            process.send_signal(signal.SIGTERM)
            with trio.move_on_after(5):
                await process.wait()
            nursery.cancel_scope.cancel()


async def _lines(file: IO[bytes], process: trio.Process) -> AsyncGenerator[bytes, None]:
    """The lines of a growing file, until the process that writes it has ended."""
    rest = b""
    while True:
        ended = process.poll() is not None
        *whole, rest = (rest + file.read()).split(b"\n")
        for line in whole:
            yield line
        if ended:
            return
        await trio.sleep(_LOOK_S)


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


def figures(costs: list[Cost]) -> dict[str, dict[str, float]]:
    """For each stage: avg, p50, p95, p99 in ms."""
    found = {}
    for stage in STAGES:
        values = [cost[stage] for cost in costs]
        shares = {f"p{share}": percentile(values, share / 100) for share in (50, 95, 99)}
        found[stage] = {"avg": statistics.fmean(values)} | shares
    return found
