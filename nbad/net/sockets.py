"""The plain socket under a transport, where it has one: its number, its peer, how it ends."""

from __future__ import annotations

import socket as stdlib_socket
import struct

import trio


def descriptor(transport: trio.abc.Stream) -> int | None:
    """The file descriptor to write to directly: a plain socket has one, TLS and tests have not."""
    return transport.socket.fileno() if isinstance(transport, trio.SocketStream) else None


def peer(transport: trio.abc.Stream) -> str:
    """``HOST:PORT`` of the peer, empty where it has none (left already, or no socket)."""
    sock = _socket(transport)
    if sock is None:
        return ""
    try:
        host, port, *_ = sock.getpeername()
    except OSError:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reset_on_close(transport: trio.abc.Stream) -> None:
    """Have the close cut the connection: unsent bytes are dropped, the peer sees a reset."""
    sock = _socket(transport)
    if sock is not None:
        linger = struct.pack("ii", 1, 0)
        sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, linger)


def _socket(transport: trio.abc.Stream) -> trio.socket.SocketType | None:
    if isinstance(transport, trio.SSLStream):
        transport = transport.transport_stream
    return transport.socket if isinstance(transport, trio.SocketStream) else None
