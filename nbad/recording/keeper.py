"""Writes finished games to the file of past nights, in a thread, in the background.

A failing disk never affects the pipeline; writing is tried again.
"""

from __future__ import annotations

from pathlib import Path

import structlog
import trio

from nbad.domain import Game, Status
from nbad.recording.nights import NightsError, WholeGame, keep, whole_game
from nbad.settings.current import Settings
from nbad.stream.journal import StreamJournal
from nbad.stream.story import GameStory

log = structlog.get_logger()

# The scorers' last corrections come within seconds of the end: they are one writing with it.
_WAIT_S = 2.0
_AGAIN_S = 60.0
# Games that wait for a disk that fails: some two nights; past it the oldest go.
_MOST_WAITING = 32
# How long what waits may hold up the end.
_LAST_S = 1.0


class NightKeeper:
    """Keeps each game that ended in ``[record] path``; where that is empty, nothing.

    A game that is corrected after its end is kept anew. ``thread`` is held while it writes.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: dict[str, Game] = {}
        self._known: dict[str, tuple[int, int, int]] = {}  # in this folder
        self._folder: Path | None = None
        self._news = trio.Event()
        self._failed = False
        # One thread at a time, also where one that hangs was left behind.
        self.thread = trio.CapacityLimiter(1)

    def note(self, journal: StreamJournal) -> None:
        """Look for games that ended since it last looked; costs a comparison a game."""
        folder = self._settings.current.config.record.path
        if folder is None:
            return
        if folder != self._folder:  # a reload moved it: it knows nothing of tonight yet
            self._folder, self._known = folder, {}
        for game_id in journal.game_ids:
            story = journal.story(game_id)
            game = story.game if isinstance(story, GameStory) else None
            if game is None or game.update.entry.status is not Status.FINAL or not game.series:
                continue
            entry = game.update.entry
            told = entry.home_score, entry.away_score, len(game.update.plays)
            if self._known.get(game_id) != told or game.update.corrected:
                self._known[game_id] = told
                self._waiting[game_id] = game
                self._news.set()
        for game_id in self._known.keys() - journal.game_ids:
            del self._known[game_id]

    async def run(self) -> None:
        """Write until cancelled, and then what still waits, as far as that takes no longer than a
        second."""
        try:
            while True:
                await self._news.wait()
                self._news = trio.Event()
                await trio.sleep(_WAIT_S)
                await self._write()
                if self._failed:
                    await trio.sleep(_AGAIN_S)
                    self._news.set()
        finally:
            with trio.move_on_after(_LAST_S, shield=True):
                await self._write()

    async def _write(self) -> None:
        """Write what waits, which waits until it is written: cut meanwhile, it is tried again."""
        folder = self._settings.current.config.record.path
        if folder is None:
            self._waiting = {}
            return
        waiting = self._waiting.copy()
        games: list[WholeGame] = []
        for game_id, game in waiting.items():
            # Here, not in the thread: the forecast of each play is shared with who opens the game.
            try:
                games.append(whole_game(game))
            except Exception as error:  # a bug in one game's work costs that game
                self._waiting.pop(game_id, None)
                log.warning("game_failed", stage="keep", game_id=game_id, exc_info=error)
            await trio.lowlevel.checkpoint()
        if not games:
            return
        try:
            written = await trio.to_thread.run_sync(
                keep, folder, games, abandon_on_cancel=True, limiter=self.thread
            )
        except NightsError as error:
            if not self._failed:
                log.exception("night_not_kept", games=len(games), error=str(error))
            self._failed = True
            self._waiting = dict(list(self._waiting.items())[-_MOST_WAITING:])
        else:
            self._failed = False
            # One that was corrected meanwhile goes on waiting.
            self._waiting = {name: game for name, game in self._waiting.items()
                             if waiting.get(name) is not game}  # fmt: skip
            for each in written:
                log.info("game_kept", game_id=each.kept.game_id, night=each.kept.night)
