"""The head of a plain answer, read without a parser's objects: what nearly all answers are.

A ``200`` with its ``Content-Length`` or a ``304``, on a connection that stays open. It is read
strictly: whatever is not just that, however valid, is left to h11.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# What h11 takes for an unfinished head at most.
MOST_BYTES = 16 * 1024

_TEXT = rb"[\t -~\x80-\xff]*"
_HEAD = re.compile(
    rb"HTTP/1\.1 (200|304) " + _TEXT + rb"\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:" + _TEXT + rb"\r\n)*)\r\n"
)  # fmt: skip
_LONGEST_LENGTH = 9  # digits


class PlainHead(NamedTuple):
    """``headers`` by their lower-case names; ``length`` of the body in bytes."""

    status: int
    headers: dict[str, str]
    length: int


def read_plain(head: bytes) -> PlainHead | None:
    """The head, which ends with its empty line; None where it is not plain."""
    match = _HEAD.fullmatch(head)
    if match is None:
        return None
    status, block = match.groups()
    headers: dict[str, str] = {}
    for line in block.decode("latin-1").split("\r\n")[:-1]:
        raw_name, _, raw_value = line.partition(":")
        name, value = raw_name.lower(), raw_value.strip(" \t")
        # One that comes twice is a list (RFC 9110 5.3): nginx says Cache-Control so.
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if "transfer-encoding" in headers or headers.get("connection", "keep-alive") != "keep-alive":
        return None
    length = headers.get("content-length", "")
    if status == b"304":  # a length would be that of the document, which does not come
        return PlainHead(304, headers, 0)
    if not (length.isascii() and length.isdigit()) or len(length) > _LONGEST_LENGTH:
        return None
    return PlainHead(200, headers, int(length))
