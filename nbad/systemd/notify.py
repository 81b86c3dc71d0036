"""The service manager's notification protocol (sd_notify), and its watchdog.

Stdlib only: the packages there are drop statuses that are not Latin-1, or cannot send the
``MONOTONIC_USEC=`` that a reload needs in the same datagram as ``RELOADING=1``.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

import structlog

_log = structlog.get_logger(__name__)


class Notifier:
    """Tells systemd how the daemon is; does nothing where ``NOTIFY_SOCKET`` is unset.

    Sends never block and never raise: a service manager that does not listen must not stop the
    stream. The first failed send is logged as ``notify_failed``, later ones are not.
    """

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        """Take the address from ``env``; a leading ``@`` is Linux's abstract name space."""
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._guarded = _guarded(env)
        self._failed = False

    def ready(self, status: str) -> None:
        """Say that the daemon serves (after its start, and after each reload)."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """Show ``text`` in ``systemctl status``."""
        self._send(f"STATUS={_one_line(text)}")

    def reloading(self) -> None:
        """Say that a reload begins; :meth:`ready` ends it."""
        # systemd takes READY=1 for the end of this reload only where it is later than this moment.
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the daemon goes down as asked."""
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """Say that the pipeline moves, where a watchdog wants to know."""
        if self._guarded:
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            with socket.socket(socket.AF_UNIX, kind) as channel:
                channel.sendto(message.encode(), self._address)
        except OSError as error:
            if not self._failed:
                _log.warning("notify_failed", address=self._address, error=str(error))
            self._failed = True


def _guarded(env: Mapping[str, str]) -> bool:
    """Whether a watchdog is set, and for this process (``WATCHDOG_PID``)."""
    limit, pid = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
    return limit.isdecimal() and int(limit) > 0 and pid in ("", str(os.getpid()))


def _one_line(text: str) -> str:
    # A line break would begin another field of the datagram.
    return " ".join(text.splitlines())
