"""What a write to a subscriber's socket takes, by the call that makes it: CPU of who writes.

    python benchmarks/kernel_writes.py [--sockets 1000] [--rounds 15]

TCP on the loopback, one other process reads all of it. The ways take turns, round by round.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

SIZES = (1_100, 3_400, 4_300, 12_900)
# In this order of the fields: SO_SNDBUF of the sockets (0: the kernel's own), and who writes.
Write = Callable[[socket.socket, bytes], int]
WAYS: dict[str, tuple[int, Write]] = {
    "os.write": (0, lambda sock, data: os.write(sock.fileno(), data)),
    "socket.send": (0, lambda sock, data: sock.send(data)),
    "send, MSG_DONTWAIT": (0, lambda sock, data: sock.send(data, socket.MSG_DONTWAIT)),
    "sendmsg, head and body": (0, lambda sock, data: sock.sendmsg((data[:4], data[4:]))),
    "os.write, SO_SNDBUF 256 KB": (1 << 18, lambda sock, data: os.write(sock.fileno(), data)),
    "os.write, SO_SNDBUF 32 KB": (1 << 15, lambda sock, data: os.write(sock.fileno(), data)),
    "os.write, MSG_MORE's cork": (-1, lambda sock, data: os.write(sock.fileno(), data)),
}


def read(port: int, count: int) -> None:
    """Connect so many sockets, and read from them until they end."""
    poll, sockets = select.epoll(), {}
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        poll.register(sock, select.EPOLLIN)
        sockets[sock.fileno()] = sock
    buffer = bytearray(1 << 17)
    while sockets:
        for number, _ in poll.poll():
            if not sockets[number].recv_into(buffer):
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    port = listener.getsockname()[1]
    members: dict[str, list[socket.socket]] = {}
    readers = []
    each = arguments.sockets
    for way, (buffer, _) in WAYS.items():
        command = [sys.executable, __file__, "--read", str(port), str(each)]
        readers.append(subprocess.Popen(command))
        members[way] = [listener.accept()[0] for _ in range(each)]
        for sock in members[way]:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if buffer > 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            elif buffer < 0:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    sys.stdout.write(f"| µs of CPU a write | {' | '.join(f'{size:,} B' for size in SIZES)} |\n")
    sys.stdout.write("|---" * (len(SIZES) + 1) + "|\n")
    costs: dict[tuple[str, int], list[float]] = {}
    for _ in range(arguments.rounds):
        for size in SIZES:
            data = os.urandom(size)
            for way, (_, write) in WAYS.items():
                begun = time.thread_time()
                for sock in members[way]:
                    write(sock, data)
                taken = (time.thread_time() - begun) / each * 1e6
                costs.setdefault((way, size), []).append(taken)
                time.sleep(0.03)
    for way in WAYS:
        cells = []
        for size in SIZES:
            ranked = sorted(costs[way, size])
            cells.append(f"{statistics.median(ranked):.1f} ({ranked[0]:.1f} to {ranked[-1]:.1f})")
        sys.stdout.write(f"| {way} | {' | '.join(cells)} |\n")
    for reader in readers:
        reader.kill()


if __name__ == "__main__":
    if "--read" in sys.argv:
        read(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
