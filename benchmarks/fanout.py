"""One batch to many subscribers: nbad beside the servers that people would pick instead.

    python benchmarks/fanout.py [--subscribers 1,100,1000,5000,10000] [--servers nbad,picows]
                                [--games 5] [--rounds 1]

Each server runs in a process of its own, one after the other in each round; "nbad deflate" is nbad
to subscribers that take messages compressed. A batch of 5 games has 4 KB, one of 15 has 12. The
subscribers are bare sockets in another, so only the server's CPU is counted (the kernel's account
of all its threads). A batch is let go when the one before it has reached everybody. Prints a JSON
line for each, and a table.
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import os
import resource
import select
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles

from fanout_servers import GAMES, HOST, PATH, SERVERS

REQUEST = (
    f"GET {PATH}%s HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
)
OFFER = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
PATIENCE_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", default="1,100,1000,5000,10000")
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--deliveries", type=int, default=40_000, help="about, for each figure")
    parser.add_argument("--filters", type=int, default=0, help="different ones, of nbad only")
    parser.add_argument("--games", type=int, default=5, help="in each batch")
    parser.add_argument("--rounds", type=int, default=1, help="times that all take turns")
    arguments = parser.parse_args()
    os.environ["FANOUT_GAMES"] = str(arguments.games)
    rows = []
    for count in map(int, arguments.subscribers.split(",")):
        batches = max(8, min(200, arguments.deliveries // count))
        names = arguments.servers.split(",")
        rounds: dict[str, list[dict[str, float | str]]] = {name: [] for name in names}
        for _ in range(arguments.rounds):
            for name, made in rounds.items():
                made.append(measure(name, count, batches, arguments.filters))
                print(json.dumps(made[-1]), flush=True)  # noqa: T201 - its output
        rows += [middle(made) for made in rounds.values()]
    print(table(rows))  # noqa: T201 - its output


def middle(made: list[dict[str, float | str]]) -> dict[str, float | str]:
    """The medians of the rounds, and the lowest and the highest CPU."""
    row = dict(made[0])
    for name, value in made[0].items():
        if isinstance(value, float):
            row[name] = round(median(float(one[name]) for one in made), 2)
    costs = [float(one["cpu_us"]) for one in made]
    return row | {"spread": f"{min(costs)} to {max(costs)}"}


def measure(name: str, count: int, batches: int, filters: int = 0) -> dict[str, float | str]:
    """Run one server with ``count`` subscribers, of so many different filters; its figures."""
    script = Path(__file__).with_name("fanout_servers.py")
    offers = name.endswith(" deflate")
    server = subprocess.Popen(
        [sys.executable, str(script), name.removesuffix(" deflate")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdin
    assert server.stdout
    port = int(server.stdout.readline())
    before_kb = rss_kb(server.pid)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    clients = context.Process(target=subscribe, args=(port, count, filters, offers, theirs))
    clients.start()
    try:
        expect(ours, PATIENCE_S + count / 100)  # to connect takes some ms each
        took = []
        for number in range(batches + 3):
            if number == 3:  # the first ones warm up
                spent_ns, took = cpu_ns(server.pid), []
                kb = (rss_kb(server.pid) - before_kb) / count
            sent = time.monotonic()
            server.stdin.write(b"\n")
            server.stdin.flush()
            took.append((expect(ours) - sent) * 1e3)
        spent_ns = cpu_ns(server.pid) - spent_ns
    finally:
        clients.kill()
        clients.join()
        server.kill()
        server.wait()
    cuts = quantiles(took, n=100, method="inclusive")
    return {
        "server": name,
        "subscribers": count,
        "batches": batches,
        "cpu_us": round(spent_ns / 1e3 / batches / count, 2),
        "last_ms_p50": round(cuts[49], 2),
        "last_ms_p99": round(cuts[98], 2),
        "kb_per_subscriber": round(kb, 1),
    }


def expect(pipe: Connection, patience_s: float = PATIENCE_S) -> float:
    """When the subscribers had all of it."""
    if not pipe.poll(patience_s):
        raise TimeoutError("the batch did not reach everybody")
    return float(pipe.recv())


def cpu_ns(pid: int) -> int:
    """What all threads of a process have spent on the CPU."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def rss_kb(pid: int) -> int:
    """Resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def asked(number: int) -> str:
    """The query of a filter unlike all others, but for one to four of the games that are on."""
    subset = number % 30 + 1
    on = [f"{game:010}" for game in range(GAMES) if subset >> game & 1]
    return "?games=" + ",".join([*on, f"9{number:09}"])


def subscribe(port: int, count: int, filters: int, offers: bool, parent: Connection) -> None:
    """Open ``count`` WebSockets; tell the time whenever each of them has one more frame."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    for number in range(count):
        sock = socket.create_connection((HOST, port))
        query = asked(number % filters) if filters else ""
        sock.sendall((REQUEST % query + (OFFER if offers else "") + "\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            # Byte by byte at its end, so that no frame is taken with it.
            head += sock.recv(1 if head else 64)
        sock.setblocking(False)
        poll.register(sock, select.EPOLLIN)
        sockets[sock.fileno()] = sock
    while ready := poll.poll(1.0):  # what comes before the batches: welcome, snapshot
        for number, _ in ready:
            if not sockets[number].recv(1 << 20):
                raise ConnectionError("a subscriber was closed")
    parent.send(time.monotonic())
    left = dict.fromkeys(sockets, 0)  # bytes of the current frame still to come
    missing = count
    while True:
        for number, _ in poll.poll():
            data = sockets[number].recv(1 << 17)
            if not data:
                raise ConnectionError("a subscriber was closed")
            if not left[number]:
                assert data[:2] == (b"\xc1\x7e" if offers else b"\x81\x7e")
                left[number] = 4 + int.from_bytes(data[2:4], "big")
            left[number] -= len(data)
            assert left[number] >= 0, "more than a frame a batch"
            missing -= not left[number]
        if not missing:
            parent.send(time.monotonic())
            missing = count


def table(rows: list[dict[str, float | str]]) -> str:
    """The figures as Markdown, each server's CPU also as a multiple of the bare loop's."""
    bare = {row["subscribers"]: row["cpu_us"] for row in rows if row["server"] == "bare send loop"}
    lines = [
        "| subscribers | server | µs CPU each | × bare | last, p50 ms | last, p99 ms | KB each |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        floor = bare.get(row["subscribers"])
        ratio = f"{float(row['cpu_us']) / float(floor):.2f}" if floor else ""
        lines.append(
            f"| {row['subscribers']:,} | {row['server']} | {row['cpu_us']} ({row['spread']}) "
            f"| {ratio} "
            f"| {row['last_ms_p50']} | {row['last_ms_p99']} | {row['kb_per_subscriber']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
