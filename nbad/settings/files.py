"""The files that a configuration names: reading the small ones, testing the writable ones."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbad.settings.schema import Config, Log

# 100,000 tokens are 5 MB. A device, or a log named by mistake, has no end.
_MOST_BYTES = 16 * 1024 * 1024
# Problems of the disk, not of the configuration: temporary, and nbad goes on meanwhile.
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def unusable(key: str, expected: str, file: Path | None, error: OSError) -> str:
    """The problem with the ``file`` that ``key`` names."""
    return f"{key}: expected {expected}, was {str(file)!r}: {error.strerror or error}"


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


def try_to_write(*files: Path | None) -> None:
    """Raises OSError, with the file's name, if one of ``files`` cannot be written. None is skipped.

    Existing content stays. A missing file is not created, but its folder is tested: creating and
    removing it could remove another process's file. A pipe or a device is not tested: closing it
    would signal its end to the reader.
    """
    for file in filter(None, files):
        try:
            if not file.exists():
                tempfile.TemporaryFile(dir=file.resolve().parent).close()
            elif not (file.is_fifo() or file.is_char_device()):
                file.open("ab").close()
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(file)) from None


def try_log(log: Log, problems: list[str]) -> None:
    """Test the log's file; a problem is added to ``problems``."""
    try:
        try_to_write(log.file)
    except OSError as error:
        problems.append(unusable("log.file", "a file to write", log.file, error))


def try_folders(config: Config, problems: list[str]) -> None:
    """Test the folders to record and keep state in; problems are added to ``problems``."""
    for key, folder in (("record.path", config.record.path), ("state.path", config.state.path)):
        try:
            if folder is not None:
                try_folder(folder)
        except OSError as error:
            problems.append(unusable(key, "a folder to write to", folder, error))


def try_folder(folder: Path) -> None:
    """Raises OSError if ``folder`` cannot be created or written to, except for a full or failing
    disk, which is temporary. New folders are removed again: a service's configuration may be
    checked by another user."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if error.errno not in _PASSING:
            raise
    finally:
        for path in made:
            with contextlib.suppress(OSError):  # it may contain another process's file by now
                path.rmdir()
