"""From a score at its origin to whom it is told: nbad beside a plain loop, and beside the floor.

    python benchmarks/freshness.py [--max-age 0,1,3,10] [--subscribers 1] [--games 8] [--minutes 5]

Every configuration has a feed of its own, in a process of its own: simulated games through a
simulated CDN. There each address has a copy with a phase of its own, taken anew every `max-age`
seconds as on a busy edge (spread evenly over the games, so that no figure is luck), `Age` in whole
seconds, `ETag` and `304`, gzip, and half of a round trip of 20 ms before and after. `max-age` 0 is
a feed that says nothing of caches: every request sees the origin. A score changes in the board, the
plays and the box score at once.

Two contestants ask the same feed at the same time: `nbad run` as it comes, told at a WebSocket
subscriber (one of as many as are asked for, the last to join), and a loop of `nba_api`, told when
it has parsed the first of board and plays that shows the score: board, then each live game's
plays, then a second's sleep. Its new connection for each request costs it nothing here.

The floor is what nobody behind this cache can beat: from the change to the first moment at which
a copy of one of the three documents that shows it is there, and half a round trip, as if a request
had come to the edge at just that moment; beside it that of who reads the board and the plays alone,
as the loop does. docs/performance-freshness.md works out what they are.

The changes of the first minute, in which the caches are learnt, are not counted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import trio
from websockets.sync.client import connect

from nbad.simulator import simulate_night
from nbad.simulator.answer import SCHEDULE, SCOREBOARD, Gzip
from nbad.simulator.source import Resource

ROUND_TRIP_S = 0.02
WARM_UP_S = 60.0
Told = list[tuple[float, int]]


class Cdn:
    """A night behind a cache: what is served at a moment of the monotonic clock."""

    def __init__(self, life_s: float, games: int, speed: float, seed: int) -> None:
        # All in play, not two in the same time-out or half-time.
        tip_offs = [-300.0 - 4500.0 * place / games for place in range(games)]
        self.night = simulate_night(games, seed, tip_offs=tip_offs)
        self.life_s, self.speed = life_s, speed
        self.began = time.monotonic()
        draw = random.Random(seed)
        self.plays = {
            f"/static/json/liveData/playbyplay/playbyplay_{game_id}.json": game_id
            for game_id in self.night.game_ids
        }
        places = draw.sample(range(games), games)
        self.phases = {
            path: (place + draw.random()) / games * life_s
            for path, place in zip(self.plays, places, strict=True)
        }
        self.phases[SCOREBOARD] = draw.random() * life_s
        self.boxes = {
            f"/static/json/liveData/boxscore/boxscore_{game_id}.json": game_id
            for game_id in self.night.game_ids
        }
        places = draw.sample(range(games), games)
        self.phases |= {
            path: (place + draw.random()) / games * life_s
            for path, place in zip(self.boxes, places, strict=True)
        }
        self.asked: Counter[str] = Counter()
        self.gzip = Gzip()
        self.copies: dict[str, tuple[float, Resource, bytes]] = {}

    def feed_time(self, moment: float) -> float:
        return self.night.starts_at + (moment - self.began) * self.speed

    def taken(self, path: str, moment: float) -> float:
        """When the copy was taken that is there at a moment."""
        if not self.life_s:
            return moment
        phase = self.phases.get(path, 0.0)
        return phase + math.floor((moment - phase) / self.life_s) * self.life_s

    def answer(self, path: str, tag: str) -> bytes:
        """The whole response to who knows the copy ``tag``."""
        moment = time.monotonic()
        taken = self.taken(path, moment)
        if (known := self.copies.get(path)) is None or known[0] != taken:
            at = self.feed_time(taken)
            if path == SCOREBOARD:
                resource: Resource | None = self.night.scoreboard(at)
            elif path == SCHEDULE:
                resource = self.night.schedule(at)
            elif path in self.boxes:
                resource = self.night.box_score(self.boxes[path], at)
            else:
                resource = self.night.play_by_play(self.plays.get(path, ""), at)
            if resource is None:
                return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            if known is None or known[1].tag != resource.tag:
                known = taken, resource, self.gzip.compress(resource.chunks)
            self.copies[path] = known = taken, resource, known[2]
        _, resource, body = known
        head = f'ETag: "{resource.tag}"\r\nContent-Type: application/json\r\n'
        if self.life_s:
            age = int(moment - taken)
            head += f"Cache-Control: public, max-age={self.life_s:g}\r\nAge: {age}\r\n"
        if tag == f'"{resource.tag}"':
            return f"HTTP/1.1 304 Not Modified\r\n{head}\r\n".encode()
        head += f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n"
        return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body

    def changes(self, begin: float, end: float) -> Iterator[tuple[str, float, int, list[float]]]:
        """The scores that came between two moments: game, moment, points, and the floors in s, of
        two documents and of three."""
        for (path, game_id), box in zip(self.plays.items(), self.boxes, strict=True):
            feed = self.night.feed(game_id)
            # Where it stands is the fold of its changes: from the first to the last, once.
            stands = [feed.standing(revision) for revision in range(1, len(feed.moments) + 1)]
            points = [stand.home + stand.away for stand in stands]
            most = 0
            for moment, now in zip(feed.moments, points, strict=True):
                at = self.began + (moment - self.night.starts_at) / self.speed
                if now > most and begin <= at < end:
                    shown = [
                        self._shown(document, at, now, feed.moments, points) - at + ROUND_TRIP_S / 2
                        for document in (SCOREBOARD, path, box)
                    ]
                    yield game_id, at, now, [min(shown[:2]), min(shown)]
                most = max(most, now)

    def _shown(
        self, path: str, at: float, points: int, moments: tuple[float, ...], stands: list[int]
    ) -> float:
        """When a copy of the document first shows a game's ``points``."""
        taken = at if not self.life_s else self.taken(path, at) + self.life_s
        while stands[bisect_left(moments, self.feed_time(taken) + 1e-6) - 1] < points:
            taken += self.life_s or 0.01  # the score was taken back before a copy was taken
        return taken


