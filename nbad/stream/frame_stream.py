"""The stream under a subscriber's WebSocket: every byte it is sent goes through here.

The WebSocket library reads through it (:mod:`nbad.stream.peer_reader`) and sends its handshake,
pongs and Close replies through it. Our own frames, shared among subscribers, are pushed into it:
written at once, without blocking, where the socket is ready, and otherwise by a task that lives
only as long as the socket is full.

What it keeps true, whoever writes: a frame that is partly out is finished before anything else;
control frames overtake data frames; nothing follows a Close frame. It relies on the library making
one ``send_all`` per frame, which the pinned version does and a test checks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from enum import IntEnum, auto

import trio

from nbad.net.sockets import Send, reset_on_close
from nbad.stream.frames import PeerError, close_frame, is_close
from nbad.stream.inflater import Inflater
from nbad.stream.peer_reader import PeerReader

# A window that stays full this long belongs to a peer that is gone or hung.
STALL_S = 20.0

# What a transport without a socket is given at once: less than a TLS record holds, so that a long
# frame on a slow line is seen to go on.
PIECE_BYTES = 16_000

# Frames written in a row by one subscriber that catches up before others get their turn.
BURST = 16


class _State(IntEnum):
    """How far what is said to the peer has come; it only ever goes on."""

    UPGRADING = auto()
    OPEN = auto()
    DRAINING = auto()  # a Close frame follows what the source still has
    CLOSED = auto()  # a Close frame is queued or sent, and nothing follows it


# Looked at for each frame of a broadcast: one name less to go through.
_CLOSED = _State.CLOSED


def _nothing() -> None:
    """A source that has no frame to send."""


def _at_once() -> float:
    """Whose end holds up nobody."""
    return 0.0


@dataclass(slots=True, eq=False, repr=False)  # there are ten thousand: no dictionary each
class FrameStream(trio.abc.Stream):
    """See the module. ``source`` gives the next data frame to send, None where there is none.

    ``early`` and ``inflater`` are as of :class:`.PeerReader`. ``nursery`` is the connection's: the
    flush task runs in it, and a broken socket cancels it. ``leaving`` is called once the peer is
    gone, and says in how many seconds its tasks may end: the ends of many at once would hold up the
    others. ``broken`` says why nothing more can be sent, ``lingers`` that the peer was told of a
    fault of its own, which it should get to read.
    """

    _transport: trio.abc.Stream
    _nursery: trio.Nursery
    _head: bytes
    early: InitVar[bytes] = b""
    inflater: InitVar[Inflater | None] = None
    _send: Send | None = None
    source: Callable[[], bytes | None] = _nothing
    leaving: Callable[[], float] = _at_once
    broken: str = field(default="", init=False)
    lingers: bool = field(default=False, init=False)
    _reader: PeerReader = field(init=False)
    _rest: memoryview | None = field(default=None, init=False)
    # Nearly always empty, and a deque is 760 bytes.
    _urgent: list[bytes] = field(default_factory=list, init=False)
    _last: bytes = field(default=b"", init=False)
    _state: _State = field(default=_State.UPGRADING, init=False)
    _flushing: bool = field(default=False, init=False)
    # By the library, which reads no more, or by us.
    _released: bool = field(default=False, init=False)
    # Events only while somebody may wait for them.
    _opened: trio.Event | None = field(default_factory=trio.Event, init=False)
    _flushed: trio.Event | None = field(default=None, init=False)

    def __post_init__(self, early: bytes, inflater: Inflater | None) -> None:
        self._reader = PeerReader(self._transport, early, inflater)

    @property
    def heard_at(self) -> float:
        """When the peer was last heard (Trio's clock)."""
        return self._reader.heard_at

    def push(self, frame: bytes) -> bool:
        """Take ``frame`` where nothing else waits: write it, or what fits, now. Else False."""
        if self._flushing or self._state is _CLOSED or self._released:
            return False
        written = 0
        if self._send is not None:
            # Nearly all of a broadcast is this one call: no view of the frame, no other method.
            try:
                written = self._send(frame)
            except BlockingIOError:
                pass  # full: all of it is the rest
            except OSError as error:
                self._break(os.strerror(error.errno or 0))
                return True
        if written < len(frame):
            self._rest = memoryview(frame)[written:]
            self._start_flush()
        return True

    def kick(self) -> None:
        """Send what the source has by now."""
        if not self._flushing and not self._released and not self._pump():
            self._start_flush()

    def opened(self) -> None:
        """The upgrade was answered: from now on the peer's frames are read."""
        self._state = max(self._state, _State.OPEN)
        if self._opened is not None:
            self._opened.set()
            self._opened = None

    def close(self, code: int, reason: str, *, drain: bool = False, notice: bytes = b"") -> None:
        """Send a Close frame: at once, or with ``drain`` after all that the source has.

        ``notice`` is a frame that goes right before it.
        """
        if self._state >= _State.DRAINING:
            return
        frame = notice + close_frame(code, reason)
        if drain:
            self._state = _State.DRAINING
            self._last = frame
        else:
            self._state = _CLOSED
            self._urgent.append(frame)
        self.kick()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send a control frame or an answer, ahead of data; return once it is written.

        What comes after a Close frame is dropped: the peer would take it for an error of ours, and
        the library may still answer a ping that crossed our Close.
        """
        await trio.lowlevel.checkpoint()
        if self._released:
            raise trio.ClosedResourceError
        if self.broken:
            raise trio.BrokenResourceError(self.broken)
        if self._state is _CLOSED:
            return
        # The handshake's answer is no frame: its first byte is the H of HTTP.
        if self._state is not _State.UPGRADING and is_close(data):
            self._state = _CLOSED
        self._urgent.append(bytes(data))
        self.kick()
        while self._flushing and self._urgent:
            await self._progress()
        if self.broken:
            raise trio.BrokenResourceError(self.broken)

    async def wait_send_all_might_not_block(self) -> None:
        """Return once nothing waits to be written."""
        while self._flushing:
            await self._progress()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """First the checked head, then, once the upgrade is answered, the peer's bytes."""
        if self._head:
            head, self._head = self._head, b""
            return head
        # Bytes read before the answer would be taken for a part of the head, and lost.
        if self._opened is not None:
            await self._opened.wait()
        if self._released:
            raise trio.ClosedResourceError
        try:
            data = await self._reader.receive()
        except PeerError as error:
            # Cut, and told so where that costs no waiting.
            self.try_send_close(error.code, str(error))
            self.lingers = True
            self._break(f"{error.code} {error}")
            raise trio.BrokenResourceError(self.broken) from None
        except trio.BrokenResourceError:
            await trio.sleep(self.leaving())
            raise
        if not data:
            await trio.sleep(self.leaving())
        return data

    async def aclose(self) -> None:
        """Let go of the socket, as the library does when it is done with it.

        The TCP connection is the handler's to end, which knows whether a Close frame must first
        reach the peer.
        """
        self._released = True
        await trio.lowlevel.checkpoint()

    def try_send_close(self, code: int, reason: str) -> None:
        """A Close frame, as far as it can be had without waiting: for a peer about to be cut."""
        if self._flushing or self._state is _CLOSED or self.broken or self._send is None:
            return
        self._state = _CLOSED
        self._write(memoryview(close_frame(code, reason)))

    def release(self) -> None:
        """Write no more: the descriptor is about to be closed, and its number used again."""
        if self._rest is not None:
            # Otherwise the kernel goes on offering it to a peer that stopped reading, for minutes.
            reset_on_close(self._transport)
        self._released = True
        self._send = None
        # The subscriber holds us: who left is freed at once, not when garbage is next collected.
        self.source = _nothing
        self.leaving = _at_once

    def abort(self, why: str) -> None:
        """Cut the TCP connection: unsent bytes are dropped, the peer sees a reset."""
        self._break(why)
        reset_on_close(self._transport)

    def _write(self, data: memoryview) -> bool:
        """Write what the socket takes now. True where that is all; else ``_rest`` holds the rest.

        The socket's own ``send``: a hundredth of a millisecond a subscriber, where going through a
        task costs ten times that.
        """
        written = 0
        if self._send is not None:
            try:
                written = self._send(data)
            except BlockingIOError:
                pass  # full: all of it is the rest
            except OSError as error:
                self._break(os.strerror(error.errno or 0))
                return True
        if written == len(data):
            self._rest = None
            return True
        self._rest = data[written:]
        return False

    def _pump(self) -> bool:
        """Write frames. True: none is left. False: the socket is full, or it is others' turn."""
        if self._rest is not None and not self._write(self._rest):
            return False
        for _ in range(BURST):
            frame = self._next()
            if frame is None:
                return True
            if not self._write(memoryview(frame)):
                return False
        return False

    def _next(self) -> bytes | None:
        if self.broken:
            return None
        if self._urgent:
            return self._urgent.pop(0)
        if self._state is _CLOSED:
            return None
        frame = self.source()
        if frame is None and self._state is _State.DRAINING:
            self._state = _CLOSED
            frame, self._last = self._last, b""
        return frame

    def _start_flush(self) -> None:
        self._flushing = True
        self._nursery.start_soon(self._flush)

    async def _flush(self) -> None:
        """Write all that waits, as fast as the peer reads; cut it where it does not."""
        try:
            done = False
            while not done and not self._released:
                self._notify()
                with trio.move_on_after(STALL_S) as patience:
                    await self._make_room()
                if patience.cancelled_caught:
                    self.abort(f"took nothing for {STALL_S:g} s")
                    return
                done = self._pump()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._break(str(error.__cause__ or error) or "closed")
        finally:
            self._flushing = False
            self._notify()

    async def _make_room(self) -> None:
        """Wait until the socket takes more; a transport without one takes the next piece."""
        if self._send is not None:
            await self._transport.wait_send_all_might_not_block()
        elif self._rest is not None:
            piece, rest = self._rest[:PIECE_BYTES], self._rest[PIECE_BYTES:]
            await self._transport.send_all(piece)
            self._rest = rest or None
        else:
            await trio.lowlevel.checkpoint()

    def _notify(self) -> None:
        if self._flushed is not None:
            self._flushed.set()
            self._flushed = None

    async def _progress(self) -> None:
        """Wait until the flush task wrote something, or ended."""
        if self._flushed is None:
            self._flushed = trio.Event()
        await self._flushed.wait()

    def _break(self, why: str) -> None:
        """Nothing more can be sent: end the connection's tasks."""
        if not self.broken:
            self.broken = why
            self._rest = None
            self._urgent.clear()
            scope = self._nursery.cancel_scope
            scope.deadline = min(scope.deadline, trio.current_time() + self.leaving())
