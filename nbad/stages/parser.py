"""The parser: the feed's documents → typed updates, each game decided by its judge."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeVar, TypeVarTuple

import structlog

from nbad.channels import Publisher, Receiver, Sender
from nbad.domain import FINAL, BoardEntry, Listing, Play, Scoreboard, State, Update
from nbad.feed.boxscore import parse_box_score_head
from nbad.feed.decode import BadData, epoch_s, stamp_of
from nbad.feed.incremental import MOST_PLAYS, Reading, read
from nbad.feed.judge import Judge, is_further, state_of_plays
from nbad.feed.names import Names
from nbad.feed.odds import parse_odds
from nbad.feed.playbyplay import Comparison, compare
from nbad.feed.poll_plan import TrackedGame
from nbad.feed.scoreboard import MOST_GAMES, parse_scoreboard
from nbad.observe.timing import stage
from nbad.observe.troubles import Troubles
from nbad.pattern.clock import elapsed_s, remaining_s
from nbad.pattern.market import Line
from nbad.stages.envelopes import BOX, ODDS, Document, Fetched, Odds, Updates

log = structlog.get_logger()

_EDITED, _ACTUAL = attrgetter("edited"), attrgetter("actual")

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

# A game already under way when first seen waits this long for its plays, to be told with them.
_PLAYS_WITHIN_S = 5.0
# A game that is not in play is forgotten this long after it left the board (or ended, if later);
# one that is in play, whose feed lost it, after the second.
_FORGET_AFTER_S = 60.0
_FORGET_LIVE_AFTER_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class GameProblem:
    """Something of a game that could not be used: the log's ``event`` and the ``reason``.

    ``error`` is a fault of ours, to be logged with its traceback.
    """

    event: str
    game_id: str
    reason: str
    error: Exception | None = None


@dataclass(slots=True)
class _Game:
    """What is known of a game. ``listing`` is what the board says of it, as far as its judge
    accepted that, ``read`` its newest play-by-play that could be read: accepted or not. Times are
    on Trio's clock."""

    listing: Listing
    since: float
    judge: Judge[Reading] = field(default_factory=Judge)
    read: Reading | None = None
    taken_back: frozenset[Play] = frozenset()  # those plays that it said, but says no longer
    plays_answered: bool = False  # whether the feed answered a request for its plays, or refused
    told: Update | None = None
    listed: bool = True
    unlisted_at: float = 0.0
    final_at: float | None = None
    unchanged_plays: int = 0  # leading plays that are those of the update told last
    corrected: bool = False
    source_time: str = ""
    board_time: str = ""  # when the board last changed, as far as it says


