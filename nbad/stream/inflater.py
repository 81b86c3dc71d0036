"""What a client sends compressed (permessage-deflate), inflated before the library sees it.

To the WebSocket library nothing was negotiated. A message is bounded as it comes and once it is
inflated.
"""

from __future__ import annotations

import zlib

from nbad.stream.deflate import MESSAGE_END
from nbad.stream.frames import CONTROL, FIN, MASKED, OPCODE, RSV1, FrameCutter, PeerError
from nbad.stream.requests import MAX_BYTES


class Inflater:
    """A client's frames as if none were compressed; bytes may be cut anywhere.

    Control frames and what is not compressed pass as they are, right or wrong. Holds one message,
    compressed, of at most :data:`.requests.MAX_BYTES` or so.
    """

    __slots__ = ("_cutter", "_fin", "_mask", "_opcode", "_packed", "_part", "_taking")

    def __init__(self) -> None:
        self._cutter = FrameCutter()
        self._taking = False  # the present frame is kept, not passed on
        self._part = bytearray()  # of its payload
        self._mask = b""
        self._fin = False
        self._opcode = 0
        self._packed: bytearray | None = None  # of a compressed message that has begun

    def take(self, data: bytes) -> bytes:
        """What the library is to see of what the client sent next; empty while it is incomplete.

        Raises :class:`PeerError`.
        """
        passed = bytearray()
        for head, piece in self._cutter.cut(data):
            if head:
                self._begin_frame(head)
            if self._taking:
                self._part += piece
            else:
                passed += head or piece
            if self._taking and not self._cutter.left:
                passed += self._end_frame()
        return bytes(passed)

    def _begin_frame(self, head: bytes) -> None:
        first = head[0]
        opcode = first & OPCODE
        begins = bool(first & RSV1) and opcode in (0x1, 0x2)
        goes_on = self._packed is not None and not opcode and not first & RSV1
        if self._packed is not None and not goes_on and not opcode & CONTROL:
            raise PeerError(1002, "expected the rest of a message, was another")
        if not (begins or goes_on):
            return
        if not head[1] & MASKED:
            raise PeerError(1002, "expected a masked frame")
        if self._packed is None:
            self._packed, self._opcode = bytearray(), opcode
        # Before it is inflated: blocks that hold nothing may be repeated for ever.
        if len(self._packed) + self._cutter.left > MAX_BYTES:
            raise PeerError(1009, f"expected at most {MAX_BYTES} bytes")
        self._taking, self._fin, self._mask = True, bool(first & FIN), head[-4:]

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
        return bytes((FIN | self._opcode, MASKED | length[0])) + length[1:] + bytes(4) + text


def _inflated(packed: bytes) -> bytes:
    """A client's message, of at most ``MAX_BYTES``. Raises :class:`PeerError`."""
    inflater = zlib.decompressobj(-15)
    try:
        text = inflater.decompress(packed + MESSAGE_END, MAX_BYTES + 1)
    except zlib.error:
        raise PeerError(1007, "expected a deflated message") from None
    if len(text) > MAX_BYTES:
        raise PeerError(1009, f"expected at most {MAX_BYTES} bytes")
    return text
