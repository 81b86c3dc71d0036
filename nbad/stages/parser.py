"""The parser: the feed's documents → typed updates, each game decided by its judge."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

import structlog
import trio

from nbad.channels import Publisher, Receiver, Sender
from nbad.domain import Listing, Scoreboard, State, Update
from nbad.feed.boxscore import parse_box_score_head
from nbad.feed.decode import BadData
from nbad.feed.followed import FollowedGame
from nbad.feed.incremental import Reading
from nbad.feed.judge import is_further
from nbad.feed.names import Names
from nbad.feed.odds import parse_odds
from nbad.feed.poll_plan import TrackedGame
from nbad.feed.scoreboard import MOST_GAMES, parse_scoreboard
from nbad.feed.times import epoch_s
from nbad.observe.timing import stage
from nbad.observe.troubles import Troubles
from nbad.pattern.market import Line
from nbad.stages.envelopes import BOX, ODDS, Document, Fetched, Odds, Updates

log = structlog.get_logger()

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


@dataclass(frozen=True, slots=True)
class GameProblem:
    """Something of a game that could not be used: the log's ``event`` and the ``reason``.

    ``error`` is an internal error, to be logged with its traceback.
    """

    event: str
    game_id: str
    reason: str
    error: Exception | None = None


class GameTracker:
    """Every game being followed: a day's games, of which one that leaves leaves nothing behind."""

    def __init__(self, names: Names | None = None) -> None:
        self._games: dict[str, FollowedGame] = {}
        self._names = names or Names()
        self._board: Scoreboard | None = None
        self._odds: dict[str, Line] = {}
        self._problems: list[GameProblem] = []

    def take(self, fetched: Fetched) -> tuple[Updates, list[GameProblem]]:
        """What is to be told after ``fetched``, and what could not be used."""
        self._problems = []
        touched: dict[str, float] = {}
        odds: Odds | None = None
        for document in fetched.documents:
            if document.place == ODDS:
                odds = self._attempt(ODDS, self._read_odds, document)
                continue
            name = document.place.removeprefix(BOX) or "scoreboard"
            for game_id in self._attempt(name, self._read, document, fetched.at) or ():
                touched[game_id] = document.received_at
        for place in fetched.failed:
            if not place:
                self._board_answers(silent=True)
            elif (game := self._games.get(place)) is not None and game.plays_failed():
                touched.setdefault(place, fetched.received_at)
        # First who leaves, then what is told: of a game that left nothing may come after it.
        dropped = self._prune(fetched.at)
        for game_id, game in self._games.items():
            if game.due:
                touched.setdefault(game_id, fetched.received_at)
        updates = []
        for game_id, received_at in touched.items():
            game = self._games.get(game_id)
            if game is None:
                continue
            told = game.told
            update = self._attempt(game_id, self._decide, game_id, game, fetched.at, received_at)
            if update is not None:
                updates.append(update)
                fetched.tick.happened += _news_of(update, told)
        fetched.tick.whole = all(game.told is not None for game in self._games.values())
        made = Updates(
            fetched.tick, tuple(updates), fetched.schedule, dropped, odds, fetched.received_at
        )
        return made, self._problems

    def tracked(self) -> tuple[TrackedGame, ...]:
        """The games as the poller's plan needs them."""
        return tuple(game.tracked() for game in self._games.values())

    def _attempt(self, game_id: str, do: Callable[[*_Ts], _T], *args: *_Ts) -> _T | None:
        """What ``do`` returns. What goes wrong in it costs this game's turn, and gives None: the
        rest of the night goes on."""
        try:
            return do(*args)
        except BadData as error:
            self._skip("game_skipped", game_id, str(error))
        except Exception as error:
            self._problems.append(GameProblem("game_failed", game_id, repr(error), error))
        return None

    def _skip(self, event: str, game_id: str, reason: str) -> None:
        self._problems.append(GameProblem(event, game_id, reason))

    def _read(self, document: Document, now: float) -> list[str]:
        """Take in a document; the games of which it says something."""
        if document.place.startswith(BOX):
            return self._read_box(document)
        if document.place:
            return [document.place] if self._read_plays(document, now) else []
        self._board_answers(silent=document.body is not None)  # until it is read
        if document.body is None:
            return []
        board = self._board = parse_scoreboard(document.body, self._board)
        document.accept()
        return self._read_board(board, document, now)

    def _board_answers(self, *, silent: bool) -> None:
        for game in self._games.values():
            game.board_answers(silent=silent)

    def _read_board(self, board: Scoreboard, document: Document, now: float) -> list[str]:
        for name, reason in board.skipped:
            self._skip("game_skipped", name, reason)
        listed: dict[str, Listing] = {}
        for listing in board.games:
            twin = listed.get(listing.game_id)
            if twin is None or is_further(listing, twin):
                listed[listing.game_id] = listing
        changed = []
        for game_id, listing in listed.items():
            game = self._games.get(game_id)
            if game is None:
                game = self._games[game_id] = FollowedGame(listing, now)
            game.unlisted_at = None
            if not game.repeats(listing, document.modified):
                changed.append(game_id)
                self._attempt(game_id, self._take_listing, game, listing, document, now)
        there = listed.keys() | {name for name, _ in board.skipped}
        for game_id, game in self._games.items():
            if game.unlisted_at is None and game_id not in there:
                game.unlisted_at = now
        return changed

    def _take_listing(
        self, game: FollowedGame, listing: Listing, document: Document, now: float
    ) -> None:
        listing = self._names.named(listing)
        game.take_listing(listing, document.modified, now, document.received_at)

    def _read_box(self, document: Document) -> list[str]:
        game_id = document.place.removeprefix(BOX)
        game = self._games.get(game_id)
        if game is None or document.body is None:
            return []
        said = parse_box_score_head(document.body)
        if said.game_id != game_id:
            raise BadData(f"gameId: expected {game_id}, was {said.game_id}")
        return [game_id] if game.take_box(said, document.modified) else []

    def _read_odds(self, document: Document) -> Odds:
        """What the market says; a 304 says that it still does."""
        if document.body is not None:
            self._odds = parse_odds(document.body)
            document.accept()
        return Odds(self._odds, document.received_at)

    def _read_plays(self, document: Document, now: float) -> bool:
        """Take in a play-by-play; whether anything may be told otherwise for it."""
        game = self._games.get(document.place)
        if game is None:
            return False  # it left the night meanwhile
        last = game.reading
        news = game.take_plays(document.body, document.modified, now)
        if document.body is not None:
            document.accept()
        if game.reading is not None and game.reading is not last:
            self._note_unread(document.place, game.reading)
        return news

    def _note_unread(self, game_id: str, reading: Reading) -> None:
        for reason in reading.skipped:
            self._skip("play_skipped", game_id, reason)
        if reading.skipped:
            said, plays = len(reading.said), len(reading.plays)
            reason = f"{said - plays} of its {said} plays could not be read"
            self._skip("game_skipped", game_id, reason)

    def _decide(
        self, game_id: str, game: FollowedGame, now: float, received_at: float
    ) -> Update | None:
        """The game's next message, None where nothing of it is new or it is not to be told yet."""
        verdict = game.decide(now)
        if verdict is None:
            return None
        if verdict.disagree is not None:
            board, plays = map(_shown, verdict.disagree)
            log.warning("sources_disagree", game_id=game_id, board=board, plays=plays)
        return game.tell(verdict, self._names, received_at)

    def _prune(self, now: float) -> tuple[str, ...]:
        """Forget the games that are past; return their ids."""
        gone = [game_id for game_id, game in self._games.items() if game.is_past(now)]
        for game_id in gone:
            del self._games[game_id]
        return (*gone, *self._prune_surplus())

    def _prune_surplus(self) -> list[str]:
        """Drop those that left the board first, where a feed that changes its ids would make them
        ever more; return their ids."""
        surplus = len(self._games) - MOST_GAMES
        if surplus <= 0:
            return []
        left = [
            (game.unlisted_at, name)
            for name, game in self._games.items()
            if game.unlisted_at is not None
        ]
        gone = [name for _, name in sorted(left)[:surplus]]
        for game_id in gone:
            del self._games[game_id]
            self._skip("game_skipped", game_id, f"expected at most {MOST_GAMES} games, were more")
        return gone


