"""The listening sockets: inherited, or opened where the configuration says; moved without a gap."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import structlog
import trio

if TYPE_CHECKING:
    from nbad.settings.schema import Config, Http, Server

log = structlog.get_logger()

_BACKLOG = 65_535  # as Trio asks for: the kernel cuts it to its own limit
# What the system lets the daemon open is shared out: a part for the feed, files and threads, a part
# for HTTP, so that a full stream can still be asked how it is, and the rest for the stream.
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
            hint = f"stop what listens there, or {hint}"
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
    """The usual 1,024 are for shells."""
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
    """Raise OSError: a socket of the service manager's would go on taking connections unheard."""
    raise OSError("systemd opened the socket in use: change ListenStream= of its socket unit")


def log_listening(service: str, listeners: list[trio.SocketListener]) -> tuple[str, int]:
    """Log where it listens; the first address, with the port taken."""
    addresses: list[tuple[str, int]] = [each.socket.getsockname()[:2] for each in listeners]
    for host, port in addresses:
        log.info("listening", service=service, host=host, port=port)
    return addresses[0]


def log_failed(
    service: str, wanted: tuple[str, int], error: OSError, stays: tuple[str, int] | None
) -> None:
    """Tell that a changed address cannot be had, and which one is served on."""
    log.error(
        "listen_failed",
        service=service,
        host=wanted[0],
        port=wanted[1],
        error=str(error),
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
            sock = trio.socket.socket(family, kind, protocol)
            try:
                sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, True)
                sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEPORT, True)
                if family == trio.socket.AF_INET6:
                    sock.setsockopt(trio.socket.IPPROTO_IPV6, trio.socket.IPV6_V6ONLY, True)
                await sock.bind(address)
                sock.listen(_BACKLOG)
            except BaseException:
                sock.close()
                raise
            opened.append(trio.SocketListener(sock))
    except BaseException:
        close(opened)
        raise
    finally:
        _share_port([*old, *opened], False)
    return opened


def close(listeners: list[trio.SocketListener]) -> None:
    """Close them, those that are closed already too."""
    for listener in listeners:
        listener.socket.close()


def _share_port(listeners: list[trio.SocketListener], share: bool) -> None:
    for listener in listeners:
        if listener.socket.fileno() != -1:  # closed
            listener.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEPORT, share)
