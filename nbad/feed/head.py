"""The head of a plain answer, read without a parser's objects: what nearly all answers are.

A ``200`` with its ``Content-Length`` or a ``304``, on a connection that stays open. It is read
strictly: whatever is not just that, however valid, is left to h11.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# What h11 takes for an unfinished head at most.
MOST_BYTES = 16 * 1024

_TEXT = rb"[\t -~\x80-\xff]*"
_STATUS = re.compile(rb"HTTP/1\.1 (200|304) " + _TEXT)
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(" + _TEXT + rb")")
_LONGEST_LENGTH = 9  # digits


class PlainHead(NamedTuple):
    """``headers`` by their lower-case names; ``length`` of the body in bytes."""

    status: int
    headers: dict[str, str]
    length: int


def read_plain(head: bytes) -> PlainHead | None:
    """The head, which ends with its empty line; None where it is not plain."""
    first, *lines = head.split(b"\r\n")[:-2]
    status = _STATUS.fullmatch(first)
    if status is None:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        read = _header(line)
        if read is None:
            return None
        name, value = read
        # One that comes twice is a list (RFC 9110 5.3): nginx says Cache-Control so.
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if "transfer-encoding" in headers or headers.get("connection", "keep-alive") != "keep-alive":
        return None
    length = headers.get("content-length", "")
    if status[1] == b"304":  # a length would be that of the document, which does not come
        return PlainHead(304, headers, 0)
    if not (length.isascii() and length.isdigit()) or len(length) > _LONGEST_LENGTH:
        return None
    return PlainHead(200, headers, int(length))


@lru_cache(maxsize=128)  # most lines of a tick's answers are alike
def _header(line: bytes) -> tuple[str, str] | None:
    """The name in lower case, and the value; None where the line is no header."""
    match = _HEADER.fullmatch(line)
    if match is None:
        return None
    return match[1].decode().lower(), match[2].decode("latin-1").strip(" \t")