def _news_of(update: Update, told: Update | None) -> list[float]:
    """When what is new in ``update`` happened, in s since the epoch; empty where nobody knows, and
    where it is no news: a game's first message, and what was corrected."""
    if told is None or update.corrected or update.source_time <= told.source_time:
        return []
    try:
        return [epoch_s(update.source_time)]
    except BadData:
        return []


def _shown(state: State) -> str:
    return f"{state.status} P{state.period} {state.clock_s:g} s {state.home}-{state.away}"


async def parse(
    fetched: Receiver[Fetched], updates: Sender[Updates], night: Publisher[tuple[TrackedGame, ...]]
) -> None:
    """Parse each tick, and publish what the poller has to follow from then on.

    What could not be used is logged when it begins, and once a minute while it lasts.
    """
    tracker = GameTracker()
    troubles = Troubles()
    with fetched, updates, night:
        async for round_ in fetched:
            with stage("parse", round_.tick, len(round_.documents), fetched):
                made, found = tracker.take(round_)
            round_.tick.errors["parse"] += len(found)
            for trouble in found:
                troubles.note(
                    trouble.event,
                    # Where in the document it was is another place each time.
                    (trouble.game_id, re.sub(r"\d+", "#", trouble.reason)),
                    game_id=trouble.game_id,
                    reason=trouble.reason,
                    exc_info=trouble.error,
                )
            await updates.send(made)
            await trio.lowlevel.checkpoint()  # the poller can wait, subscribers cannot
            night.publish(tracker.tracked())
