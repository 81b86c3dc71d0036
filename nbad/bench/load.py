"""Subscribers that cost little: bare sockets, in a process of their own.

    python -m nbad.bench.load PORT SUBSCRIBERS [deflate]

Prints ``ready`` once all are in, then reads, answers pings and throws away the rest until it is
ended. With ``deflate`` they offer permessage-deflate.
"""

from __future__ import annotations

import resource
import selectors
import socket
import sys
import time

_HELLO = (
    b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
)
_OFFER = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
_PING = 0x9


class Member:
    """A subscriber: follows the frames only as far as it takes to see a ping."""

    __slots__ = ("_head", "_left", "joined", "socket")

    def __init__(self, joined_socket: socket.socket) -> None:
        self.socket = joined_socket
        self.joined = False
        self._head = b""
        self._left = 0

    def take(self, data: memoryview) -> None:
        """Take in what was read."""
        at = 0
        if not self.joined:
            answer = self._head + bytes(data)
            if b"\r\n\r\n" not in answer:
                self._head = answer
                return
            if b" 101 " not in answer:
                sys.exit(f"expected 101 Switching Protocols, was {answer[:80]!r}")
            self.joined, self._head = True, b""
            data = memoryview(answer.partition(b"\r\n\r\n")[2])
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            head = self._head + bytes(data[at : at + 10 - len(self._head)])
            size = {126: 4, 127: 10}.get(head[1], 2) if len(head) > 1 else 2
            if len(head) < size:
                self._head = head
                return
            at += size - len(self._head)
            self._head = b""
            self._left = head[1] if size == 2 else int.from_bytes(head[2:size], "big")
            if head[0] & 0xF == _PING:  # its payload is taken to have come with it
                payload = bytes(data[at : at + self._left])
                # Masked with zeros: as it stands.
                self.socket.send(bytes((0x8A, 0x80 | len(payload), 0, 0, 0, 0)) + payload)


def _connected(port: int) -> socket.socket:
    """A connection; a server that has only just taken its port is waited for."""
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit(f"expected a server at port {port}, was none for 10 s")


def main(port: int, subscribers: int, offer: bytes = b"") -> None:
    """Join, all at once, then read for ever. One that is closed ends it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    selector = selectors.DefaultSelector()
    for _ in range(subscribers):
        member = Member(_connected(port))
        member.socket.sendall(_HELLO % offer)
        member.socket.setblocking(False)
        selector.register(member.socket, selectors.EVENT_READ, data=member)
    newcomers = subscribers
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    while True:
        for key, _ in selector.select():
            member = key.data
            size = member.socket.recv_into(buffer)
            if not size:
                sys.exit("a subscriber was closed")
            was_in = member.joined
            member.take(view[:size])
            if member.joined and not was_in:
                newcomers -= 1
                if not newcomers:
                    sys.stdout.write("ready\n")
                    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), _OFFER if "deflate" in sys.argv[3:] else b"")
