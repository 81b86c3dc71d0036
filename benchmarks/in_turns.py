"""The hot path of this checkout beside another one's (commit 5165043 or later), stage by stage.

    git worktree add ../old 5165043 && (cd ../old && make dev)
    python benchmarks/in_turns.py --old ../old [--rounds 5] [--real] [--only STAGE]

The two take turns, tick by tick, so that a noisy moment of the machine hits both; each round has
two new processes. 15 games late in the fourth quarter: both read the same documents, the
simulator's, or with ``--real`` those rebuilt from a game that was played (../shared/data). What is
told is the CPU of the one thread, in ms: the median and the spread of the rounds, each round being
the median of its repeats; and of the rounds' ratios the median and the spread.
"""

from __future__ import annotations

import argparse
import ast
import gc
import gzip
import importlib.util
import itertools
import os
import pickle
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).resolve()
GAMES, STEPS, LATE = 15, 24, 0.85
LIVE_DATA = "/static/json/liveData"
Documents = tuple[bytes, dict[str, bytes]]


def simulated() -> list[Documents]:
    """The last quarter of the benchmark's slate, a change of each game at each step."""
    from nbad.bench.scenario import changes, slate

    steps = itertools.islice(changes(slate(GAMES), 4), STEPS)
    return [(step.board, step.plays) for step in steps]


def real() -> list[Documents]:
    """The real game as often as there are games, each a play further than the one before."""
    import orjson

    data = HERE.parents[2] / "shared/data/live"
    game = orjson.loads((data / "playbyplay_0022000001.json").read_bytes())
    board = orjson.loads((data / "todaysScoreboard_2023-04-20_live_Q2_Q1_final.json").read_bytes())
    entry = board["scoreboard"]["games"][0]
    actions = game["game"]["actions"]
    steps = []
    for step in range(STEPS):
        plays, entries = {}, []
        for number in range(GAMES):
            game_id = f"00225{number:05}"
            told = actions[: int(len(actions) * LATE) + number + step]
            last = told[-1]
            sides = [
                {**entry[f"{side.lower()}Team"], "score": int(last[f"score{side}"]), "teamId": team}
                for side, team in (("Home", 1610612751), ("Away", 1610612744))
            ]
            entries.append(
                {
                    **entry, "gameId": game_id, "gameStatus": 2, "period": last["period"],
                    "gameClock": last["clock"], "homeTeam": sides[0], "awayTeam": sides[1],
                }
            )  # fmt: skip
            meta = {**game["meta"], "time": f"2020-12-22 23:{step:02}:42.771674"}
            document = {"meta": meta, "game": {"gameId": game_id, "actions": told}}
            plays[game_id] = orjson.dumps(document)
        board["scoreboard"]["games"] = entries
        steps.append((orjson.dumps(board), plays))
    return steps


def corrected(body: bytes) -> bytes:
    """The document with another word for a play some twenty before its end, edited later."""
    import orjson

    document = orjson.loads(body)
    action = document["game"]["actions"][-20]
    action["description"] += " (corrected)"
    action["edited"] = "2030-01-01T00:00:00Z"
    return orjson.dumps(document)


# What both have, by its place in nbad before and now.
NAMES = {
    "Config": ("config.Config", "settings.schema.Config"),
    "Cursor": ("stream.position.Position", "stream.cursor.Cursor"),
    "EVERYTHING": ("stream.night.EVERYTHING", "stream.cursor.EVERYTHING"),
    "Feed": ("config.Feed", "settings.schema.Feed"),
    "Fetched": ("messages.Fetched", "stages.envelopes.Fetched"),
    "FrameStream": ("stream.socket.FrameStream", "stream.frame_stream.FrameStream"),
    "GameTracker": ("stages.parser.GameBook", "stages.parser.GameTracker"),
    "Journal": ("stream.night.Night", "stream.journal.StreamJournal"),
    "Log": ("config.Log", "settings.schema.Log"),
    "PatternTracker": ("stages.patterns.PatternBook", "stages.patterns.PatternTracker"),
    "Poll": ("config.Poll", "settings.schema.Poll"),
    "RateLimiter": ("feed.client.Ceiling", "feed.client.RateLimiter"),
    "Runtime": ("messages.InForce", "settings.current.Runtime"),
    "SeriesTracker": ("stages.predictor.SeriesBook", "stages.predictor.SeriesTracker"),
    "Settings": ("settings.Settings", "settings.current.Settings"),
    "Tick": ("messages.Tick", "observe.timing.Tick"),
    "configure": ("observe.logs.configure", "observe.logs.configure"),
    "decoded": ("feed.transport.decoded", "feed.encoding.decoded"),
    "record": ("observe.stage.record", "observe.timing.record"),
}


