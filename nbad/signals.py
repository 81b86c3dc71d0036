"""Signals, heard by a thread of their own: also where the event loop hangs, or has not begun.

The first SIGTERM or SIGINT asks for the end, which then has :data:`END_S`; the second does not
wait. Python's own handlers would run in the main thread only, between two of its bytecodes: a write
that blocks, or a library that takes its time, would make the daemon deaf.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable

import trio

# Of the 5 s that SIGTERM may take to the end; what is left is margin.
END_S = 4.3

# The same signal again within so long is no second one: `timeout`, and who else signals both the
# process that it started and that one's group, sends it twice.
_ECHO_S = 0.05

_LONGEST_WAIT_S = 3600.0  # what sigtimedwait takes has a bound

_ENDING = {signal.SIGTERM, signal.SIGINT}
_HEARD = _ENDING | {signal.SIGHUP}


class Signals:
    """Made first of all in the main thread, before any other thread is started.

    Until :meth:`forward_to` is called, SIGTERM ends the process at once, as nothing has begun, and
    SIGHUP says nothing, as no file has been read.
    """

    def __init__(self) -> None:
        # Every thread started from here on has them blocked, too: only ours waits for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        self._token: trio.lowlevel.TrioToken | None = None
        self._ended: Callable[[str], None] = lambda _: None
        self._reload: Callable[[], None] = lambda: None
        self._cut: Callable[[str, str], None] = lambda *_: None
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def forward_to(
        self,
        *,
        end: Callable[[str], None],
        reload: Callable[[], None],
        cut: Callable[[str, str], None],
    ) -> None:
        """Call ``end`` with a signal's name and ``reload`` in this Trio loop from now on.

        ``cut`` is called with ``aborted`` or ``drain_cut`` and the reason right before the process
        is ended from outside the loop, in another thread: it must not wait for anything.
        """
        self._ended, self._reload, self._cut = end, reload, cut
        self._token = trio.lowlevel.current_trio_token()

    def _listen(self) -> None:
        # One thread for all of it: another could not be started where memory has run out.
        cut_at, first = math.inf, 0
        while True:
            left_s = cut_at - time.monotonic()
            heard = signal.sigtimedwait(_HEARD, min(max(left_s, 0.0), _LONGEST_WAIT_S))
            if heard is None:
                if time.monotonic() >= cut_at:
                    self._leave(0, "drain_cut", f"not ended after {END_S:g} s")
            elif heard.si_signo == signal.SIGHUP:
                self._in_loop(self._reload)
            elif self._token is None:
                os._exit(0)
            elif not first:
                cut_at, first = time.monotonic() + END_S, heard.si_signo
                self._in_loop(self._ended, signal.Signals(first).name)
            elif heard.si_signo != first or time.monotonic() > cut_at - END_S + _ECHO_S:
                name = signal.Signals(heard.si_signo).name
                self._leave(1, "aborted", f"a second signal, {name}")

    def _in_loop(self, call: Callable[..., None], *arguments: str) -> None:
        if self._token is not None:
            with contextlib.suppress(trio.RunFinishedError):  # it has ended by itself meanwhile
                self._token.run_sync_soon(call, *arguments)

    def _leave(self, code: int, event: str, reason: str) -> None:
        try:
            self._cut(event, reason)
        finally:
            os._exit(code)