class GameTracker:
    """Every game being followed: a day's games, of which one that leaves leaves nothing behind."""

    def __init__(self, names: Names | None = None) -> None:
        self._games: dict[str, _Game] = {}
        self._names = names or Names()
        self._odds: dict[str, Line] = {}
        self._problems: list[GameProblem] = []

    def take(self, fetched: Fetched) -> tuple[Updates, list[GameProblem]]:
        """What is to be told after ``fetched``, and what could not be used."""
        self._problems = []
        touched: dict[str, float] = {}
        odds: Odds | None = None
        for document in fetched.documents:
            if document.game_id == ODDS:
                odds = self._attempt(ODDS, self._read_odds, document)
                continue
            name = document.game_id.removeprefix(BOX) or "scoreboard"
            for game_id in self._attempt(name, self._read, document, fetched.at) or ():
                touched[game_id] = document.received_at
        for game_id in fetched.failed:
            if (game := self._games.get(game_id)) is not None:
                game.judge.plays.silent = True
                if not game.plays_answered:
                    game.plays_answered = True
                    touched.setdefault(game_id, fetched.received_at)
            elif not game_id:
                self._board_answers(silent=True)
        # First who leaves, then what is told: of a game that left nothing may come after it.
        dropped = self._prune(fetched.at)
        for game_id, game in self._games.items():
            if game.judge.unsettled or game.told is None:
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
        return tuple(map(_tracked, self._games.values()))

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
        if document.game_id.startswith(BOX):
            return self._read_box(document)
        if document.game_id:
            return [document.game_id] if self._read_plays(document, now) else []
        self._board_answers(silent=False)
        if document.body is None:
            return []
        board = parse_scoreboard(document.body)
        document.accept()
        return self._read_board(board, document, now)

    def _board_answers(self, *, silent: bool) -> None:
        for game in self._games.values():
            game.judge.board.silent = silent

    def _read_box(self, document: Document) -> list[str]:
        """Take in a box score, where what it says of the game is no longer what it said."""
        game_id = document.game_id.removeprefix(BOX)
        game = self._games.get(game_id)
        if game is None or document.body is None:
            return []
        said = parse_box_score_head(document.body)
        if said.game_id != game_id:
            raise BadData(f"gameId: expected {game_id}, was {said.game_id}")
        if said == game.judge.box:
            return []
        if game.judge.report_box(said) and document.modified is not None:
            game.board_time = stamp_of(document.modified)
        return [game_id]

    def _read_odds(self, document: Document) -> Odds:
        """What the market says; a 304 says that it still does."""
        if document.body is not None:
            self._odds = parse_odds(document.body)
            document.accept()
        return Odds(self._odds, document.received_at)

    def _read_board(self, board: Scoreboard, document: Document, now: float) -> list[str]:
        for name, reason in board.skipped:
            self._skip("game_skipped", name, reason)
        listed: dict[str, Listing] = {}
        for listing in board.games:
            twin = listed.get(listing.game_id)
            if twin is None or is_further(listing, twin):
                listed[listing.game_id] = listing
        for game_id, listing in listed.items():
            game = self._games.get(game_id)
            if game is None:
                game = self._games[game_id] = _Game(listing, now)
            game.listed = True
            self._attempt(game_id, self._judge_listing, game, listing, document, now)
        there = listed.keys() | {name for name, _ in board.skipped}
        for game_id, game in self._games.items():
            if game.listed and game_id not in there:
                game.listed, game.unlisted_at = False, now
        return list(listed)

    def _judge_listing(self, game: _Game, listing: Listing, document: Document, now: float) -> None:
        """Report the board's entry of the game to its judge."""
        listing = self._names.named(listing)
        if game.judge.report_board(listing, now, document.received_at):
            modified, game.listing = document.modified, listing
            game.board_time = "" if modified is None else stamp_of(modified)

    def _read_plays(self, document: Document, now: float) -> bool:
        """Take in a play-by-play; whether anything may be told otherwise for it."""
        game = self._games.get(document.game_id)
        if game is None:
            return False  # it left the night meanwhile
        first, game.plays_answered = not game.plays_answered, True
        game.judge.plays.silent = False
        if document.body is None:
            return first
        if game.read is not None and document.body == game.read.body:
            document.accept()
            if game.judge.plays.pending:  # its date may prove it by now
                self._judge_plays(game, game.read, None, document, now)
                return True
            game.judge.note_modified(document.modified)
            return first
        last = game.read
        reading = read(document.body, last)
        if reading.game_id != document.game_id:
            raise BadData(f"gameId: expected {document.game_id}, was {reading.game_id}")
        document.accept()
        for reason in reading.skipped:
            self._skip("play_skipped", document.game_id, reason)
        if reading.skipped:
            said, plays = len(reading.said), len(reading.plays)
            reason = f"{said - plays} of its {said} plays could not be read"
            self._skip("game_skipped", document.game_id, reason)
        game.read = reading
        self._judge_plays(game, reading, last, document, now)
        return True

    def _judge_plays(
        self, game: _Game, reading: Reading, last: Reading | None, document: Document, now: float
    ) -> None:
        """Report ``reading`` to the judge; ``last`` is the one that it was read after."""
        accepted = game.judge.plays
        known = accepted.value.plays if accepted.value else ()
        if reading.follows and accepted.value is last:
            judged = Comparison(len(known), False, False)
        else:
            judged = compare(known, reading.plays)
        new = reading.plays[judged.unchanged :]
        same = 0 if judged.corrected else judged.unchanged
        if game.judge.report_plays(
            reading,
            state_of_plays(reading.plays, same, accepted.state),
            now,
            older=judged.older,
            again=bool(game.taken_back) and not game.taken_back.isdisjoint(new),
            newest_edit=_latest(_EDITED, new),
            modified=document.modified,
        ):
            _note_plays(game, known, judged)

    def _decide(self, game_id: str, game: _Game, now: float, received_at: float) -> Update | None:
        """The game's next message, None where nothing of it is new or it is not to be told yet."""
        if game.told is None and self._waits_for_plays(game, now):
            return None
        before = game.judge.plays.value
        verdict = game.judge.decide(now)
        game.listing = game.judge.board.value or game.listing  # what was pending may be accepted
        reading = game.judge.plays.value
        if reading is not before:  # what was pending is accepted by now
            assert reading is not None
            _note_plays(game, before.plays if before else (), None)
        if verdict is None:
            return None
        if verdict.disagree is not None:
            board, plays = verdict.disagree
            log.warning(
                "sources_disagree", game_id=game_id, board=_shown(board), plays=_shown(plays)
            )
        if verdict.state.status is not FINAL:
            game.final_at = None
        elif game.final_at is None:
            game.final_at = now
        entry = _entry(game.listing, verdict.state)
        told_plays = reading.plays if reading else ()
        told = game.told
        corrected = verdict.corrected or game.corrected
        corrected = told is not None and corrected
        if told is not None and not corrected and entry == told.entry and told_plays == told.plays:
            return None
        source_time = _source_time(game, verdict.state)
        player = self._names.player(told_plays[-1]) if told_plays else ""
        to_target_score = reading is not None and reading.to_target_score
        # By place, in the order of its fields: by name takes three times as long.
        update = game.told = Update(
            entry, told_plays, game.unchanged_plays, corrected, source_time, received_at, player,
            to_target_score,
        )  # fmt: skip
        game.unchanged_plays, game.corrected = len(told_plays), False
        return update

    def _waits_for_plays(self, game: _Game, now: float) -> bool:
        """Whether a game that is new to us, and on or over, is still to be told with its plays."""
        listed = game.listing.status
        on = listed.in_play or listed is FINAL
        return on and not game.plays_answered and now - game.since < _PLAYS_WITHIN_S

    def _prune(self, now: float) -> tuple[str, ...]:
        """Drop the games that left the board (the night rolled over) and are over, or were never
        on, or were broken off; return their ids."""
        gone = []
        for game_id, game in self._games.items():
            if game.listed or now - max(game.unlisted_at, game.final_at or 0.0) < _FORGET_AFTER_S:
                continue
            told = game.told
            in_play = told is not None and told.entry.status.in_play
            if not in_play or now - game.unlisted_at >= _FORGET_LIVE_AFTER_S:
                gone.append(game_id)
        for game_id in gone:
            del self._games[game_id]
        gone += self._prune_surplus()
        return tuple(gone)

    def _prune_surplus(self) -> list[str]:
        """Drop those that left the board first, where a feed that changes its ids would make them
        ever more; return their ids."""
        surplus = len(self._games) - MOST_GAMES
        if surplus <= 0:
            return []
        left = [(game.unlisted_at, name) for name, game in self._games.items() if not game.listed]
        gone = [name for _, name in sorted(left)[:surplus]]
        for game_id in gone:
            del self._games[game_id]
            self._skip("game_skipped", game_id, f"expected at most {MOST_GAMES} games, were more")
        return gone


