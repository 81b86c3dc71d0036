"""Reading the small files that a configuration is made of."""

from __future__ import annotations

from pathlib import Path

# 100,000 tokens are 5 MB. A device, or a log named by mistake, has no end.
_MOST_BYTES = 16 * 1024 * 1024


def read_text(file: Path) -> str:
    """A file's text. Raises OSError where it cannot be read, is too large or is not UTF-8."""
    try:
        with file.open("rb") as source:
            content = source.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise OSError(f"more than {_MOST_BYTES} bytes")
        return content.decode()
    except UnicodeDecodeError as error:
        raise OSError(f"not UTF-8 at byte {error.start}") from None
