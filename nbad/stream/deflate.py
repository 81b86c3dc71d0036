"""permessage-deflate without context takeover (RFC 7692): each message compressed by itself.

So a message is compressed and framed once for all who take it so, like any other. What a client
sends compressed is for :mod:`nbad.stream.inflater`.
"""

from __future__ import annotations

from collections.abc import Iterable

from cachetools import LRUCache
from isal import isal_zlib

from nbad.stream import frames

_NAME = "permessage-deflate"
_NO_TAKEOVER = ("server_no_context_takeover", "client_no_context_takeover")
_LARGEST_WINDOW = "15"
_WINDOWS = frozenset(map(str, range(8, 16)))

_LEVEL = 1  # a tenth larger than zlib's default in a tenth of its time
# Below this the head is most of a packet.
_WORTH_COMPRESSING = 256
# Of frames compressed, the whole ring's; with those they were made of it is four times that.
_KEPT_BYTES = 2 * 1024 * 1024
# In a batch, some 30 us each: as many as there are frames kept of one.
_MOST_MADE = 256
MESSAGE_END = b"\x00\x00\xff\xff"
"""What ends every compressed message, and is left out on the wire."""


def accept_offer(offers: Iterable[str]) -> str | None:
    """The answer to the first offer that can be taken; None where there is none.

    ``offers`` are the extensions named in the request, each with its parameters.
    """
    for offer in offers:
        name, *parameters = [part.strip() for part in offer.split(";")]
        if name.lower() != _NAME:
            continue
        found: dict[str, str] = {}
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            found[key.strip().lower()] = value.strip().strip('"')
        if len(found) < len(parameters) or any(found.get(name) for name in _NO_TAKEOVER):
            continue
        windows = {
            name: found.pop(f"{name}_max_window_bits", None) for name in ("server", "client")
        }
        if found.keys() - set(_NO_TAKEOVER):
            continue
        if windows["client"] and windows["client"] not in _WINDOWS:
            continue
        answer = [_NAME, *_NO_TAKEOVER]
        if windows["server"] is not None:
            if windows["server"] != _LARGEST_WINDOW:
                continue  # it would have all compressed for itself alone
            answer.append(f"server_max_window_bits={_LARGEST_WINDOW}")
        return "; ".join(answer)
    return None


def deflated(frame: bytes) -> bytes:
    """A text frame compressed; itself where that makes it no smaller."""
    if len(frame) < _WORTH_COMPRESSING:
        return frame
    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
    packed = compressor.compress(frames.payload(frame)) + compressor.flush(isal_zlib.Z_SYNC_FLUSH)
    made = frames.data_frame(frame[0] | frames.RSV1, packed[: -len(MESSAGE_END)])
    return made if len(made) < len(frame) else frame


class DeflatedFrames:
    """Frames compressed, each once for all who take it so.

    Where very many different ones are wanted within a batch, some stay as they are: whoever takes
    compressed messages takes others too.
    """

    def __init__(self) -> None:
        self._kept: LRUCache[bytes, bytes] = LRUCache(_KEPT_BYTES, getsizeof=len)
        self._made = 0

    def begin_batch(self) -> None:
        """Another batch may have as many made."""
        self._made = 0

    def of(self, frame: bytes) -> bytes:
        """``frame``, compressed."""
        packed: bytes | None = self._kept.get(frame)
        if packed is None:
            if self._made >= _MOST_MADE:
                return frame
            self._made += 1
            packed = deflated(frame)
            if len(packed) <= _KEPT_BYTES:
                self._kept[frame] = packed
        return packed