def names() -> SimpleNamespace:
    """The names of the checkout that runs this, under those of today."""
    old = importlib.util.find_spec("nbad.messages") is not None
    found = {}
    for name, places in NAMES.items():
        module, _, attribute = places[not old].rpartition(".")
        found[name] = getattr(importlib.import_module(f"nbad.{module}"), attribute)
    return SimpleNamespace(**found, old=old)


def wait_for_turn() -> None:
    """Let the other one have its turn."""
    sys.stdout.write("\n")
    sys.stdout.flush()
    sys.stdin.readline()


class Costs:
    """CPU in ms of each row, once for each repeat."""

    def __init__(self) -> None:
        self.rows: dict[str, list[float]] = {}

    @contextmanager
    def of(self, row: str) -> Iterator[None]:
        began = time.thread_time()
        yield
        self.rows.setdefault(row, []).append((time.thread_time() - began) * 1e3)


class Pipeline:
    """The stages of the checkout, without what lies between them."""

    def __init__(self, n: Any, runtime: Any) -> None:
        self.n, self.runtime, self.number = n, runtime, 0
        self.games, self.patterns, self.series = (
            n.GameTracker(), n.PatternTracker(), n.SeriesTracker(),
        )  # fmt: skip
        self.journal = n.Journal("bench")

    def tick(self, costs: Costs, kind: str, board: bytes, plays: dict[str, bytes]) -> Any:
        """Take a tick through all stages; its batch."""
        n, self.number = self.n, self.number + 1
        tick = n.Tick(self.number, 0.0, self.runtime)
        with costs.of(f"parse, {kind}"):
            if n.old:
                from nbad.messages import Payload

                from nbad.feed.scoreboard import parse_scoreboard

                payloads = tuple(Payload(name, body, 0.0, None) for name, body in plays.items())
                fetched = n.Fetched(tick, parse_scoreboard(board), None, 0.0, payloads)
            else:
                bodies = {"": board} | plays
                from nbad.stages.envelopes import Document

                documents = tuple(Document(name, body, 0.0) for name, body in bodies.items())
                fetched = n.Fetched(tick, float(self.number), 0.0, documents)
            updates, troubles = self.games.take(fetched)
        assert not troubles, troubles
        with costs.of(f"pattern, {kind}"):
            patterns = self.patterns.fold(updates)
        patterns = patterns if n.old else patterns[0]
        with costs.of(f"predict, {kind}"):
            forecasts = self.series.forecast(patterns)
        forecasts = forecasts if n.old else forecasts[0]
        assert len(forecasts.games) == len(plays), (kind, len(forecasts.games))
        with costs.of(f"emit, {kind}"):
            messages = self.journal.encode(forecasts.games)
            if n.old:
                return self.journal.apply(forecasts, messages, {})
            return self.journal.apply(self.number, forecasts.games, messages, {})


