"""From the bytes of an answer to the frame that is ready to send, stage by stage, in one process.

    python benchmarks/hotpath.py [--games 15] [--quarter 4] [--ticks 40] [--pause-ms 100]

A scoreboard and every game's play-by-play, each with its next change, through the daemon's own
code, with its times for the garbage collector. Between two ticks it sleeps, so that caches are as
cold as in the daemon. Pauses of the collector are those it reports itself.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator

from nbad.bench.scenario import Documents, changes, slate
from nbad.model.unused_imports import without_unused
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.stages.envelopes import Document, Fetched

with without_unused():
    from nbad.model.forecaster import Forecaster

from nbad.feed.encoding import decoded
from nbad.observe.garbage import Collector
from nbad.simulator import GamesNight
from nbad.stages.parser import GameTracker
from nbad.stages.patterns import PatternTracker
from nbad.stages.predictor import SeriesTracker
from nbad.stream.journal import StreamJournal

# The first ticks fold whole games, and fill caches.
_WARM_UP = 10
STEPS = ("inflate", "parse", "pattern", "predict", "emit", "all")


def unpacked(body: bytes) -> bytes:
    """What the transport makes of a body."""
    return decoded(body, "gzip") if body[:1] == b"\x1f" else body


class Pipeline:
    """The stages without the channels between them."""

    def __init__(self) -> None:
        self.runtime = Runtime(Config(), Forecaster.load())
        self.games, self.patterns, self.series = GameTracker(), PatternTracker(), SeriesTracker()
        self.journal = StreamJournal("bench")

    def tick(self, number: int, board: bytes, plays: dict[str, bytes]) -> tuple[list[float], int]:
        """What each of :data:`STEPS` took, in ms, wall and then CPU, and how many games the frame
        holds."""
        marks: list[tuple[float, float]] = []

        def mark() -> None:
            marks.append((time.perf_counter(), time.thread_time()))

        mark()
        bodies = {"": board} | plays
        unpacked_bodies = {name: unpacked(body) for name, body in bodies.items()}
        mark()
        documents = tuple(Document(name, body, 0.0) for name, body in unpacked_bodies.items())
        tick = Tick(number, 0.0, self.runtime)
        updates, troubles = self.games.take(Fetched(tick, float(number), 0.0, documents))
        mark()
        patterns, failed = self.patterns.fold(updates)
        mark()
        forecasts, unforecast = self.series.forecast(patterns)
        mark()
        messages = self.journal.encode(forecasts.games)
        self.journal.apply(number, forecasts.games, messages, {})
        mark()
        assert not failed
        assert not unforecast
        assert not troubles, troubles
        costs = [
            [(after[clock] - before[clock]) * 1e3 for before, after in itertools.pairwise(marks)]
            for clock in (0, 1)
        ]
        return [cost for of in costs for cost in (*of, sum(of))], len(forecasts.games)


def as_it_goes(night: GamesNight, step_s: float) -> Iterator[Documents]:
    """The night every ``step_s`` seconds: some games changed, others are in a time-out."""
    for number in itertools.count():
        at = night.starts_at + number * step_s
        found = {game_id: night.play_by_play(game_id, at) for game_id in night.game_ids}
        plays = {game_id: said.body for game_id, said in found.items() if said}
        yield Documents(night.scoreboard(at).body, plays)


def measure(
    feed: Iterator[Documents],
    ticks: int,
    pause_ms: float,
    pack: Callable[[bytes], bytes],
) -> None:
    """Print a table of what a tick costs with bodies packed by ``pack``."""
    pipeline = Pipeline()
    collector = Collector()
    pauses: list[float] = []
    began = 0.0

    def watch(phase: str, _info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        else:
            pauses.append((time.perf_counter() - began) * 1e3)

    gc.callbacks.append(watch)
    taken, changed = [], []
    for number, said in enumerate(itertools.islice(feed, ticks + _WARM_UP)):
        plays = {game_id: pack(body) for game_id, body in said.plays.items()}
        board = pack(said.board)
        collector.rest(idle=False)
        time.sleep(pause_ms / 1e3)
        costs, count = pipeline.tick(number, board, plays)
        if number >= _WARM_UP:
            taken.append(costs)
            changed.append(count)
    gc.callbacks.remove(watch)
    sys.stdout.write(
        f"{pack.__name__}: {ticks} ticks, {statistics.mean(changed):.1f} of {len(plays)} games"
        f" changed\n  {'ms':10}{'p50':>8}{'p99':>8}{'max':>8}{'CPU p50':>9}\n"
    )
    columns = list(zip(*taken, strict=True))
    for place, name in enumerate(STEPS):
        ranked = sorted(columns[place])
        p50, p99 = statistics.median(ranked), ranked[int(0.99 * len(ranked))]
        cpu = statistics.median(columns[place + len(STEPS)])
        sys.stdout.write(f"  {name:10}{p50:8.3f}{p99:8.3f}{ranked[-1]:8.3f}{cpu:9.3f}\n")
    longest = max(pauses, default=0.0)
    sys.stdout.write(f"  {len(pauses)} collections, the longest {longest:.2f} ms\n")


def gzipped(body: bytes) -> bytes:
    """As the feed sends it."""
    return gzip.compress(body, 6)


def plain(body: bytes) -> bytes:
    """As it is."""
    return body


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="From bytes to frame.")
    parser.add_argument("--games", type=int, default=15)
    parser.add_argument("--quarter", type=int, default=4, choices=(1, 2, 3, 4))
    parser.add_argument("--ticks", type=int, default=40)
    parser.add_argument("--pause-ms", type=float, default=100.0)
    parser.add_argument(
        "--step-s", type=float, help="the night as it goes, so many s a tick (else: all changed)"
    )
    parser.add_argument("--plain", action="store_true", help="plain bodies only")
    arguments = parser.parse_args()
    games_on = slate(arguments.games)
    for form in (plain,) if arguments.plain else (plain, gzipped):
        if arguments.step_s:
            documents = as_it_goes(games_on, arguments.step_s)
        else:
            documents = changes(games_on, arguments.quarter)
        measure(documents, arguments.ticks, arguments.pause_ms, form)
