"""1,000 healthy subscribers, alone and then among 600 that misbehave in every way at once.

    python benchmarks/fanout_storm.py [--batches 200] [--apart]

200 stop reading, 200 disconnect in the middle of a frame, 100 send garbage, 100 reconnect; the last
400 come back as soon as they are gone. A batch is let go every 50 ms, or when all of the healthy
have the one before it; a healthy one that misses a batch fails the run.

"last" is until the last of the healthy has it. The bad ones' process shares the machine: with fewer
cores than processes that is also how the kernel shares them out. `--apart` gives the server a core
of its own, quiet or not, and lets the bad ones have what the healthy leave of the other. "cpu" is
the server's own, from the batch's being let go to its last write, with all that it does for others
meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import resource
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles

from fanout import REQUEST, cpu_ns, expect, rss_kb, subscribe
from fanout_servers import HOST

HEALTHY = 1000
PACE_S = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--apart", action="store_true", help="a core for the server")
    arguments = parser.parse_args()
    script = Path(__file__).with_name("fanout_servers.py")
    server = subprocess.Popen(
        [sys.executable, str(script), "nbad timed"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout
    port = int(server.stdout.readline())
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    healthy = context.Process(target=subscribe, args=(port, HEALTHY, 0, theirs))
    healthy.start()
    told, teller = context.Pipe()
    storm = context.Process(target=misbehave, args=(port, teller))
    try:
        expect(ours)
        if arguments.apart:
            core, *others = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(server.pid, {core})
            os.sched_setaffinity(healthy.pid or 0, others)
        send(server, ours, 10)  # to warm up
        quiet = report("quiet", server, ours, arguments.batches)
        storm.start()
        told.recv()
        if arguments.apart:
            os.sched_setaffinity(storm.pid or 0, others)
            os.setpriority(os.PRIO_PROCESS, storm.pid or 0, 19)
        loud = report("storm", server, ours, arguments.batches)
        os.kill(storm.pid or 0, 15)
        ratios = {
            f"{name}_p99_ratio": round(loud[f"{name}_ms_p99"] / quiet[f"{name}_ms_p99"], 2)
            for name in ("last", "cpu")
        }
        print(json.dumps({**ratios, "misdeeds": told.recv()}))  # noqa: T201
    finally:
        for process in (healthy, storm):
            if process.pid:
                process.kill()
                process.join()
        server.kill()
        server.wait()


def report(
    name: str, server: subprocess.Popen[bytes], pipe: Connection, batches: int
) -> dict[str, float]:
    """Send the batches; how long each took to the last of the healthy."""
    spent = cpu_ns(server.pid)
    row = {}
    took = send(server, pipe, batches)
    for index, what in enumerate(("last", "cpu")):
        cuts = quantiles((each[index] for each in took), n=100, method="inclusive")
        row |= {f"{what}_ms_p50": round(cuts[49], 2), f"{what}_ms_p99": round(cuts[98], 2)}
    row |= {
        "server_cpu_ms_a_batch": round((cpu_ns(server.pid) - spent) / 1e6 / batches, 2),
        "server_rss_mb": round(rss_kb(server.pid) / 1024, 1),
    }
    print(json.dumps({"run": name, "batches": batches, "missed": 0, **row}), flush=True)  # noqa: T201
    return row


def send(
    server: subprocess.Popen[bytes], pipe: Connection, batches: int
) -> list[tuple[float, float]]:
    """Send the batches; of each, the ms to the last of the healthy, and the server's of CPU."""
    assert server.stdin
    assert server.stdout
    took = []
    for _ in range(batches):
        begun = time.monotonic()
        server.stdin.write(b"\n")
        server.stdin.flush()
        last_ms = (expect(pipe) - begun) * 1e3
        took.append((last_ms, float(server.stdout.readline())))
        time.sleep(max(0.0, PACE_S - (time.monotonic() - begun)))
    return took


def misbehave(port: int, parent: Connection) -> None:
    """Do all of it until told to end; tell how often each was done."""
    import signal

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    done = dict.fromkeys(("stalled", "half a frame", "garbage", "reconnected"), 0)
    going = True

    def stop(*_: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    stalled = [upgrade(port, 4096) for _ in range(200)]
    done["stalled"] = len(stalled)
    kinds = ["half a frame"] * 200 + ["garbage"] * 100 + ["reconnected"] * 100
    others = {number: upgrade(port) for number in range(len(kinds))}
    parent.send("ready")
    numbers = random.Random(1)
    while going:
        for number, kind in enumerate(kinds):
            sock = others.pop(number)
            with contextlib.suppress(ConnectionError):
                if kind == "half a frame":
                    sock.send(b"\x81\xfe\x01\x00half of it")
                elif kind == "garbage":
                    sock.send(numbers.randbytes(500))
            sock.close()
            others[number] = upgrade(port)
            done[kind] += 1
            if not going:
                break
    parent.send(done)


def upgrade(port: int, receive_buffer: int = 0) -> socket.socket:
    """Connect and ask for the upgrade; the answer is left unread."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect((HOST, port))
    with contextlib.suppress(ConnectionError):
        sock.sendall((REQUEST % "" + "\r\n").encode())
    return sock


if __name__ == "__main__":
    main()