def _note_plays(game: _Game, known: tuple[Play, ...], judged: Comparison | None) -> None:
    """Keep of newly accepted plays what the next update has to say of them."""
    reading = game.judge.plays.value
    assert reading is not None
    plays = reading.plays
    judged = judged or compare(known, plays)
    if judged.corrected and not reading.skipped:  # what cannot be read was not taken back
        gone = frozenset(known[judged.unchanged :])
        bound = game.taken_back if len(game.taken_back) < MOST_PLAYS else frozenset()
        game.taken_back = (bound | gone).difference(plays)
    newest = _latest(_ACTUAL, plays[judged.unchanged :])
    if judged.corrected and newest < game.source_time:  # the newest may have been taken back
        game.source_time = max(map(_ACTUAL, plays), default="")
    else:
        game.source_time = max(game.source_time, newest)
    game.unchanged_plays = min(game.unchanged_plays, judged.unchanged)
    game.corrected = game.corrected or judged.corrected


def _latest(time: Callable[[Play], str], plays: tuple[Play, ...]) -> str:
    """The latest of their times, empty where there are none; mostly there is one play."""
    return time(plays[0]) if len(plays) == 1 else max(map(time, plays), default="")


def _source_time(game: _Game, state: State) -> str:
    """When what is told happened: the newest play, or where the board is ahead, its last change."""
    if state == game.judge.plays.state:
        return game.source_time
    return max(game.source_time, game.board_time)


def _news_of(update: Update, told: Update | None) -> list[float]:
    """When what is new in ``update`` happened, in s since the epoch; empty where nobody knows, and
    where it is no news: a game's first message, and what was corrected."""
    if told is None or update.corrected or update.source_time <= told.source_time:
        return []
    try:
        return [epoch_s(update.source_time)]
    except BadData:
        return []


def _entry(listing: Listing, state: State) -> BoardEntry:
    # By place, not by name, and no replace(), which take two and four times as long: every game
    # comes here every tick.
    status, period, clock_s, home_score, away_score = state
    return BoardEntry(
        listing.game_id,
        status,
        period,
        clock_s,
        listing.start_utc,
        listing.home,
        listing.away,
        home_score,
        away_score,
    )


def _tracked(game: _Game) -> TrackedGame:
    state = game.judge.told
    plays = game.judge.plays.state
    start = game.listing.start_utc
    status = state.status if state else game.listing.status
    left = remaining_s(elapsed_s(state.period, state.clock_s)) if state else 2880.0
    return TrackedGame(
        game_id=game.listing.game_id,
        status=status,
        start=epoch_s(start) if start else None,
        listed=game.listed,
        plays_over=plays is not None and plays.status is FINAL,
        final_at=game.final_at,
        lead=abs(state.home - state.away) if state else 0,
        remaining_s=left,
        begun=state is not None and state.points > 0,
    )


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
            night.publish(tracker.tracked())  # the poller can wait, subscribers cannot
