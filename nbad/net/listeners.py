"""The listening sockets: inherited, or opened where the configuration says; moved without a gap."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
import trio

if TYPE_CHECKING:
    from nbad.settings.schema import Config, Http, Server

log = structlog.get_logger()

_BACKLOG = 65_535  # as Trio asks for: the kernel cuts it to its own limit
# The descriptors are divided: some for the feed, files and threads, some for HTTP, so that a daemon
# with a full stream can still be asked for its health, and the rest for the stream.
_OWN_DESCRIPTORS = 128
# Where the system sets no limit: as many as max_subscribers can ask for.
_ANY = 1_000_000


class AddressError(OSError):
    """The address that ``section`` of the configuration names is not available."""

    def __init__(self, section: str, configured: Server | Http, error: OSError) -> None:
        super().__init__(*error.args)
        self.section = section
        self.host, self.port = configured.host, configured.port

    @property
    def told(self) -> str:
        """What is wrong, and what to do."""
        hint = f"set another [{self.section}] host or port (0 takes a free port)"
        if self.errno == errno.EADDRINUSE:
            hint = f"stop the process that uses it, or {hint}"
        return f"{self.host}:{self.port}: {self.strerror}; {hint}"


@dataclass(frozen=True, slots=True)
class Shares:
    """How many connections the stream and HTTP may hold at once."""

    stream: int
    http: int


def share_descriptors(config: Config, *, tell: bool = False) -> Shares:
    """Raise the limit of open files as far as the system lets, and share out what there is.

    ``tell``: log where that is fewer than the configuration asks for.
    """
    return share(
        _raise_descriptors(), config.server.max_subscribers, config.http.max_connections, tell
    )


def share(descriptors: int, subscribers: int, http: int, tell: bool = False) -> Shares:
    """Share ``descriptors`` out between the stream, HTTP and the rest of the process."""
    if descriptors == resource.RLIM_INFINITY:
        return Shares(_ANY, http)
    needed = subscribers + http + _OWN_DESCRIPTORS
    if tell and descriptors < needed:
        log.warning("descriptors_few", expected=needed, was=descriptors)
    # Of few, a quarter each for HTTP and for the rest of the process.
    http = max(1, min(http, descriptors // 4))
    own = min(_OWN_DESCRIPTORS, descriptors // 4)
    return Shares(max(1, descriptors - http - own), http)


def _raise_descriptors() -> int:
    """The limit of open files, raised as far as allowed: the usual 1,024 is far too low."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # forbidden, or more than the kernel has
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def open_first(
    section: str, server: Server | Http, inherited: Iterable[socket.socket]
) -> list[trio.SocketListener]:
    """Listen on the sockets ``inherited``, else at the configured address.

    Raises :class:`AddressError`.
    """
    adopted = [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in inherited]
    try:
        return adopted or await open_listeners(server)
    except OSError as error:
        raise AddressError(section, server, error) from error


def keep_inherited() -> NoReturn:
    """Raise OSError: whoever opened the socket would keep it open, with nobody to accept."""
    raise OSError(
        "the socket was opened before this process and stays until nbad is restarted"
        " (systemd's socket unit: change its ListenStream=)"
    )


def log_listening(service: str, listeners: list[trio.SocketListener]) -> tuple[str, int]:
    """Log where it listens; return the first address, with the port taken."""
    addresses: list[tuple[str, int]] = [each.socket.getsockname()[:2] for each in listeners]
    for host, port in addresses:
        log.info("listening", service=service, host=host, port=port)
    return addresses[0]


def log_failed(
    service: str, wanted: tuple[str, int], error: OSError, stays: tuple[str, int] | None
) -> None:
    """Log that a changed address is unavailable, and which one stays in use."""
    log.error(
        "listen_failed",
        service=service,
        host=wanted[0],
        port=wanted[1],
        error=error.strerror or str(error),
        stays="{}:{}".format(*stays) if stays else None,
    )


async def open_listeners(server: Server | Http) -> list[trio.SocketListener]:
    """Listen at the configured address. Raises OSError."""
    listeners = list(await trio.open_tcp_listeners(server.port, host=server.host))
    if server.port == 0:
        # A name with two addresses would get two free ports, and only one can be told.
        for extra in listeners[1:]:
            await extra.aclose()
        del listeners[1:]
    return listeners


async def open_beside(
    old: list[trio.SocketListener], server: Server | Http
) -> list[trio.SocketListener]:
    """Listen at another address, the same port included, while ``old`` still takes newcomers.

    One port at two overlapping addresses needs SO_REUSEPORT on both sockets. It is set for that
    moment only: with it a second daemon could take the port too, where it must fail.
    Raises OSError.
    """
    if server.port not in {listener.socket.getsockname()[1] for listener in old}:
        return await open_listeners(server)
    opened: list[trio.SocketListener] = []
    try:
        _share_port(old, True)
        for family, kind, protocol, _, address in await trio.socket.getaddrinfo(
            server.host, server.port, type=trio.socket.SOCK_STREAM, flags=trio.socket.AI_PASSIVE
        ):
            sock = listening_socket(family, kind, protocol, address, share=True)
            opened.append(trio.SocketListener(trio.socket.from_stdlib_socket(sock)))
    except BaseException:
        close(opened)
        raise
    finally:
        _share_port([*old, *opened], False)
    return opened


def listening_socket(
    family: int, kind: int, protocol: int, address: Any, *, share: bool
) -> socket.socket:
    """A socket that listens at ``address``, all as getaddrinfo has them; ``share`` allows others to
    listen there too. Raises OSError."""
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, share)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def close(listeners: list[trio.SocketListener]) -> None:
    """Close them; closed ones are left alone."""
    for listener in listeners:
        listener.socket.close()


def _share_port(listeners: list[trio.SocketListener], share: bool) -> None:
    for listener in listeners:
        if listener.socket.fileno() != -1:  # closed
            listener.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEPORT, share)