def stages(n: Any, costs: Costs, steps: list[Documents]) -> Any:
    """From bytes to frame; the last batch, and the journal."""
    from nbad.feed.scoreboard import parse_scoreboard
    from nbad.model.forecaster import Forecaster
    from nbad.observe.garbage import Collector

    runtime = n.Runtime(n.Config(), Forecaster.load())
    pipeline = Pipeline(n, runtime)
    Collector()  # as the daemon has it
    cold = {name: gzip.compress(body, 6) for name, body in steps[0][1].items()}
    with costs.of("the first tick of a process, gzip"):
        bodies = {name: n.decoded(body, "gzip") for name, body in cold.items()}
        pipeline.tick(Costs(), "first", steps[0][0], bodies)
    for board, plays in steps[1:]:  # fills the caches of the process
        pipeline.tick(Costs(), "first", board, plays)
    packed = [gzip.compress(body, 6) for body in steps[-1][1].values()]
    gc.collect()
    gc.freeze()
    gc.disable()
    batch = None
    for _ in range(3):
        pipeline = Pipeline(n, runtime)
        board, plays = steps[-1]
        plays = {name: corrected(body) for name, body in plays.items()}
        kinds = ["first read of all", *["a play more of each"] * (len(steps) - 1)]
        ticks = zip(kinds, steps, strict=True)
        for kind, said in (*ticks, ("a correction of each", (board, plays))):
            wait_for_turn()
            with costs.of(f"all of it, {kind}"):  # with what is let go of
                batch = pipeline.tick(costs, kind, *said)
        gc.collect()
    for board, _ in steps:
        wait_for_turn()
        with costs.of("the board alone"):
            parse_scoreboard(board)
        with costs.of("inflate 15 bodies"):
            for body in packed:
                n.decoded(body, "gzip")
    return runtime, batch, pipeline.journal


def log_lines(n: Any, costs: Costs, runtime: Any) -> None:
    """A tick's own five lines, to a file."""
    import structlog

    with tempfile.NamedTemporaryFile() as file:
        n.configure(n.Log(file=Path(file.name)))
        bound = {} if n.old else {"log": structlog.get_logger().bind()}  # once for all ticks
        for number in range(60):
            time.sleep(0.05)  # as in a night: what writes the lines has long gone to rest
            wait_for_turn()
            with costs.of("the log of a tick"):
                tick = n.Tick(number, 0.0, runtime, **bound)
                for name in ("poll", "parse", "pattern", "predict", "emit"):
                    n.record(name, tick, GAMES, 0.4)
    structlog.reset_defaults()


async def broadcasts(n: Any, costs: Costs, runtime: Any, batch: Any, journal: Any) -> None:
    """One batch to so many sockets, all ready."""
    import trio

    from nbad.stream.hub import Hub
    from nbad.stream.subscriber import Subscriber

    for count in (1, 100, 1000):
        hub = Hub(journal, n.Settings(runtime))
        journal.ready = True
        readers = []
        async with trio.open_nursery() as nursery:
            for number in range(count):
                plain, other = socket.socketpair()
                ours, theirs = map(trio.socket.from_stdlib_socket, (plain, other))
                readers.append(theirs)
                newer = "_send" in n.FrameStream.__dataclass_fields__
                more = {"_send": plain.send} if newer else {}
                stream = n.FrameStream(trio.SocketStream(ours), nursery, b"", **more)
                stream.opened()
                subscriber = Subscriber(
                    number, "127.0.0.1:1", n.Cursor(journal), stream, hub.queue,
                    trio.CancelScope(),
                )  # fmt: skip
                stream.source = subscriber.pull
                hub.join(subscriber, n.EVERYTHING, None)
            await trio.sleep(0.1)
            for _ in range(40 if count < 1000 else 10):
                for reader in readers:
                    while reader.is_readable():
                        await reader.recv(1 << 20)
                for members in hub._groups.values():
                    for subscriber in members:
                        place = subscriber.position if n.old else subscriber.cursor
                        setattr(place, "cursor" if n.old else "seq", batch.seq - 1)
                wait_for_turn()
                with costs.of(f"broadcast to {count:,}"):
                    await hub.broadcast(batch)
            nursery.cancel_scope.cancel()
        for reader in readers:
            reader.close()


async def polls(n: Any, costs: Costs, port: int, ids: list[str]) -> None:
    """All plays asked for at once, of a feed that answers from prepared bytes."""
    import trio

    from nbad.feed.client import FeedClient

    base = f"http://127.0.0.1:{port}{LIVE_DATA}"
    config = n.Config(feed=n.Feed(base_url=base), poll=n.Poll(max_requests_per_s=9999))
    urls = [f"{base}/playbyplay/playbyplay_{game_id}.json" for game_id in ids]

    async def get(client: Any, url: str, *, accept: bool) -> None:
        answer = await client.get(url)
        if accept and answer is not None:
            client.accept(answer)

    for kind in ("200", "304"):
        async with FeedClient(config, n.RateLimiter()) as client:
            for number in range(40):
                wait_for_turn()
                began = time.thread_time()
                async with trio.open_nursery() as nursery:
                    for url in urls:
                        nursery.start_soon(partial(get, client, url, accept=kind == "304"))
                if number > 4:
                    spent = (time.thread_time() - began) * 1e3
                    costs.rows.setdefault(f"15 polls, {kind}", []).append(spent)


