"""What a client sends compressed (permessage-deflate), inflated before the library sees it.

To the WebSocket library nothing was negotiated. A message is bounded as it comes and once it is
inflated.
"""

from __future__ import annotations

import zlib

from nbad.stream import wire
from nbad.stream.requests import MAX_BYTES

_FLUSHED = b"\x00\x00\xff\xff"  # what ends every message, and is left out

_FIN, _RSV1, _OPCODE, _CONTROL, _MASKED = 0x80, 0x40, 0x0F, 0x08, 0x80


class InflateError(Exception):
    """A compressed message that is none: ``code`` is what to close with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Inflater:
    """A client's frames as if none were compressed; bytes may be cut anywhere.

    Control frames and what is not compressed pass as they are, right or wrong. Holds one message,
    compressed, of at most :data:`.requests.MAX_BYTES` or so.
    """

    __slots__ = ("_fin", "_head", "_left", "_mask", "_opcode", "_packed", "_part", "_taking")

    def __init__(self) -> None:
        self._head = b""
        self._left = 0  # of the payload at hand
        self._taking = False  # it is kept, not passed on
        self._part = bytearray()
        self._mask = b""
        self._fin = False
        self._opcode = 0
        self._packed: bytearray | None = None  # of a compressed message that has begun

    def take(self, data: bytes) -> bytes:
        """What the library is to see of what the client sent next; empty while it is incomplete.

        Raises :class:`InflateError`.
        """
        passed = bytearray()
        at = 0
        while at < len(data) or (self._taking and not self._left):
            if self._left or self._taking:
                step = min(self._left, len(data) - at)
                (self._part if self._taking else passed).extend(data[at : at + step])
                self._left -= step
                at += step
                if self._taking and not self._left:
                    passed += self._end_frame()
                continue
            self._head += data[at : at + 1]
            at += 1
            if len(self._head) == wire.head_size(self._head):
                self._begin_frame()
                if not self._taking:
                    passed += self._head
                self._head = b""
        return bytes(passed)

    def _begin_frame(self) -> None:
        first, head = self._head[0], self._head
        self._left = wire.payload_size(head)
        opcode = first & _OPCODE
        begins = bool(first & _RSV1) and opcode in (0x1, 0x2)
        goes_on = self._packed is not None and not opcode and not first & _RSV1
        if self._packed is not None and not goes_on and not opcode & _CONTROL:
            raise InflateError(1002, "expected the rest of a message, was another")
        if not (begins or goes_on):
            return
        if not head[1] & _MASKED:
            raise InflateError(1002, "expected a masked frame")
        if self._packed is None:
            self._packed, self._opcode = bytearray(), opcode
        # Blocks that hold nothing may be repeated for ever.
        if len(self._packed) + self._left > MAX_BYTES:
            raise InflateError(1009, f"expected at most {MAX_BYTES} bytes")
        self._taking, self._fin, self._mask = True, bool(first & _FIN), head[-4:]

    def _end_frame(self) -> bytes:
        """The whole message, masked with zeros, where this was its last frame."""
        assert self._packed is not None
        self._packed += bytes(byte ^ self._mask[place % 4] for place, byte in enumerate(self._part))
        self._part.clear()
        self._taking = False
        if not self._fin:
            return b""
        packed, self._packed = bytes(self._packed), None
        text = _inflated(packed)
        size = len(text)
        length = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
        return bytes((_FIN | self._opcode, _MASKED | length[0])) + length[1:] + bytes(4) + text


def _inflated(packed: bytes) -> bytes:
    """A client's message, of at most ``MAX_BYTES``. Raises :class:`InflateError`."""
    inflater = zlib.decompressobj(-15)
    try:
        text = inflater.decompress(packed + _FLUSHED, MAX_BYTES + 1)
    except zlib.error:
        raise InflateError(1007, "expected a deflated message") from None
    if len(text) > MAX_BYTES:
        raise InflateError(1009, f"expected at most {MAX_BYTES} bytes")
    return text
