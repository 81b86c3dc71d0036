"""A recording of the feed on disk: every payload byte for byte, with its headers and its time.

A folder of pairs, one pair for each night and each start of the recorder, named by the moment of
its first payload:

- ``20261123T231500.000000Z.rec``: gzip members one after the other, so that ``zcat`` reads it.
  Each holds what came within one flush: per payload a line of JSON (``url``, ``status``,
  ``headers``, ``received_at``, ``size``), then the body, then a line break.
- ``….idx``: per member one line of JSON: where it is, and where in it which payload is. Only a
  shortcut: what it does not cover is read from the ``.rec`` itself.

A file is only ever appended to, a member at a time: what a kill cuts is the last member, and a
reader passes over it. A new start begins a new pair, so there is nothing to repair.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from cachetools import LRUCache

from nbad.feed.client import Arrival
from nbad.feed.times import http_date_s
from nbad.recording.nights import night_of

_GZIP = 31  # zlib's window bits for gzip
_LEVEL = 1  # beside a pipeline: a fifth of the time of the usual level
_READ = 1 << 20
_MEMBERS_KEPT = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a payload lies: ``start`` and ``size`` within the member at ``offset`` of ``file``."""

    received_at: float
    url: str
    status: int
    modified: float | None
    file: Path
    offset: int
    length: int
    start: int
    size: int


class Writer:
    """Appends to a recording. Blocks: call it in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._night = ""
        self._file: Path | None = None

    def write(self, arrivals: Iterable[Arrival]) -> None:
        """Append ``arrivals``, in order, as one member per night, and sync. Raises OSError."""
        nights: dict[str, list[Arrival]] = {}
        for arrival in arrivals:
            nights.setdefault(night_of(arrival.received_at), []).append(arrival)
        self.folder.mkdir(parents=True, exist_ok=True)  # it may have been deleted since
        for night, members in nights.items():
            if self._file is None or night != self._night:
                self._night = night
                moment = datetime.fromtimestamp(members[0].received_at, UTC)
                self._file = self.folder / f"{moment:%Y%m%dT%H%M%S.%f}Z.rec"
            _append(self._file, members)


def _append(file: Path, arrivals: list[Arrival]) -> None:
    content, entries = bytearray(), []
    for arrival in arrivals:
        head = {
            "url": arrival.url,
            "status": arrival.status,
            "headers": dict(arrival.headers),
            "received_at": arrival.received_at,
            "size": len(arrival.body),
        }
        content += orjson.dumps(head) + b"\n"
        entries.append(_index_entry(head, len(content)))
        content += arrival.body + b"\n"
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    member = packer.compress(content) + packer.flush()
    with file.open("ab", buffering=0) as out:
        offset = out.tell()
        try:
            left = memoryview(member)
            while left:
                left = left[out.write(left) :]
            os.fsync(out.fileno())
        except OSError:
            # As if it had not been tried: no torn member, and no file that is empty.
            out.truncate(offset)
            if not offset:
                file.unlink()
            raise
    line = {"offset": offset, "length": len(member), "entries": entries}
    with contextlib.suppress(OSError), file.with_suffix(".idx").open("ab") as index:
        index.write(orjson.dumps(line) + b"\n")  # only a shortcut: the reader does without


def _index_entry(head: Mapping[str, Any], start: int) -> list[Any]:
    modified = http_date_s(head["headers"].get("last-modified"))
    return [head["received_at"], head["url"], head["status"], modified, start, head["size"]]


class Recording:
    """A folder of recorded nights, read. ``ValueError`` where there is nothing in it."""

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.glob("*.rec"))
        entries = [entry for file in files for entry in _entries(file)]
        if not entries:
            raise ValueError(f"{folder}: expected a recording made by `nbad record`, was none")
        self.entries = sorted(entries, key=lambda entry: entry.received_at)
        self._members: LRUCache[tuple[Path, int], bytes] = LRUCache(_MEMBERS_KEPT)

    def body(self, entry: Entry) -> bytes:
        """The payload, byte for byte."""
        key = entry.file, entry.offset
        member = self._members.get(key)
        if member is None:
            with entry.file.open("rb") as source:
                source.seek(entry.offset)
                member = zlib.decompress(source.read(entry.length), _GZIP)
            self._members[key] = member
        return member[entry.start : entry.start + entry.size]


def _entries(file: Path) -> Iterator[Entry]:
    """What the index says, as far as it is whole; then what the members after it say."""
    covered = 0
    whole = file.stat().st_size
    index = file.with_suffix(".idx")
    for line in index.read_bytes().splitlines() if index.exists() else ():
        try:
            member = orjson.loads(line)
        except orjson.JSONDecodeError:
            break
        if member["offset"] != covered or covered + member["length"] > whole:
            break
        for received_at, url, status, modified, start, length in member["entries"]:
            yield Entry(
                received_at, url, status, modified, file,
                covered, member["length"], start, length,
            )  # fmt: skip
        covered += member["length"]
    with file.open("rb") as source:
        source.seek(covered)
        while (member := _member(source)) is not None:
            content, length = member
            start = 0
            while start < len(content):
                end = content.index(b"\n", start) + 1
                head = orjson.loads(content[start:end])
                received_at, url, status, modified, _, size = _index_entry(head, end)
                yield Entry(received_at, url, status, modified, file, covered, length, end, size)
                start = end + size + 1
            covered += length
            source.seek(covered)


def _member(source: Any) -> tuple[bytes, int] | None:
    """The gzip member at the source's position and its length; None where it was cut."""
    unpacker = zlib.decompressobj(_GZIP)
    content, length = bytearray(), 0
    while not unpacker.eof:
        part = source.read(_READ)
        if not part:
            return None
        try:
            content += unpacker.decompress(part)
        except zlib.error:
            return None
        length += len(part)
    return bytes(content), length - len(unpacker.unused_data)
