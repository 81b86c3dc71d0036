"""From the bytes of an answer to the frame that is ready to send, stage by stage, in one process.

    python benchmarks/hotpath.py [--games 15] [--ticks 120] [--pause-ms 100] [--step-s S]

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
from dataclasses import dataclass

from nbad.bench.scenario import slate
from nbad.model.unused_imports import without_unused
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.stages.envelopes import Fetched, Payload

with without_unused():
    from nbad.model.forecaster import Forecaster

from nbad.feed.scoreboard import parse_scoreboard
from nbad.feed.transport import decoded
from nbad.observe.garbage import Collector
from nbad.simulator import GamesNight
from nbad.stages.parser import GameTracker
from nbad.stages.patterns import PatternTracker
from nbad.stages.predictor import SeriesTracker
from nbad.stream.journal import StreamJournal

# The first ticks fold whole games, and fill caches.
_WARM_UP = 10
STEPS = ("inflate", "board", "parse", "pattern", "predict", "emit", "all", "all, CPU")


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
        """What each of :data:`STEPS` took, in ms, and how many games the frame holds."""
        cpu, marks = time.thread_time(), [time.perf_counter()]

        def mark() -> None:
            marks.append(time.perf_counter())

        bodies = {game_id: unpacked(body) for game_id, body in plays.items()}
        board = unpacked(board)
        mark()
        lines = parse_scoreboard(board)
        mark()
        payloads = tuple(Payload(game_id, body, 0.0, None) for game_id, body in bodies.items())
        tick = Tick(number, 0.0, self.runtime)
        updates, _ = self.games.take(Fetched(tick, lines, None, 0.0, payloads))
        mark()
        patterns = self.patterns.fold(updates)
        mark()
        forecasts = self.series.forecast(patterns)
        mark()
        self.journal.apply(
            forecasts.tick.number, forecasts.games, self.journal.encode(forecasts.games), {}
        )
        mark()
        costs = [(after - before) * 1e3 for before, after in itertools.pairwise(marks)]
        return [*costs, sum(costs), (time.thread_time() - cpu) * 1e3], len(forecasts.games)


@dataclass(frozen=True, slots=True)
class Documents:
    """What the feed says at one moment."""

    board: bytes
    plays: dict[str, bytes]


def all_changed(night: GamesNight) -> Iterator[Documents]:
    """Of every game its next change each time, and a board 30 s later than the last."""
    feeds = {game_id: night.feed(game_id) for game_id in night.game_ids}
    revisions = {game_id: feed.revision(night.starts_at) for game_id, feed in feeds.items()}
    for number in itertools.count():
        plays = {}
        for game_id, feed in feeds.items():
            said = feed.play_by_play(revisions[game_id] + number)
            assert said is not None
            plays[game_id] = said.body
        yield Documents(night.scoreboard(night.starts_at + number * 30.0).body, plays)


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
        f" changed\n  {'ms':10}{'p50':>8}{'p99':>8}{'max':>8}\n"
    )
    for name, column in zip(STEPS, zip(*taken, strict=True), strict=True):
        ranked = sorted(column)
        p50, p99 = statistics.median(ranked), ranked[int(0.99 * len(ranked))]
        sys.stdout.write(f"  {name:10}{p50:8.3f}{p99:8.3f}{ranked[-1]:8.3f}\n")
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
    parser.add_argument("--ticks", type=int, default=120)
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
            documents = all_changed(games_on)
        measure(documents, arguments.ticks, arguments.pause_ms, form)
