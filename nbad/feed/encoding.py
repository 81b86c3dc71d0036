"""The content encodings of a body: gzip or none, of a bounded size whatever was sent."""

from __future__ import annotations

import httpx
from isal import igzip_lib

# A scoreboard or a play-by-play is at most a megabyte, a season's schedule ten.
LARGEST_BODY = 64 * 1024 * 1024
_MAGIC = b"\x1f\x8b"


def decoded(body: bytes, encoding: str, request: httpx.Request | None = None) -> bytes:
    """The body without its content encoding, of at most 64 MB.

    Raises ``httpx.DecodingError`` where it is not so encoded, cut, or more.
    """
    encoding = encoding.strip().lower()
    if encoding in ("identity", ""):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise httpx.DecodingError(f"expected gzip, was {encoding[:40]}", request=request)
    plain = b""
    try:
        while True:
            part, rest = _gzip_member(body, LARGEST_BODY - len(plain))
            plain = plain + part if plain else part
            # Several members are one text (RFC 1952, 2.2); padding behind the last is passed over.
            if not rest.startswith(_MAGIC):
                return plain
            body = rest
    except (igzip_lib.IsalError, ValueError) as error:  # type: ignore[misc] # its stub calls it an instance
        raise httpx.DecodingError(f"expected gzip, was {error}", request=request) from None


def _gzip_member(body: bytes, most: int) -> tuple[bytes, bytes]:
    """The first member of a gzip, and what follows it. Raises ``ValueError`` where it is cut or
    more than ``most`` bytes, ``IsalError`` where it is none."""
    decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    # gzip ends with its plain size: a buffer of just that takes a third of the time of the largest.
    size = min(int.from_bytes(body[-4:], "little") + 1, most)
    plain: bytes = decoder.decompress(body, size)
    if not decoder.eof and len(plain) < most:
        # Not its end after all: padding may follow, or another member.
        plain += decoder.decompress(b"", most - len(plain))
    if not decoder.eof:
        raise ValueError(f"cut or more than {LARGEST_BODY} bytes")
    return plain, decoder.unused_data
