"""The plain socket under a transport, where it has one: its number, its peer, how it ends."""

from __future__ import annotations

import ipaddress
import os
import socket as stdlib_socket
import struct
from collections.abc import Callable
from contextlib import suppress

import trio

# A socket's own ``send``: what it takes now, in bytes. Raises OSError, also once it is closed,
# where a number that was remembered would by then be another file's.
Send = Callable[[bytes | memoryview], int]
LINGER_S = 1.0
_AT_ONCE = struct.pack("ii", 1, 0)  # a linger of no time: the close is a reset
_READ_BYTES = 4096
# A play-by-play's last quarter, gzipped, and below what the allocator takes from the system anew.
_DIRECT_BYTES = 65_536
# What a peer that goes on talking is listened to: it must not cost more than one that leaves.
_MOST_LINGERING = 256 * 1024


class Direct:
    """``stream``, past Trio where it is a plain socket: its own way asks the kernel twice, and the
    scheduler once more, for each write and read. Raises what ``stream`` does, and OSError."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._socket = stream.socket if isinstance(stream, trio.SocketStream) else None
        # Asked at each use: once the socket is closed it says -1, where a number that was
        # remembered would by then be another file's.
        self._fileno = self._socket.fileno if self._socket is not None else None

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        written = 0
        if self._fileno is not None:
            with suppress(BlockingIOError):  # full: all of it is the rest
                written = os.write(self._fileno(), data)
        if written < len(data):
            await self._stream.send_all(memoryview(data)[written:])

    async def receive(self) -> bytes:
        """What comes next, empty where the peer closed."""
        if self._fileno is None:
            return bytes(await self._stream.receive_some(_DIRECT_BYTES))
        while True:
            await trio.lowlevel.wait_readable(self._fileno())
            try:
                return self.receive_now()
            except BlockingIOError:
                continue  # it is not readable after all

    def receive_now(self) -> bytes:
        """What has come, empty where the peer closed, of a plain socket. Raises
        ``BlockingIOError`` where nothing has."""
        assert self._fileno is not None
        return os.read(self._fileno(), _DIRECT_BYTES)

    def is_quiet(self) -> bool:
        """Whether nothing has come to a plain socket that was not received, nor its end."""
        assert self._socket is not None
        return not self._socket.is_readable()

    async def aclose(self) -> None:
        """Close it without a goodbye: nobody waits for one."""
        await trio.aclose_forcefully(self._stream)


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


def network_of(host: str) -> str:
    """Whom connections are counted by: the peer's IPv4 address, or the /64 of its IPv6 address,
    which one customer has whole. ``host`` itself where it is neither: empty where it has none."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def reset_on_close(connection: trio.abc.Stream | stdlib_socket.socket) -> None:
    """Have the close cut the connection: unsent bytes are dropped, the peer sees a reset."""
    sock = connection if isinstance(connection, stdlib_socket.socket) else _socket(connection)
    if sock is not None:
        sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, _AT_ONCE)


async def linger(transport: trio.abc.Stream) -> None:
    """Let the peer have our last bytes: closing while its own are unread takes ours back."""
    with trio.move_on_after(LINGER_S):
        try:
            if isinstance(transport, trio.abc.HalfCloseableStream):
                await transport.send_eof()
            left = _MOST_LINGERING
            while left > 0 and (data := await transport.receive_some(_READ_BYTES)):
                left -= len(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # gone, which is what was waited for


def _socket(transport: trio.abc.Stream) -> trio.socket.SocketType | None:
    if isinstance(transport, trio.SSLStream):
        transport = transport.transport_stream
    return transport.socket if isinstance(transport, trio.SocketStream) else None
