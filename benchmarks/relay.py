"""A publisher, a Redis, relays, and many bare sockets: what a subscriber waits, what it costs.

    python benchmarks/relay.py [--subscribers 20000] [--workers 4] [--batches 60] [--pace 1.0]
    python benchmarks/relay.py --hop       one subscriber at each: what the hop adds
    python benchmarks/relay.py --alone     all subscribers at the publisher itself, no relay
    python benchmarks/relay.py --asleep    what the workers can write, the subscribers' processes
                                           stopped meanwhile: ten batches, which the sockets hold

The publisher is nbad's last stage and its publisher, fed with made-up batches of five games (4 KB)
instead of a feed. The subscribers are sockets in other processes, which look only at each message's
`seq`: a gap or a repetition fails the run. With `--pace 0` a batch is let go when the one before it
has reached everybody: deliveries a second. Everything shares this machine. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from random import randrange
from statistics import median, quantiles
from typing import Any

from fanout import REQUEST, cpu_ns, rss_kb
from fanout_servers import HOST, games

SUBSCRIBER_PROCESSES = 2
PATIENCE_S = 300.0
_SEQ = re.compile(rb'"seq":(\d+)')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--pace", type=float, default=1.0, help="seconds between two; 0: at once")
    parser.add_argument("--hop", action="store_true")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--asleep", action="store_true")
    parser.add_argument("--source", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.source:
        source(arguments.source)
        return
    with ExitStack() as stack:
        print(json.dumps(measure(arguments, stack)))  # noqa: T201 - its output


def measure(arguments: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    """Start everything, let the batches go, and add up."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nbad-relay-")))
    redis_port, url = free_port(), ""
    processes: dict[str, subprocess.Popen[bytes]] = {}

    def begin(name: str, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, **options)
        stack.callback(process.wait)
        stack.callback(process.kill)
        processes[name] = process
        return process

    if not arguments.alone:
        begin("redis", redis_command(redis_port, folder), stdout=subprocess.DEVNULL)
        wait_for_redis(redis_port)
        url = f"redis://{HOST}:{redis_port}/0"
    config = folder / "nbad.toml"
    config.write_text(
        "[server]\nport = 0\nmax_subscribers = 100000\nping_interval_s = 3600.0\n"
        "max_handshakes_per_address = 100000\nmax_waiting_per_address = 100000\n"
        "max_connects_per_s_per_address = 100000.0\n"
        "[http]\nport = 0\nmax_connections = 16\n"
        f'[publish]\nurl = "{url}"\n[log]\nfile = "{folder}/relay.log"\n'
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    publisher = begin("publisher", [sys.executable, __file__, "--source", str(config)], **pipes)
    assert publisher.stdin
    assert publisher.stdout
    ports = [int(publisher.stdout.readline())]
    let_go(publisher)
    if not arguments.alone:
        workers = ["--workers", str(arguments.workers)]
        command = [sys.executable, "-m", "nbad", "relay", *workers, "--config", str(config)]
        begin("relays", command)
        ports.append(listening(folder / "relay.log", max(1, arguments.workers)))
    targets = ports if arguments.hop else ports[-1:]
    count = len(targets) if arguments.hop else arguments.subscribers
    shares = len(targets) if arguments.hop else SUBSCRIBER_PROCESSES
    context = multiprocessing.get_context("spawn")
    ours: list[Connection] = []
    clients: list[Any] = []
    for share in range(shares):
        here, there = context.Pipe()
        port = targets[share % len(targets)]
        size = count // shares
        client = context.Process(target=subscribe, args=(port, size, there), daemon=True)
        client.start()
        stack.callback(client.kill)
        ours.append(here)
        clients.append(client)
    began = time.monotonic()
    for pipe in ours:
        expect(pipe)
    joined_s = time.monotonic() - began
    watched = pids(processes)
    if arguments.asleep:
        return asleep(arguments, publisher, watched, clients, ours)
    before = {name: cpu_ns(pid) for name, pid in watched.items()}
    sent, received = [], []
    began = time.monotonic()
    for _ in range(arguments.batches):
        sent.append(let_go(publisher))
        received.append([expect(pipe) for pipe in ours])
        time.sleep(max(0.0, sent[-1] + arguments.pace - time.monotonic()))
    took_s = time.monotonic() - began
    cpu = {name: (cpu_ns(pid) - before[name]) / 1e9 for name, pid in watched.items()}
    figures: dict[str, Any] = {
        "subscribers": count,
        "workers": 0 if arguments.alone else arguments.workers,
        "batches": arguments.batches,
        "joined_s": round(joined_s, 1),
        "deliveries_per_s": round(count * arguments.batches / took_s),
        "cpu_share": {name: round(s / took_s, 3) for name, s in cpu.items()},
        "mb": {name: round(rss_kb(pid) / 1024, 1) for name, pid in watched.items()},
    }
    serving = [name for name in cpu if name.startswith("worker") or arguments.alone]
    total = sum(cpu[name] for name in serving)
    figures["cpu_us_per_delivery"] = round(total * 1e6 / count / arguments.batches, 2)
    if arguments.hop:
        near, far = zip(*((row[0][1], row[1][1]) for row in received), strict=True)
        figures["hop_ms"] = cuts([1e3 * (b - a) for a, b in zip(near, far, strict=True)])
    else:
        firsts = [min(first for first, _ in row) for row in received]
        lasts = [max(last for _, last in row) for row in received]
        figures["first_ms"] = cuts([1e3 * (a - b) for a, b in zip(firsts, sent, strict=True)])
        figures["last_ms"] = cuts([1e3 * (a - b) for a, b in zip(lasts, sent, strict=True)])
    return figures


def asleep(
    arguments: argparse.Namespace,
    publisher: subprocess.Popen[bytes],
    watched: dict[str, int],
    clients: list[Any],
    ours: list[Connection],
) -> dict[str, Any]:
    """Rounds of ten batches while nobody reads; until no worker has anything left to do."""
    workers = [pid for name, pid in watched.items() if name.startswith("worker")]
    rates, costs = [], []
    for _ in range(max(1, arguments.batches // 10)):
        for client in clients:
            os.kill(client.pid, signal.SIGSTOP)
        start = [cpu_ns(pid) for pid in workers]
        began = ended = time.monotonic()
        for _ in range(10):
            let_go(publisher)
        used = start
        while time.monotonic() < ended + 0.3:  # a heartbeat of its own is some us
            time.sleep(0.005)
            now = [cpu_ns(pid) for pid in workers]
            if sum(now) > sum(used) + 2e6:
                used, ended = now, time.monotonic()
        for client in clients:
            os.kill(client.pid, signal.SIGCONT)
        for _ in range(10):
            for pipe in ours:
                expect(pipe)
        deliveries = 10 * arguments.subscribers
        rates.append(round(deliveries / (ended - began)))
        costs.append(round((sum(used) - sum(start)) / 1e3 / deliveries, 2))
    return {
        "subscribers": arguments.subscribers,
        "workers": arguments.workers,
        "deliveries_per_s": rates,
        "cpu_us_per_delivery": costs,
    }


def cuts(values: list[float]) -> dict[str, float]:
    shares = quantiles(values, n=100, method="inclusive")
    return {"p50": round(median(values), 2), "p99": round(shares[98], 2)}


def free_port() -> int:
    """Below those that the kernel gives to whoever connects: it may be taken a little later."""
    while True:
        port = randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as taken:
            taken.bind((HOST, port))
            return port


def redis_command(port: int, folder: Path) -> list[str]:
    assert shutil.which("redis-server"), "needs redis-server"
    command = ["redis-server", "--port", str(port), "--dir", str(folder), "--save", ""]
    return [*command, "--appendonly", "yes"]


def wait_for_redis(port: int) -> None:
    give_up = time.monotonic() + 10.0
    while True:
        try:
            socket.create_connection((HOST, port)).close()
        except OSError:
            assert time.monotonic() < give_up, "redis-server did not start"
            time.sleep(0.02)
        else:
            return


def let_go(publisher: subprocess.Popen[bytes]) -> float:
    """Have a batch made; when it was handed to the stage."""
    assert publisher.stdin
    assert publisher.stdout
    publisher.stdin.write(b"\n")
    publisher.stdin.flush()
    return float(publisher.stdout.readline())


def listening(log: Path, workers: int) -> int:
    """The port of the stream, once all workers are ready."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        lines = log.read_bytes().splitlines() if log.exists() else []
        events = [json.loads(line) for line in lines]
        if sum(event["event"] == "ready" for event in events) >= workers:
            return next(int(event["port"]) for event in events if event.get("service") == "stream")
        time.sleep(0.05)
    raise TimeoutError("the relays did not start")


def pids(processes: dict[str, subprocess.Popen[bytes]]) -> dict[str, int]:
    """Every process that serves, the watcher's workers each for itself."""
    found = {name: process.pid for name, process in processes.items()}
    if "relays" in found:
        watcher = found["relays"]
        tasks = Path(f"/proc/{watcher}/task").iterdir()
        children = [pid for task in tasks for pid in (task / "children").read_text().split()]
        found |= {f"worker{number}": int(pid) for number, pid in enumerate(children or [watcher])}
    return found


def expect(pipe: Connection) -> tuple[float, float]:
    """When the first and the last of a process's subscribers had it."""
    first, last = answer_of(pipe, "a batch did not reach everybody")
    return float(first), float(last)


def answer_of(pipe: Connection, silence: str = "a subscribers' process says nothing") -> Any:
    """What a subscribers' process says. Raises ``TimeoutError`` of ``silence`` where there is none,
    ``RuntimeError`` of what went wrong there."""
    if not pipe.poll(PATIENCE_S):
        raise TimeoutError(silence)
    answer = pipe.recv()
    if isinstance(answer, str):
        raise RuntimeError(answer)  # noqa: TRY004 - what went wrong there
    return answer


def subscribe(port: int, count: int, parent: Connection) -> None:
    """Open ``count`` WebSockets and tell, batch by batch, when the first and the last had it."""
    with telling_faults(parent):
        _subscribe(port, count, parent)


@contextmanager
def telling_faults(parent: Connection) -> Iterator[None]:
    """Tell the parent, if it is still there, what goes wrong."""
    try:
        yield
    except (OSError, AssertionError) as error:
        with suppress(OSError):
            parent.send(f"{type(error).__name__}: {error}")


def begin_subscriber(port: int, number: int) -> socket.socket:
    """A connection that asks for the stream, the ``number``-th of its process."""
    # An address of its own for each 5,000: there are some 28,000 ports to call from.
    source = f"127.0.0.{2 + number // 5_000}"
    sock = socket.create_connection((HOST, port), source_address=(source, 0))
    sock.sendall((REQUEST % "" + "\r\n").encode())
    return sock


def most_descriptors() -> None:
    """Have as many open files as the system lets a process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _subscribe(port: int, count: int, parent: Connection) -> None:
    most_descriptors()
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    buffers: dict[int, bytes] = {}
    for number in range(count):
        sock = begin_subscriber(port, number)
        sockets[sock.fileno()] = sock
        buffers[sock.fileno()] = b""
        poll.register(sock, select.EPOLLIN)
    seqs: dict[int, int] = {}
    opened: set[int] = set()
    first, missing = 0.0, count

    def take(number: int, seq: int) -> None:
        nonlocal first, missing
        assert seq == seqs.get(number, seq - 1) + 1, f"{seq} after {seqs[number]}"
        seqs[number] = seq
        missing -= 1
        first = first or time.monotonic()
        if not missing:
            # The first time each has its snapshot; then batch by batch.
            parent.send((first, time.monotonic()))
            first, missing = 0.0, count

    room = bytearray(1 << 17)
    head, head_seq = b"", 0
    while True:
        for number, _ in poll.poll():
            size = sockets[number].recv_into(room)
            if not buffers[number] and room[1] == 126 and size == 4 + (room[2] << 8 | room[3]):
                # The usual case, cheaply: one whole batch, which begins as the one before it.
                if room[:80] != head and room.startswith(b'{"type":"batch"', 4):
                    found = _SEQ.search(room, 0, 80)
                    assert found
                    head, head_seq = bytes(room[:80]), int(found[1])
                if room[:80] == head:
                    take(number, head_seq)
                    continue
            data = buffers[number] + room[:size]
            assert size, "a subscriber was closed"
            if number not in opened:
                _, mark, data = data.rpartition(b"\r\n\r\n")
                if not mark:
                    buffers[number] = data
                    continue
                opened.add(number)
            while (end := frame_end(data)) and len(data) >= end:
                text, data = data[:end], data[end:]
                kind = text[:40]
                # Neither a welcome nor a heartbeat or a ping.
                if b'"type":"snapshot"' in kind or b'"type":"batch"' in kind:
                    found = _SEQ.search(text)
                    assert found
                    take(number, int(found[1]))
            buffers[number] = data


def frame_end(data: bytes) -> int:
    """Where the first frame of ``data`` ends, 0 where that is not known yet."""
    if len(data) < 10:
        return 2 + data[1] if len(data) >= 2 and data[1] < 126 else 0
    head = {126: 4, 127: 10}.get(data[1], 2)
    return head + (int.from_bytes(data[2:head], "big") if head > 2 else data[1])


def source(config: str) -> None:
    """The publisher's process: a batch for each line on standard input, when it began on output."""
    import trio

    from nbad.channels import open_bounded
    from nbad.observe import logs
    from nbad.observe.garbage import Collector
    from nbad.observe.timing import Tick
    from nbad.publish.publisher import Publisher
    from nbad.relay.reader import ToldModel
    from nbad.settings.current import Runtime, Settings
    from nbad.settings.load import load
    from nbad.settings.schema import Log
    from nbad.stages.envelopes import Forecasts
    from nbad.stages.server import open_hub, serve_stream

    async def run() -> None:
        settings = Settings(Runtime(load(Path(config), os.environ).config, ToldModel()))
        hub = open_hub(settings)
        publisher = Publisher(hub.journal, settings)
        hub.on_news = publisher.wake
        sender, receiver = open_bounded(1, Forecasts)
        collector = Collector()

        def served(tick: Tick) -> None:
            publisher.note_tick(tick)
            collector.rest(idle=False)

        async with trio.open_nursery() as nursery:
            serve = partial(serve_stream, receiver, settings, served=served, hub=hub)
            _, port = await nursery.start(serve)
            nursery.start_soon(publisher.run)
            print(port, flush=True)  # noqa: T201 - its output
            number = 0
            async with trio.lowlevel.FdStream(os.dup(0)) as lines:
                while data := await lines.receive_some():
                    for _ in range(data.count(b"\n")):
                        number += 1
                        tick = Tick(number, trio.current_time(), settings.current)
                        print(time.monotonic(), flush=True)  # noqa: T201 - its output
                        await sender.send(Forecasts(tick, games(number)))
            nursery.cancel_scope.cancel()

    logs.configure(Log(level="warning", file=Path(os.devnull)))
    trio.run(run)


if __name__ == "__main__":
    main()
