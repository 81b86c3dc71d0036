"""Ports for what has to have the same one later, or at another address, too."""

from __future__ import annotations

import contextlib
import socket
from random import randrange


def free_port() -> int:
    """A port that nobody has at any address.

    Below those that the kernel gives to whoever connects, or asks for any: one of those may be
    somebody's by the time it is used, or at 127.0.0.2, which 0.0.0.0 needs as well.
    """
    while True:
        port = randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("", port)):
            return port