async def serve_cdn(life_s: float, games: int, speed: float, seed: int) -> None:
    """Say the port, then answer ``/WHO/static/json/…`` and ``/report/BEGIN/END``, for ever."""
    cdn = Cdn(life_s, games, speed, seed)

    async def attend(stream: trio.SocketStream) -> None:
        waiting = b""
        with suppress(trio.BrokenResourceError):
            while True:
                while b"\r\n\r\n" not in waiting:
                    if not (data := await stream.receive_some(65536)):
                        return
                    waiting += bytes(data)
                head, _, waiting = waiting.partition(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                _, who, path = lines[0].split(" ")[1].split("/", 2)
                if who == "report":
                    begin, end = map(float, path.split("/"))
                    said = {"asked": cdn.asked, "changes": list(cdn.changes(begin, end))}
                    body = orjson.dumps(said)
                    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                    await stream.send_all(head + body)
                    continue
                cdn.asked[who] += 1
                fields = dict(line.lower().split(": ", 1) for line in lines[1:])
                await trio.sleep(ROUND_TRIP_S / 2)
                reply = cdn.answer(f"/{path}", fields.get("if-none-match", ""))
                await trio.sleep(ROUND_TRIP_S / 2)
                await stream.send_all(reply)

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, attend, 0, host="127.0.0.1")
        [listener] = await nursery.start(serve)
        print(listener.socket.getsockname()[1], flush=True)  # noqa: T201 - its output


