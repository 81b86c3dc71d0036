"""Subscribers that cost little: bare sockets, in a process of their own.

    python -m nbad.bench.load PORT SUBSCRIBERS

Prints ``ready`` once all are in, then reads and throws away until it is ended.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

_HELLO = (
    b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def _connected(port: int) -> socket.socket:
    """A connection; a server that has only just taken its port is waited for."""
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit(f"expected a server at port {port}, was none for 10 s")


def main(port: int, subscribers: int) -> None:
    """Join, all at once, then read for ever."""
    selector = selectors.DefaultSelector()
    for _ in range(subscribers):
        member = _connected(port)
        member.sendall(_HELLO)
        member.setblocking(False)
        selector.register(member, selectors.EVENT_READ, data="newcomer")
    newcomers = subscribers
    buffer = bytearray(1 << 20)
    while selector.get_map():
        for key, _ in selector.select():
            member = key.fileobj  # type: ignore[assignment] # a socket was registered
            size = member.recv_into(buffer)
            if not size:
                selector.unregister(member)
            if key.data == "newcomer":
                if b" 101 " not in buffer[:size]:
                    sys.exit(f"expected 101 Switching Protocols, was {bytes(buffer[:80])!r}")
                selector.modify(member, selectors.EVENT_READ)
                newcomers -= 1
                if not newcomers:
                    sys.stdout.write("ready\n")
                    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
