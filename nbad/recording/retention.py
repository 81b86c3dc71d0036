"""Which recorded files go: the oldest first, past the days or the room that they may take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

_DAY_S = 86_400.0
# A file may still be written to, by us or by another recorder: it stays.
_IN_USE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Deleted:
    """A pair of files that went, with both their sizes in bytes."""

    file: Path
    size: int
    reason: str


def delete_old(
    folder: Path, keep_days: float, max_gb: float, feed_time: float = math.inf
) -> list[Deleted]:
    """Delete the pairs of ``folder`` last written to more than ``keep_days`` ago, then the oldest
    ones until all take ``max_gb`` (10^9 bytes) at most; 0: no such limit. Blocks. Raises OSError.

    ``feed_time`` is what the feed's clock says, in s since the epoch: a host's clock that jumped
    ahead of it makes nothing old.
    """
    if not (keep_days or max_gb):
        return []
    now = time.time()
    pairs = sorted(
        (file.stat().st_mtime, file.stat().st_size + _size(file.with_suffix(".idx")), file)
        for file in folder.glob("*.rec")
    )
    room = sum(size for _, size, _ in pairs)
    deleted = []
    for written, size, file in pairs:
        if now - written < _IN_USE_S:
            break
        if keep_days and min(now, feed_time) - written > keep_days * _DAY_S:
            reason = f"older than {keep_days:g} days"
        elif max_gb and room > max_gb * 1e9:
            reason = f"more than {max_gb:g} GB"
        else:
            continue
        # The index first: without it the recording is still whole, and not the other way round.
        file.with_suffix(".idx").unlink(missing_ok=True)
        file.unlink()
        room -= size
        deleted.append(Deleted(file, size, reason))
    return deleted


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