def loop(base: str) -> None:
    """What everybody writes first. Says ``[moment, game, points]`` of every document read."""
    from nba_api.live.nba.endpoints import playbyplay, scoreboard
    from nba_api.live.nba.library.http import NBALiveHTTP

    NBALiveHTTP.base_url = base + "/{endpoint}"
    say = lambda *what: print(json.dumps([time.monotonic(), *what]), flush=True)  # noqa: E731, T201
    while True:
        games = scoreboard.ScoreBoard().get_dict()["scoreboard"]["games"]
        for game in games:
            say(game["gameId"], game["homeTeam"]["score"] + game["awayTeam"]["score"])
        for game in games:
            if game["gameStatus"] == 2:
                last = playbyplay.PlayByPlay(game["gameId"]).get_dict()["game"]["actions"][-1]
                say(game["gameId"], int(last["scoreHome"]) + int(last["scoreAway"]))
        time.sleep(1.0)


def measure(max_age: float, subscribers: int, args: argparse.Namespace) -> dict[str, Any]:
    """Run one configuration; its figures by contestant."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def start(*command: str, **options: Any) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([sys.executable, *command], **options)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        me = str(Path(__file__))
        scene = [str(max_age), str(args.games), str(args.speed), str(args.seed)]
        cdn = start(me, "--serve-cdn", *scene, stdout=subprocess.PIPE)
        assert cdn.stdout
        origin = f"http://127.0.0.1:{int(cdn.stdout.readline())}"
        base = {who: f"{origin}/{who}/static/json" for who in ("nbad", "loop")}
        daemon, port = start_daemon(start, base["nbad"], folder)
        if subscribers > 1:
            crowd = start(
                "-m", "nbad.bench.load", str(port), str(subscribers - 1), stdout=subprocess.PIPE
            )
            assert crowd.stdout
            assert crowd.stdout.readline() == b"ready\n"
        told: dict[str, dict[str, Told]] = {"nbad": {}}
        stop = threading.Event()
        reader = threading.Thread(target=subscribe, args=(port, told["nbad"], stop))
        reader.start()
        stack.callback(reader.join)
        stack.callback(stop.set)
        with (folder / "loop").open("wb") as said:
            plain = start(me, "--loop", f"{base['loop']}/liveData", stdout=said)
        processes = {"nbad": daemon, "loop": plain}
        time.sleep(WARM_UP_S)
        begin, before = time.monotonic(), report(origin)["asked"]
        spent = {who: cpu_s(process.pid) for who, process in processes.items()}
        time.sleep(args.minutes * 60)
        end, after = time.monotonic(), report(origin)["asked"]
        for who, process in processes.items():
            spent[who] = (cpu_s(process.pid) - spent[who]) / (end - begin)
        # What came last is still to be told.
        end_of_changes = end - 2.0
        time.sleep(2 * max_age + 5)
        changes = report(origin, begin, end_of_changes)["changes"]
        told["loop"] = read_log((folder / "loop").read_bytes())
    result: dict[str, Any] = {"max_age": max_age, "subscribers": subscribers}
    for floor, name in enumerate(("floor of two", "floor")):
        result[name] = figures([floors[floor] for *_, floors in changes])
    for who, heard in told.items():
        waits = [first(heard[game], points) - at for game, at, points, _ in changes]
        asked = (after[who] - before[who]) / (end - begin)
        result[who] = figures(waits) | {"requests_s": asked, "cpu": spent[who]}
    return result


def start_daemon(
    start: Callable[..., subprocess.Popen[bytes]], base: str, folder: Path
) -> tuple[subprocess.Popen[bytes], int]:
    """``nbad run`` as it comes, but for the feed's address and its own; and its stream's port."""
    (folder / "nbad.toml").write_text(
        f'[feed]\nbase_url = "{base}/liveData"\n'
        f'schedule_url = "{base}/staticData/scheduleLeagueV2.json"\n'
        "[server]\nport = 0\n[http]\nport = 0\n[log]\nfile = " + json.dumps(str(folder / "log"))
    )
    daemon = start("-m", "nbad", "run", "--config", str(folder / "nbad.toml"), env=environment())
    for _ in range(600):
        time.sleep(0.1)
        with suppress(FileNotFoundError):
            events = [json.loads(line) for line in (folder / "log").read_bytes().splitlines()]
            ports = [e["port"] for e in events if e.get("service") == "stream" and "port" in e]
            if ports and any(event["event"] == "ready" for event in events):
                return daemon, ports[0]
    sys.exit("expected a daemon that is ready within a minute, was none")


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("NBAD_")}


def subscribe(port: int, told: dict[str, Told], stop: threading.Event) -> None:
    """Note when each game's points are told."""
    address = f"ws://127.0.0.1:{port}/v1/stream"
    with connect(address, compression=None, max_size=None) as socket:
        while not stop.is_set():
            with suppress(TimeoutError):
                message = orjson.loads(socket.recv(timeout=0.5))
                now = time.monotonic()
                for game in message.get("messages", message.get("games", ())):
                    points = game["home"]["score"] + game["away"]["score"]
                    told.setdefault(game["game_id"], []).append((now, points))