def work(documents: Path, port: int, only: str) -> None:
    """One round of this checkout's; what it took goes to standard output."""
    n, costs = names(), Costs()
    steps: list[Documents] = pickle.loads(documents.read_bytes())

    def run(part: Callable[..., Any], *arguments: Any) -> None:
        if only in ("", part.__name__):
            import trio

            trio.run(part, n, costs, *arguments)

    if only == "log_lines":
        log_lines(n, costs, n.Runtime(n.Config(), None))
        sys.stdout.write(repr({row: statistics.median(of) for row, of in costs.rows.items()}))
        return
    runtime, batch, journal = stages(n, costs, steps)
    if not only:
        log_lines(n, costs, runtime)
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    run(broadcasts, runtime, batch, journal)
    run(polls, port, sorted(steps[0][1]))
    medians = {row: statistics.median(spent) for row, spent in costs.rows.items()}
    sys.stdout.write(repr(medians))


def in_turns(old: Path, rounds: int, only: str, steps: list[Documents]) -> None:
    """Run both in turns, and print the table."""
    new = HERE.parents[1]
    with tempfile.TemporaryDirectory() as folder:
        documents = Path(folder) / "documents"
        documents.write_bytes(pickle.dumps(steps))
        command = [sys.executable, "-m", "nbad.bench.feed", str(GAMES), "4"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as feed:
            assert feed.stdout
            port = feed.stdout.readline().strip()
            taken: dict[Path, list[dict[str, float]]] = {old: [], new: []}
            try:
                for number in range(rounds):
                    pair = (old, new) if number % 2 else (new, old)
                    for checkout, told in one_round(pair, documents, port, only):
                        taken[checkout].append(told)
            finally:
                feed.terminate()
    sys.stdout.write("| CPU ms | before | now | of it |\n|---|---|---|---|\n")
    for row in taken[new][0]:
        before, now = ([costs[row] for costs in taken[checkout]] for checkout in (old, new))
        ratios = [one / other for one, other in zip(now, before, strict=True)]
        sys.stdout.write(f"| {row} | {shown(before, 3)} | {shown(now, 3)} | {shown(ratios, 2)} |\n")


def one_round(
    pair: tuple[Path, Path], documents: Path, port: str, only: str
) -> list[tuple[Path, dict[str, float]]]:
    """What each of the two took, tick by tick in turns."""
    workers = []
    for checkout in pair:
        command = [str(checkout / ".venv/bin/python"), str(HERE), "--work", str(documents)]
        worker = subprocess.Popen(
            [*command, "--port", port, "--only", only],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout)},
        )  # fmt: skip
        workers.append(worker)
    told = ["\n", "\n"]
    while "\n" in told:
        for at, worker in enumerate(workers):
            assert worker.stdin
            assert worker.stdout
            told[at] = worker.stdout.readline()
            if told[at] == "\n":
                worker.stdin.write("\n")
                worker.stdin.flush()
    for worker in workers:
        worker.communicate()
    return [(checkout, ast.literal_eval(said)) for checkout, said in zip(pair, told, strict=True)]


def shown(values: list[float], digits: int) -> str:
    """The median, and the least and the most."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The hot path of two checkouts in turns.")
    parser.add_argument("--old", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--real", action="store_true")
    parser.add_argument(
        "--only", default="", choices=("", "stages", "log_lines", "broadcasts", "polls")
    )
    parser.add_argument("--work", type=Path, help="for its own use: one round")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work, arguments.port, arguments.only)
    else:
        in_turns(
            arguments.old.resolve(), arguments.rounds, arguments.only,
            real() if arguments.real else simulated(),
        )  # fmt: skip
