"""The frames of a client, counted as the bytes come in, and a bound on the fragments of a message.

The WebSocket library bounds a message by its characters, so that endless empty fragments would grow
its list of them for ever.
"""

from __future__ import annotations

from nbad.stream.wire import head_size, payload_size

MAX_FRAGMENTS = 64
_FRAGMENT = 0.1  # of a frame: an honest client may send a message in many

_FIN, _OPCODE = 0x80, 0x0F


class Fragments:
    """Follows the frames of one client; bytes may be cut anywhere. ``frames`` counts them all,
    fragments as a part of one."""

    __slots__ = ("_count", "_head", "_skip", "frames")

    def __init__(self) -> None:
        self.frames = 0.0
        self._head = b""
        self._skip = 0
        self._count = 0

    @property
    def left(self) -> int:
        """How many bytes of the frame under way are to come."""
        return self._skip

    def allow(self, data: bytes) -> bool:
        """Take in what the client sent next; False once a message has too many fragments."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            self._head += data[at : at + 1]
            at += 1
            size = head_size(self._head)
            if len(self._head) == size:
                self._skip = payload_size(self._head)
                first, self._head = self._head[0], b""
                self.frames += 1.0 if first & _FIN else _FRAGMENT
                if first & _OPCODE >= 0x8:
                    continue  # control frames may come between fragments, and are none
                self._count = 0 if first & _FIN else self._count + 1
                if self._count > MAX_FRAGMENTS:
                    return False
        return True
