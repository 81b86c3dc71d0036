"""What stops the daemon for a moment: garbage collection, and the tokens of a reload.

    python benchmarks/pauses.py [--subscribers 5000] [--tokens 1000]

A daemon with that many subscribers, each with one of the tokens, follows a night to its end and
20 s beyond. It reloads in its midst, with one token withdrawn. Told are its collections, by
generation, and how long the subscribers' tokens took to be looked at.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import orjson
import trio
from attacks import Daemon, serving
from strangers import LEFT, many, subscribe

# What is timed is told in a file, a line each: what, ms, subscribers.
TIMED = """
import gc, os, sys, time
out = open(os.environ["TIMED"], "a", buffering=1)
from nbad.stream.hub import Hub
hubs = []
made, judge = Hub.__init__, Hub.close_revoked
def init(self, *arguments):
    hubs.append(self)
    made(self, *arguments)
def close_revoked(self):
    begun = time.perf_counter()
    judge(self)
    print("tokens", (time.perf_counter() - begun) * 1e3, self.count, file=out)
Hub.__init__, Hub.close_revoked = init, close_revoked
def collected(phase, info, begun=[0.0]):
    now = time.perf_counter()
    if phase == "start":
        begun[0] = now
    else:
        took = (now - begun[0]) * 1e3
        count = hubs[0].count if hubs else 0
        print(f"generation-{info['generation']}", took, count, file=out)
gc.callbacks.append(collected)
from nbad.cli import main
sys.exit(main(sys.argv[1:]))
"""


def watch(port: int, count: int, tokens: int) -> None:
    os.nice(19 - os.nice(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

    async def one(number: int) -> None:
        try:
            stream = await subscribe(port, f"?token=token-{number % tokens}", many())
            while await stream.receive_some(65_536):
                pass
        except* LEFT:
            pass

    async def all_of_them() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(one, number)
                await trio.sleep(0.002)

    trio.run(all_of_them)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", type=int, default=5000)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--speed", type=float, default=100.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, serving(arguments.speed) as urls:
        folder = Path(made)
        told = folder / "timed"
        os.environ["TIMED"] = str(told)
        tokens = folder / "tokens"
        tokens.write_text("".join(f"token-{n}\n" for n in range(arguments.tokens)))
        Daemon.command = [sys.executable, "-c", TIMED]
        daemon = Daemon(folder, urls, f'tokens_file = "{tokens}"\n')
        watching = multiprocessing.get_context("spawn").Process(
            target=watch, args=(daemon.ports[0], arguments.subscribers, arguments.tokens)
        )
        watching.start()
        try:
            while daemon.subscribers() < arguments.subscribers:
                time.sleep(0.5)
            tokens.write_text("".join(f"token-{n}\n" for n in range(1, arguments.tokens)))
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for("reloaded")
            games = f"http://127.0.0.1:{daemon.ports[1]}/v1/games"
            asked = urllib.request.Request(games, headers={"Authorization": "Bearer token-1"})
            while True:
                with urllib.request.urlopen(asked) as answer:
                    night = orjson.loads(answer.read())["games"]
                if all(game["status"] in ("final", "postponed") for game in night):
                    break
                time.sleep(1)
            time.sleep(20)
        finally:
            print(f"SIGTERM s, exit: {daemon.end_s()}")  # noqa: T201
            watching.kill()
        seen = [line.split() for line in told.read_text().splitlines()]
        for what in sorted({line[0] for line in seen}):
            taken = sorted(float(ms) for name, ms, count in seen if name == what and int(count))
            if taken:
                print(  # noqa: T201
                    f"{what}: {len(taken)} with subscribers, longest {taken[-1]:.1f} ms, "
                    f"median {taken[len(taken) // 2]:.2f} ms, {sum(ms > 10 for ms in taken)} of "
                    "more than 10 ms"
                )


if __name__ == "__main__":
    main()