def read_log(said: bytes) -> dict[str, Told]:
    told: dict[str, Told] = {}
    for line in said.splitlines():
        with suppress(json.JSONDecodeError):  # the last one may be cut
            now, game, points = json.loads(line)
            told.setdefault(game, []).append((now, points))
    return told


def first(told: Told, points: int) -> float:
    """When at least so many were told."""
    return next((now for now, said in told if said >= points), math.inf)


def report(origin: str, begin: float = 0.0, end: float = 0.0) -> Any:
    with urllib.request.urlopen(f"{origin}/report/{begin}/{end}") as reply:
        return json.load(reply)


def cpu_s(pid: int) -> float:
    """What all threads of a process have spent on the CPU."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def figures(waits: list[float]) -> dict[str, float]:
    """Of waits in s, in ms."""
    ranked = sorted(waits)
    found = {"changes": len(ranked), "mean": sum(ranked) / len(ranked) * 1e3}
    for share in (50, 90, 99):
        found[f"p{share}"] = ranked[math.ceil(share / 100 * len(ranked)) - 1] * 1e3
    return found


def table(results: list[dict[str, Any]]) -> Iterator[str]:
    yield "| max-age | subscribers | | changes | mean ms | p50 | p90 | p99 | requests/s | CPU % |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for result in results:
        for who in ("nbad", "loop", "floor", "floor of two"):
            row = result[who]
            times = " | ".join(f"{row[name]:,.0f}" for name in ("mean", "p50", "p90", "p99"))
            costs = f"{row['requests_s']:.2f} | {row['cpu'] * 100:.1f}" if "cpu" in row else " | "
            yield (
                f"| {result['max_age']:g} | {result['subscribers']:,} | {who} | {row['changes']} "
                f"| {times} | {costs} |"
            )
        mean = {who: result[who]["mean"] for who in ("nbad", "loop", "floor")}
        yield (
            f"| {result['max_age']:g} | {result['subscribers']:,} | nbad of loop / of floor | "
            f"| {mean['nbad'] / mean['loop']:.2f} / {mean['nbad'] / mean['floor']:.2f} "
            f"| | | | {result['nbad']['requests_s'] / result['loop']['requests_s']:.2f} | |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-age", default="0,1,3,10", help="of a copy, in s")
    parser.add_argument("--subscribers", default="1", help="of each of which a run is made")
    parser.add_argument("--games", type=int, default=8, help="in play")
    parser.add_argument("--speed", type=float, default=8.0, help="of the games: more changes")
    parser.add_argument("--minutes", type=float, default=5.0, help="measured")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=4, help="configurations that run together")
    parser.add_argument("--serve-cdn", nargs=4, type=float, help=argparse.SUPPRESS)
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve_cdn:
        life_s, games, speed, seed = args.serve_cdn
        trio.run(serve_cdn, life_s, int(games), speed, int(seed))
    elif args.loop:
        loop(args.loop)
    else:
        runs = [
            (float(age), int(count))
            for count in args.subscribers.split(",")
            for age in args.max_age.split(",")
        ]
        with ThreadPoolExecutor(args.at_once) as pool:
            results = list(pool.map(lambda run: measure(*run, args), runs))
        print(json.dumps(results))  # noqa: T201 - its output
        print("\n".join(table(results)))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
