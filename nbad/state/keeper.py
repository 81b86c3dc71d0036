"""The state directory: read once at the start, written whenever something was learnt."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog
import trio

from nbad.observe.troubles import Troubles
from nbad.pattern.knowledge import Knowledge
from nbad.pattern.quotes import Quote
from nbad.pattern.rating import Ratings
from nbad.pattern.tracker import PlayedGame
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import State
from nbad.state.format import MOST_BYTES, StateError, decode, encode

log = structlog.get_logger()

FILE = "knowledge.json"
# A final is worth a write at once; what comes within this time of one goes with the next.
_REST_S = 0.5


def state_folder(state: State, environ: Mapping[str, str]) -> Path | None:
    """Where the state is kept: what is configured, else what systemd gave; None: nowhere."""
    if state.path is not None:
        return state.path
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else None


def read_knowledge(folder: Path | None, base: Ratings) -> Knowledge:
    """The knowledge stored in ``folder``, rated from ``base``, the model's ratings. Blocks.

    An unusable file is logged and renamed to ``….unreadable``, so that the next write does not
    replace it. Then, as without a file, only the model's ratings are known.
    """
    knowledge = Knowledge()
    file = (folder or Path()) / FILE
    try:
        if folder is not None:
            knowledge = decode(_read(file))
            log.info("state_read", path=str(file), games=len(knowledge.ratings.games))
    except FileNotFoundError:
        pass  # the first start here
    except (StateError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        log.error("state_unreadable", path=str(file), reason=reason)  # noqa: TRY400
        with contextlib.suppress(OSError):
            file.replace(file.with_suffix(".json.unreadable"))
    knowledge.quotes.forget_old(time.time())
    knowledge.ratings.start_from(base)
    knowledge.ratings.newest()  # learnt here, where nobody waits for a tick
    return knowledge


def write(folder: Path, games: Sequence[PlayedGame], quotes: Mapping[str, Quote]) -> None:
    """Write the file atomically, also in the event of a power failure, or where another
    daemon writes there. Blocks.

    Raises OSError.
    """
    content = encode(games, quotes)
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{FILE}.new"
    entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # not every file system has locks
            fcntl.flock(entry, fcntl.LOCK_EX)
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / FILE)
        os.fsync(entry)
    finally:
        os.close(entry)


class Keeper:
    """Writes what is known to the state directory, in the background."""

    def __init__(
        self, knowledge: Knowledge, settings: Settings, environ: Mapping[str, str]
    ) -> None:
        self._knowledge = knowledge
        self._settings = settings
        self._environ = environ
        self._kept: tuple[Path, int] | None = None
        self._looked_at: tuple[Runtime, int] | None = None
        self._news = trio.Event()
        self._troubles = Troubles()
        # One thread at a time, also where one was left behind: all write the same new file.
        self._thread = trio.CapacityLimiter(1)
        folder = state_folder(settings.current.config.state, environ)
        if folder is not None and os.path.exists(folder / FILE):  # noqa: PTH110 - never raises
            self._kept = folder, knowledge.version

    def wake(self) -> None:
        """A tick was served: something may have been learnt, or be kept elsewhere from now on."""
        if self._looked_at != (self._settings.current, self._knowledge.version):
            self._news.set()

    async def run(self) -> None:
        """Write after each change, until cancelled."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            await self.keep()
            await trio.sleep(_REST_S)

    async def keep(self) -> None:
        """Write what is not written yet; problems with the disk are logged, and it is tried again.

        If cancelled, the write continues to its end in its thread.
        """
        runtime = self._settings.current
        self._looked_at = runtime, self._knowledge.version
        folder = state_folder(runtime.config.state, self._environ)
        if folder is None or self._kept == (folder, self._knowledge.version):
            return
        version = self._knowledge.version
        games, quotes = self._knowledge.ratings.games, self._knowledge.quotes.used
        try:
            await trio.to_thread.run_sync(
                write, folder, games, quotes, abandon_on_cancel=True, limiter=self._thread
            )
        except OSError as error:
            self._looked_at = None  # the next tick tries again
            self._troubles.note("state_unwritable", "state", path=str(folder), error=str(error))
            return
        self._kept = folder, version
        self._troubles.over("state", what="state")


def _read(file: Path) -> bytes:
    """Raises OSError, and :class:`StateError` where there is too much."""
    with file.open("rb") as source:
        content = source.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise StateError(f"more than {MOST_BYTES} bytes")
    return content
