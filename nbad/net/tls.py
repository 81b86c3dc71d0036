"""A client's TLS over a socket that is read and written directly, by one task at a time.

Trio's own stream may be used by several at once: its locks and checkpoints, and one more wait for
each write and read, cost more than the cryptography.
"""

from __future__ import annotations

import ssl
from contextlib import suppress

import trio

from nbad.net.sockets import Direct

# The text of a record at most (RFC 8446, 5.1): a read of so much leaves no part of one behind.
_RECORD_BYTES = 16_384


class Secure:
    """TLS with ``host`` over ``plain``. Raises what that does, and ``ssl.SSLError``, an OSError.

    A connection that ends without TLS's own goodbye has ended, as for browsers: many servers say
    none, and an answer that could be cut has a length.
    """

    def __init__(self, plain: Direct, context: ssl.SSLContext, host: str) -> None:
        self._plain = plain
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=host)

    async def shake_hands(self) -> None:
        """Agree on keys, and see that the peer is ``host``."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._more()
            except ssl.SSLError:
                with suppress(OSError, trio.BrokenResourceError):
                    await self._flush()  # tells the peer why
                raise
            else:
                return  # what is left to be sent goes with what is sent first

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        self._tls.write(data)
        await self._flush()

    async def receive(self) -> bytes:
        """What comes next, empty where the peer closed."""
        if not self._came.pending:
            await self._more()
        while True:
            try:
                return self._tls.read(_RECORD_BYTES)
            except ssl.SSLWantReadError:
                await self._more()
            except ssl.SSLEOFError:
                return b""

    def is_quiet(self) -> bool:
        """Whether the peer has neither closed nor said anything that was not received. What TLS
        says for itself at any time, such as the tickets of a session, is read, and is nothing."""
        try:
            if not self._plain.is_quiet():
                with suppress(BlockingIOError):  # it is quiet after all
                    self._take(self._plain.receive_now())
            elif not self._came.pending:
                return True
            self._tls.read(_RECORD_BYTES)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        return False

    async def aclose(self) -> None:
        """Close it without a goodbye: nobody waits for one."""
        await self._plain.aclose()

    async def _more(self) -> None:
        """Take in what comes next, once the peer has what it may be waiting for."""
        await self._flush()
        self._take(await self._plain.receive())

    def _take(self, data: bytes) -> None:
        if data:
            self._came.write(data)
        else:
            self._came.write_eof()

    async def _flush(self) -> None:
        if self._goes.pending:
            await self._plain.send(self._goes.read())
