"""WebSocket frames (RFC 6455): those for subscribers, made; those of clients, cut apart. Pure.

A message is framed once and the frame is shared by all its receivers.
"""

from __future__ import annotations

from collections.abc import Iterator

from wsproto.frame_protocol import FrameProtocol

FIN, RSV1, OPCODE = 0x80, 0x40, 0x0F  # of a frame's first byte
MASKED, LENGTH = 0x80, 0x7F  # of its second
CONTROL = 0x8  # an opcode with this bit is that of a control frame
CLOSE = 0x8

_TEXT = FIN | 0x1
# What is served carries no mask, so one encoder serves every connection; it holds no state between
# control frames.
_ENCODER = FrameProtocol(client=False, extensions=[])


class PeerError(Exception):
    """A client that breaks the protocol or a limit: close with ``code`` and the reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def text_frame(payload: bytes) -> bytes:
    """One text message, ``payload`` being UTF-8, as one frame."""
    return data_frame(_TEXT, payload)


def data_frame(first: int, payload: bytes) -> bytes:
    """A frame without a mask, of which ``first`` is the first byte."""
    size = len(payload)
    if size < 126:
        return b"%c%c%b" % (first, size, payload)
    if size < 1 << 16:
        return b"%c\x7e%b%b" % (first, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (first, size.to_bytes(8, "big"), payload)


def payload(frame: bytes) -> bytes:
    """The payload of a frame that :func:`data_frame` made."""
    return frame[_head_size(frame) :]


def ping_frame() -> bytes:
    """A ping without payload."""
    return bytes(_ENCODER.ping())


def close_frame(code: int, reason: str) -> bytes:
    """A Close frame; a reason that is too long for a control frame is cut."""
    return bytes(_ENCODER.close(code, reason))


def is_close(frame: bytes | bytearray | memoryview) -> bool:
    """Whether ``frame`` starts with the opcode of a Close frame."""
    return len(frame) > 0 and frame[0] & OPCODE == CLOSE


class FrameCutter:
    """Cuts a client's bytes, however they come, into the heads of frames and their payloads.

    ``left`` is how many bytes of the present frame's payload are still to come.
    """

    __slots__ = ("_head", "left")

    def __init__(self) -> None:
        self.left = 0
        self._head = b""

    def cut(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """``(head, b"")`` where a frame begins, ``(b"", piece)`` for each piece of its payload."""
        at = 0
        while at < len(data):
            if self.left:
                piece = data[at : at + self.left]
                self.left -= len(piece)
                at += len(piece)
                yield b"", piece
                continue
            self._head += data[at : at + 1]
            at += 1
            if len(self._head) == _head_size(self._head):
                head, self._head = self._head, b""
                self.left = _payload_size(head)
                yield head, b""


def _head_size(head: bytes) -> int:
    """How long a frame's head is, as far as ``head`` tells; 2 before it tells."""
    if len(head) < 2:
        return 2
    extra = {126: 2, 127: 8}.get(head[1] & LENGTH, 0)
    return 2 + extra + (4 if head[1] & MASKED else 0)


def _payload_size(head: bytes) -> int:
    """How long the payload is that follows a whole ``head``."""
    length = head[1] & LENGTH
    if length == 126:
        return int.from_bytes(head[2:4], "big")
    return int.from_bytes(head[2:10], "big") if length == 127 else length
