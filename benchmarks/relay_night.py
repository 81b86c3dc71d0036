"""A whole night by relays: a simulated feed, a daemon, Redis, workers, thousands of bare sockets.

    python benchmarks/relay_night.py [--subscribers 19200] [--workers 4] [--seconds 2400]
                                     [--speed 4] [--games 10] [--out FILE]

The daemon is `nbad run` on `nbad feed`, with `[server] batch_interval_ms = 900`: a batch a second
while games are on, each of other bytes. Every subscriber's every `seq` is checked: one that jumps
without a `conflated` that says so, or comes twice, ends the run with an error. "At the last" counts
from when one subscriber of the daemon itself has the batch. All are pinged every 20 s and answer.
Prints a JSON line a minute, and the night's at its end.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from multiprocessing.connection import Connection, wait
from pathlib import Path
from statistics import mean
from typing import Any, TextIO

from fanout import cpu_ns, rss_kb
from relay import (
    HOST,
    SUBSCRIBER_PROCESSES,
    answer_of,
    begin_subscriber,
    cuts,
    frame_end,
    free_port,
    listening,
    most_descriptors,
    pids,
    redis_command,
    telling_faults,
    wait_for_redis,
)

NBAD = [sys.executable, "-m", "nbad"]
QUIET_S = 90.0
"""No batch for so long: the night is over."""

_SEQ = re.compile(rb'"seq":(\d+)')
_CONFLATED = re.compile(rb',"conflated":(\d+)\}$')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", type=int, default=19_200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2_400.0)
    parser.add_argument("--speed", type=float, default=4.0)
    parser.add_argument("--games", type=int, default=10)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        out = stack.enter_context(arguments.out.open("w")) if arguments.out else sys.stdout
        measure(arguments, out, stack)


def measure(arguments: argparse.Namespace, out: TextIO, stack: ExitStack) -> None:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nbad-relay-")))
    processes: dict[str, subprocess.Popen[Any]] = {}

    def begin(name: str, command: list[str], **options: Any) -> subprocess.Popen[Any]:
        process = subprocess.Popen(command, **options)
        stack.callback(process.wait)
        stack.callback(process.kill)
        processes[name] = process
        return process

    def tell(**figures: Any) -> None:
        out.write(json.dumps(figures) + "\n")
        out.flush()

    redis_port = free_port()
    begin("redis", redis_command(redis_port, folder), stdout=subprocess.DEVNULL)
    wait_for_redis(redis_port)
    night = ["--games", str(arguments.games), "--speed", str(arguments.speed), "--seed", "4"]
    feed = begin("feed", [*NBAD, "feed", *night], stdout=subprocess.PIPE, text=True)
    assert feed.stdout
    base, schedule = (feed.stdout.readline().split()[1] for _ in range(2))
    common = (
        "[server]\nport = 0\nmax_subscribers = 100000\n"
        "max_handshakes_per_address = 100000\nmax_waiting_per_address = 100000\n"
        "max_connects_per_s_per_address = 100000.0\nbatch_interval_ms = 900.0\n"
        "[http]\nport = 0\nmax_connections = 16\n"
        f'[publish]\nurl = "redis://{HOST}:{redis_port}/0"\n'
    )
    ports = []
    for name, command, more in (
        ("daemon", ["run"], f'[feed]\nbase_url = "{base}"\nschedule_url = "{schedule}"\n'),
        ("relays", ["relay", "--workers", str(arguments.workers)], ""),
    ):
        config, log = folder / f"{name}.toml", folder / f"{name}.log"
        config.write_text(f'{more}{common}[log]\nfile = "{log}"\nstages = "summary"\n')
        begin(name, [*NBAD, *command, "--config", str(config)])
        ports.append(listening(log, arguments.workers if name == "relays" else 1))
    context = multiprocessing.get_context("spawn")
    pipes: dict[Connection, str] = {}
    sizes = [arguments.subscribers // SUBSCRIBER_PROCESSES] * SUBSCRIBER_PROCESSES
    for name, port, size in (
        ("own", ports[0], 1),
        *((f"readers{number}", ports[1], size) for number, size in enumerate(sizes)),
    ):
        here, there = context.Pipe()
        client = context.Process(target=subscribe, args=(port, size, there), daemon=True)
        client.start()
        there.close()
        stack.callback(client.kill)
        pipes[here] = name
    began = time.monotonic()
    joined = [seq for pipe in pipes for seq in answer_of(pipe)]
    first_seq = max(joined) + 1
    watched = pids(processes)
    tell(joined_s=round(time.monotonic() - began, 1), first_seq=first_seq, pids=watched)

    # By seq: when the daemon's own subscriber had it, and the first and last of each process.
    own: dict[int, float] = {}
    far: dict[int, list[tuple[float, float]]] = defaultdict(list)
    conflated = 0
    began = minute_at = newest_at = time.monotonic()
    used = {name: cpu_ns(pid) for name, pid in watched.items()}
    at_start = dict(used)
    told: set[int] = set()
    minutes: list[dict[str, Any]] = []

    def delays(seqs: list[int]) -> dict[str, Any]:
        if len(seqs) < 2:
            return {}
        firsts = [min(first for first, _ in far[seq]) - own[seq] for seq in seqs]
        lasts = [max(last for _, last in far[seq]) - own[seq] for seq in seqs]
        return {
            "first_ms": cuts([1e3 * each for each in firsts]),
            "last_ms": cuts([1e3 * each for each in lasts]) | {"max": round(1e3 * max(lasts), 1)},
        }

    def whole() -> list[int]:
        return [seq for seq in sorted(far) if len(far[seq]) == len(sizes) and seq in own]

    while time.monotonic() < began + arguments.seconds:
        for ready in wait(list(pipes), timeout=1.0):
            assert isinstance(ready, Connection)
            seq, first, last, jumps = answer_of(ready)
            newest_at = time.monotonic()
            if seq < first_seq:
                continue
            if pipes[ready] == "own":
                own[seq] = first
            else:
                far[seq].append((first, last))
                conflated += jumps
        now = time.monotonic()
        if now >= minute_at + 60.0:
            for name, process in processes.items():
                assert process.poll() is None, f"{name} ended"
            seqs = [seq for seq in whole() if seq not in told]
            told |= set(seqs)
            cpu = {name: cpu_ns(pid) for name, pid in watched.items()}
            span = now - minute_at
            minutes.append(
                {
                    "minute": round((now - began) / 60.0),
                    "load": round(os.getloadavg()[0], 1),
                    "batches": len(seqs),
                    **delays(seqs),
                    "cpu": {name: round((cpu[name] - used[name]) / 1e9 / span, 3) for name in cpu},
                    "mb": {name: round(rss_kb(pid) / 1024, 1) for name, pid in watched.items()},
                }
            )
            tell(**minutes[-1])
            used, minute_at = cpu, now
        if now > newest_at + QUIET_S:
            break
    took_s = newest_at - began
    seqs = whole()
    assert seqs, "no batch reached everybody"
    expected = list(range(first_seq, seqs[-1] + 1))
    assert seqs == expected, f"not everywhere: {sorted(set(expected) - set(seqs))}"
    tell(
        subscribers=arguments.subscribers,
        workers=arguments.workers,
        seconds=round(took_s),
        batches=len(seqs),
        deliveries=len(seqs) * arguments.subscribers,
        gaps=0,
        conflated=conflated,
        load=round(mean(each["load"] for each in minutes), 1) if minutes else None,
        **delays(seqs),
        cpu={
            name: round((cpu_ns(pid) - at_start[name]) / 1e9 / (time.monotonic() - began), 3)
            for name, pid in watched.items()
        },
        mb={name: [each["mb"][name] for each in (minutes[:1] + minutes[-1:])] for name in watched},
        log_entries=entries(redis_port),
    )


def entries(port: int) -> int:
    with socket.create_connection((HOST, port)) as line:
        line.sendall(b"XLEN nbad\r\n")
        return int(line.recv(64)[1:])


def subscribe(port: int, count: int, parent: Connection) -> None:
    """Open ``count`` WebSockets; tell each batch that all have: seq, first, last, conflations."""
    with telling_faults(parent):
        _subscribe(port, count, parent)


def _subscribe(port: int, count: int, parent: Connection) -> None:
    most_descriptors()
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    buffers: dict[int, bytes] = {}
    seqs: dict[int, int] = {}
    had: dict[int, int] = defaultdict(int)  # by seq: how many have it
    firsts: dict[int, float] = {}
    jumps: dict[int, int] = defaultdict(int)
    opened: set[int] = set()
    joined = False
    room = bytearray(1 << 17)

    def take(number: int, frame: bytes) -> None:
        nonlocal joined
        if frame[0] == 0x89:
            sockets[number].sendall(
                b"\x8a" + bytes([0x80 | len(frame) - 2, 0, 0, 0, 0]) + frame[2:]
            )
            return
        assert frame[0] == 0x81, f"a frame that begins with {frame[0]:#x}"
        kind = frame[:40]
        if b'"type":"snapshot"' in kind:
            found = _SEQ.search(frame)
            assert found
            assert number not in seqs, "a second snapshot"
            seqs[number] = int(found[1])
            if len(seqs) == count and not joined:
                joined = True
                parent.send((max(seqs.values()),))
                for seq in sorted(had):
                    done(seq)
        elif b'"type":"batch"' in kind:
            found = _SEQ.search(frame, 0, 90)
            assert found
            seq, known = int(found[1]), seqs[number]
            if seq != known + 1:
                of = _CONFLATED.search(frame)
                assert of, f"{seq} after {known}"
                assert seq == known + int(of[1]), f"{seq} after {known}, conflated {of[1]!r}"
                jumps[seq] += 1
            seqs[number] = seq
            for each in range(known + 1, seq + 1):
                firsts.setdefault(each, time.monotonic())
                had[each] += 1
                done(each)

    def done(seq: int) -> None:
        if joined and had[seq] == count:
            parent.send((seq, firsts.pop(seq), time.monotonic(), jumps.pop(seq, 0)))
            del had[seq]

    def read(number: int) -> None:
        size = sockets[number].recv_into(room)
        assert size, "a subscriber was closed"
        data = buffers[number] + room[:size]
        if number not in opened:
            _, mark, data = data.rpartition(b"\r\n\r\n")
            if mark:
                opened.add(number)
        if number in opened:
            while (end := frame_end(data)) and len(data) >= end:
                take(number, data[:end])
                data = data[end:]
        buffers[number] = data

    for number in range(count):
        sock = begin_subscriber(port, number)
        sockets[sock.fileno()] = sock
        buffers[sock.fileno()] = b""
        poll.register(sock, select.EPOLLIN)
        if number % 64 == 0:
            for each, _ in poll.poll(0):
                read(each)
    while True:
        for number, _ in poll.poll():
            read(number)


if __name__ == "__main__":
    main()
