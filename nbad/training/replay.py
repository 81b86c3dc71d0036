"""Recorded games through the daemon's own pattern builder, as rows to learn from and to score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from nbad.domain import Result
from nbad.model.normal import Matrix
from nbad.pattern.clock import REGULATION_S, elapsed_s
from nbad.pattern.features import INDEX
from nbad.pattern.game_ids import counts, is_playoff, season_of
from nbad.pattern.history import SERIES_STEP_S, GameHistory, Row
from nbad.pattern.market import Line, blend
from nbad.pattern.players import GameLines, find_starters, stat_lines
from nbad.pattern.rating import Expectation, Ratings
from nbad.training.recorded import FoldedGame, RecordedGame, game_days
from nbad.training.results import DatedResult

Mask = NDArray[np.bool_]

# The pattern's window is configuration; the features look back no further than this.
WINDOW_S = 720.0
# The last minutes are learnt from on a finer grid, its rows weighing no more than the others.
_FINE_STEP_S, _FINE_FROM_S = 5.0, REGULATION_S - 120.0
_EXPECTED = [INDEX[name] for name in ("expected_margin", "expected_margin_sd", "expected_total")]
_NOTHING = Expectation(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Rows:
    """The states of games, and how each game ended.

    ``matrix`` is of shape (rows, features); ``game`` is the number of the row's game in the games
    replayed: what is split is games, never rows. ``at`` is the row's moment in elapsed seconds;
    ``grid`` is true on the 30-second grid of regulation, which is what is scored. ``weight`` sums
    to one per 30 s of game clock. ``regulation`` is the margin at the end of regulation; ``shown``
    is true once the plays had shown who started.
    """

    matrix: Matrix
    game: NDArray[np.intp]
    at: Matrix
    grid: Mask
    weight: Matrix
    margin: Matrix
    total: Matrix
    regulation: Matrix
    shown: Mask

    def __getitem__(self, keep: Mask) -> Rows:
        return Rows(*(getattr(self, each.name)[keep] for each in fields(self)))

    @property
    def won(self) -> Mask:
        """Whether the home side won, shape (rows,)."""
        return self.margin > 0

    def expecting(self, expected: Expected) -> Rows:
        """The same rows, something else expected of their games."""
        first, then = _as_array(expected.first), _as_array(expected.then)
        matrix = self.matrix.copy()
        matrix[:, _EXPECTED] = np.where(self.shown[:, None], then[self.game], first[self.game])
        return replace(self, matrix=matrix)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of some games, in their order: at ``first``, and ``then``, once the plays
    have shown who started."""

    first: list[Expectation]
    then: list[Expectation]

    @classmethod
    def always(cls, expected: list[Expectation]) -> Expected:
        """The same whoever starts."""
        return cls(expected, expected)


@dataclass(frozen=True, slots=True)
class Season:
    """What was known before each of some games, in their order: what the ratings expected, and
    the ratings after all of them."""

    expected: Expected
    after: Ratings


def rate(
    games: Sequence[FoldedGame],
    results: Mapping[str, DatedResult] | None = None,
    base: Ratings | None = None,
    *,
    with_fives: bool = True,
) -> Season:
    """What was expected of each game, from the games of the days before it alone.

    ``results`` holds further games' results by id; of one that is also among ``games`` its date
    and its final score count, which are the league's. The ratings start from ``base``, None:
    knowing nothing. Without ``with_fives`` nobody tells who starts.
    """
    results = {} if results is None else results
    ratings = Ratings() if base is None else base.copy()
    # Results of the seasons that ``base`` is made of would count twice.
    is_old = Ratings().knows if base is None else base.knows
    days = _days(games, results)
    at = {game.game_id: number for number, game in enumerate(games)}
    beyond = [played for played in results.values() if played.game_id not in at]
    order: list[tuple[int | None, str, int]] = [
        *((day, game.game_id, at[game.game_id]) for game, day in zip(games, days, strict=True)),
        *((played.day, played.game_id, -1) for played in beyond),
    ]
    begins: dict[int, int] = {}
    if beyond or all(game.day is not None for game in games):
        for day, game_id, _ in order:
            if day is not None:
                season = season_of(game_id)
                begins[season] = min(day, begins.get(season, day))
        # A day that is not known comes first in its season: it must not see what may lie after it.
        order.sort(
            key=lambda each: (
                begins.get(season_of(each[1]), 0) if each[0] is None else each[0],
                each[0] is not None,
                each[1],
            )
        )
    first, then = [_NOTHING] * len(games), [_NOTHING] * len(games)
    today: list[tuple[Result, GameLines | None]] = []
    day_of_results: int | None = None
    for day, game_id, number in order:
        if day is None or day != day_of_results:
            for result, lines in today:
                ratings.learn(result, day_of_results, lines=lines)
            today, day_of_results = [], day
        lines = games[number].lines if number >= 0 else None
        if number >= 0:
            game = games[number]
            if counts(game_id):
                ratings.begin(season_of(game_id))
            fives = (game.lines.home_five, game.lines.away_five) if with_fives else ((), ())
            for into, known in ((first, ((), ())), (then, fives)):
                into[number] = ratings.expect(
                    game.home_id, game.away_id, day, fives=known, playoffs=is_playoff(game_id)
                )
        if day is None and season_of(game_id) in begins:
            continue  # nor may others, which it may lie after, see how it ended
        if counts(game_id) and not (game_id in ratings.learnt or is_old(game_id)):
            told = results.get(game_id)
            result = told.result if told is not None else _result(games[number])
            today.append((result, lines))
    for result, lines in today:
        ratings.learn(result, day_of_results, lines=lines)
    return Season(Expected(first, then), ratings)


