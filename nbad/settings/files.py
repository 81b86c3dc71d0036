"""The files that a configuration names: the small ones read, those that are written tried."""

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
# Of the disk, not of the configuration: it passes, and nbad goes on meanwhile.
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
    """Raises OSError, with its file's name, where one of ``files`` cannot be written. None is none.

    What is in a file stays. One that is not there is not made: its folder is tried, as another
    process may make it meanwhile, which removing ours would take away. A pipe or a device is not
    tried: its reader would be told that it ended.
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
    """Try the log's file. What is wrong with it is added to ``problems``."""
    try:
        try_to_write(log.file)
    except OSError as error:
        problems.append(unusable("log.file", "a file to write", log.file, error))


def try_folders(config: Config, problems: list[str]) -> None:
    """Try the folders that are kept in. What is wrong with them is added to ``problems``."""
    for key, folder in (("record.path", config.record.path), ("state.path", config.state.path)):
        try:
            if folder is not None:
                try_folder(folder)
        except OSError as error:
            problems.append(unusable(key, "a folder to write to", folder, error))


def try_folder(folder: Path) -> None:
    """Raises OSError where ``folder`` cannot be made or written to, but for a disk that is full or
    fails: that passes. Folders that were not there are not left behind: whoever checks a service's
    configuration is not its user."""
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
            with contextlib.suppress(OSError):  # another's file may be in it by now
                path.rmdir()
