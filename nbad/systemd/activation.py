"""Sockets that the service manager opened before the process began (sd_listen_fds).

It keeps them open while the daemon restarts, so a newcomer waits a moment and is never refused.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

_FIRST_FD = 3  # fixed by the protocol


class ActivationError(ValueError):
    """A socket was passed that cannot be used; says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """The listening sockets passed, by what is served on them; empty where none was."""

    stream: tuple[socket.socket, ...] = ()
    http: tuple[socket.socket, ...] = ()


def take_inherited(env: Mapping[str, str] = os.environ, first_fd: int = _FIRST_FD) -> Inherited:
    """Take the sockets that ``env`` says were passed to this process: once, they are then ours.

    Raises :class:`ActivationError` for a name that is neither ``stream`` nor ``http``, and for
    what is not a listening TCP socket.
    """
    if env.get("LISTEN_PID") != str(os.getpid()):
        return Inherited()
    count = int(env.get("LISTEN_FDS", "0"))
    names = env.get("LISTEN_FDNAMES", "").split(":")
    taken: dict[str, list[socket.socket]] = {"stream": [], "http": []}
    for fd, name in zip(range(first_fd, first_fd + count), names, strict=False):
        if name not in taken:
            raise ActivationError(
                f"LISTEN_FDNAMES: expected stream or http, was {name!r}; "
                "set FileDescriptorName= in the socket unit"
            )
        os.set_inheritable(fd, False)
        taken[name].append(_listening(fd, name))
    return Inherited(tuple(taken["stream"]), tuple(taken["http"]))


def _listening(fd: int, name: str) -> socket.socket:
    try:
        sock = socket.socket(fileno=fd)
        listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ActivationError(f"the socket {name!r} passed as {fd}: {error}") from error
    if not listens or sock.family not in (socket.AF_INET, socket.AF_INET6):
        found = repr(sock)
        sock.close()
        raise ActivationError(
            f"the socket {name!r} passed as {fd}: expected a listening TCP socket, was {found}; "
            "set ListenStream=HOST:PORT in the socket unit"
        )
    return sock