def with_market(
    games: Sequence[FoldedGame], rated: Expected, lines: Mapping[str, Line]
) -> Expected:
    """What is expected of each game where the market's ``lines``, by game id, are known too."""
    told = [lines.get(game.game_id) for game in games]
    first, then = (
        [blend(e, line) for e, line in zip(of, told, strict=True)]
        for of in (rated.first, rated.then)
    )
    return Expected(first, then)


def thinned(rows: Rows) -> Rows:
    """Every other row, weighing twice as much: it says what its neighbour does."""
    step = np.where(rows.weight < 1, 2 * _FINE_STEP_S, 2 * SERIES_STEP_S)
    some = rows[rows.at % step == 0]
    return replace(some, weight=2 * some.weight)


def joined(*parts: Rows) -> Rows:
    """All rows of ``parts``, one after the other."""
    names = [each.name for each in fields(Rows)]
    return Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def fold_game(game: RecordedGame) -> FoldedGame:
    """Fold a game, expecting nothing of it: every 30 s, in the last two minutes every 5 s."""
    at, rows = [], []
    regulation, shown_from = 0, 0
    for play in game.plays:
        if play.period <= 4:
            regulation = play.home - play.away
    starters = find_starters(game.plays, game.home_id, game.away_id)
    for moment, row, folded in _rows(game):
        if not 0 < starters.shown_by <= folded:
            shown_from += 1  # rows come in their order
        at.append(moment)
        rows.append(row)
    lines = GameLines(*starters.fives, stat_lines(game.plays))
    return FoldedGame(
        game.game_id, game.home_id, game.away_id, game.final, regulation, np.array(at),
        np.array(rows), shown_from, lines, game.day, game.tip_minute,
    )  # fmt: skip


def replay(
    games: Sequence[FoldedGame],
    expected: Expected,
    results: Mapping[str, DatedResult] | None = None,
) -> Rows:
    """The rows of ``games``, with what was ``expected`` of each; how they ended is what
    ``results`` says of it, else their own last score."""
    results = {} if results is None else results
    finals = []
    for game in games:
        told = results.get(game.game_id)
        finals.append(game.final if told is None else told.final)
    counts = [len(game.at) for game in games]
    at = np.concatenate([game.at for game in games]) if games else np.empty(0)
    home, away = np.array(finals, float).reshape(-1, 2).repeat(counts, axis=0).T
    regulation = np.array([game.regulation for game in games], float).repeat(counts)
    rows = Rows(
        np.concatenate([game.matrix for game in games]),
        np.arange(len(games)).repeat(counts),
        at,
        (at % SERIES_STEP_S == 0) & (at < REGULATION_S),
        np.where((at < _FINE_FROM_S) | (at >= REGULATION_S), 1.0, _FINE_STEP_S / SERIES_STEP_S),
        home - away,
        home + away,
        # A game without an overtime ended as the league says, whatever its last play said.
        np.where(regulation == 0, 0.0, home - away),
        np.concatenate([np.arange(len(game.at)) >= game.shown_from for game in games]),
    )
    return rows.expecting(expected)


def _days(games: Sequence[FoldedGame], results: Mapping[str, DatedResult]) -> list[int | None]:
    told = [results.get(game.game_id) for game in games]
    known = [
        game if result is None else replace(game, day=result.day)
        for game, result in zip(games, told, strict=True)
    ]
    return game_days(known)


def _result(game: FoldedGame) -> Result:
    return Result(game.game_id, "", game.home_id, game.away_id, *game.final)


def _as_array(expected: Sequence[Expectation]) -> Matrix:
    """Margin, its doubt and total, shape (games, 3)."""
    return np.array([(e.margin, e.margin_sd, e.total) for e in expected]).reshape(-1, 3)


def _rows(game: RecordedGame) -> Iterator[tuple[float, Row, int]]:
    """Each moment, its row, and how many plays were folded by then."""
    history = GameHistory(game.home_id, game.away_id, _NOTHING, WINDOW_S)
    next_fine = _FINE_FROM_S
    for play in game.plays:
        elapsed = elapsed_s(play.period, play.clock_s)
        while next_fine < min(elapsed, REGULATION_S):
            if next_fine % SERIES_STEP_S:
                yield next_fine, history.row(next_fine), history.folded
            next_fine += _FINE_STEP_S
        folded = history.folded
        for moment, row in history.fold([play]):
            yield moment, row, folded
