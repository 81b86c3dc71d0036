"""The frames of a client, counted as the bytes come in, and a bound on the fragments of a message.

The WebSocket library bounds a message by its characters, so endless empty fragments would grow its
list of them for ever.
"""

from __future__ import annotations

from nbad.stream.frames import CONTROL, FIN, OPCODE, FrameCutter, PeerError

MAX_FRAGMENTS = 64
_FRAGMENT = 0.1  # of a frame: an honest client may send a message in many


class Fragments:
    """Follows the frames of one client. ``frames`` counts them, a fragment as a part of one."""

    __slots__ = ("_count", "_cutter", "frames")

    def __init__(self) -> None:
        self.frames = 0.0
        self._cutter = FrameCutter()
        self._count = 0

    @property
    def left(self) -> int:
        """How many bytes of the present frame are still to come."""
        return self._cutter.left

    def take(self, data: bytes) -> None:
        """Count what the client sent next. Raises :class:`PeerError` for too many fragments."""
        for head, _ in self._cutter.cut(data):
            if not head:
                continue
            last = bool(head[0] & FIN)
            self.frames += 1.0 if last else _FRAGMENT
            if head[0] & OPCODE & CONTROL:
                continue  # control frames may come between fragments, and are none
            self._count = 0 if last else self._count + 1
            if self._count > MAX_FRAGMENTS:
                raise PeerError(1009, "too many fragments")
