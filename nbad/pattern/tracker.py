"""The ratings at any moment: every finished game learnt once, in the order of play."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from nbad.domain import Result
from nbad.pattern.calendar import game_day, over_by, season_at
from nbad.pattern.game_ids import season_of
from nbad.pattern.players import Five, GameLines
from nbad.pattern.rating import (
    Expectation,
    Ratings,
)

# A season has 1,400 games; what lies more than four summers back says nothing. Who played is kept
# of two seasons: nobody is remembered for longer.
MOST_GAMES, MOST_WITH_PLAYERS = 6_000, 2_800
# The league has thirty: a feed that names ever more is not believed.
_MOST_TEAMS = 64
# Ratings kept as they were after so many games: of a night, of the one before, and for corrections.
_MOST_KEPT = 12
# Games learnt in one go by who must not stop for long: about a millisecond's work.
_PIECE = 8


class PlayedGame(NamedTuple):
    """A finished game; ``lines`` says who played, None where its plays were not seen."""

    result: Result
    lines: GameLines | None = None


class RatingsTracker:
    """Which games were played, and the ratings that follow from those over by some moment.

    They start from ``base``, the model's own. What is kept is the games: the ratings are a pure
    function of them and of ``base``, so who starts anew with the same games rates the same to the
    last bit. A season is 1,300 games: learning them takes some 100 ms, learning last night's 1 ms.
    """

    def __init__(self, base: Ratings | None = None, games: Iterable[PlayedGame] = ()) -> None:
        self._base = Ratings() if base is None else base
        self._games = {game.result.game_id: game for game in games if _is_credible(game)}
        # Rises with every change of the games.
        self.version = 0
        self._order: list[PlayedGame] = []
        # The ratings after so many of the games in order and, where a summer was passed since, in
        # which season; the ones asked for last are behind. After none they are ``base``.
        self._kept: dict[tuple[int, int | None], Ratings] = {}
        self._sort()

    @property
    def games(self) -> tuple[PlayedGame, ...]:
        """Every game known, in the order of play."""
        return tuple(sorted(self._games.values(), key=_by_start))

    @property
    def learnt(self) -> int:
        """How many games the newest ratings know beyond ``base``."""
        return len(self._order)

    def start_from(self, base: Ratings) -> bool:
        """Rate from another model's ratings; whether they are others."""
        if base is self._base:
            return False
        self._base = base
        self._kept = {}
        self._sort()
        return True

    def hear(self, results: Iterable[Result]) -> bool:
        """Take the results of a schedule, which are the league's; whether any is news."""
        news = {}
        for result in results:
            known = self._games.get(result.game_id)
            if known is None or known.result != result:
                news[result.game_id] = PlayedGame(result, known.lines if known else None)
        return self._take(news)

    def learn(self, game: PlayedGame) -> bool:
        """Take a final as it is told; whether it is news. What the schedule said of the same score
        stands: when a game began is better known there."""
        if game.lines is not None and game.lines.absurd:
            game = PlayedGame(game.result)
        known = self._games.get(game.result.game_id)
        if known is not None:
            start = known.result.start_utc
            if known.result == replace(game.result, start_utc=start):
                game = PlayedGame(known.result, game.lines or known.lines)
        return known != game and self._take({game.result.game_id: game})

    def forget(self, game_id: str) -> bool:
        """A final was taken back; whether it was known."""
        if game_id not in self._games:
            return False
        del self._games[game_id]
        self.version += 1
        self._sort()
        return True

    def before(self, start_utc: str) -> Ratings:
        """The ratings from the games that were over by ``start_utc`` (RFC 3339, UTC)."""
        return self._after(self._over_by(start_utc), start_utc)

    def catch_up(self, start_utc: str) -> Iterator[None]:
        """Learn what :meth:`before` needs for that time, about a millisecond's work at each step:
        for who must not stop for long. The games may not change between two steps."""
        return self._catch_up(self._over_by(start_utc))

    def newest(self) -> Ratings:
        """The ratings from every game known."""
        return self._after(len(self._order))

    def expect(
        self,
        home_id: int,
        away_id: int,
        start_utc: str,
        *,
        fives: tuple[Five, Five] = ((), ()),
        playoffs: bool = False,
    ) -> Expectation:
        """Expect a game that starts at ``start_utc``; the rest is as in :meth:`Ratings.expect`."""
        day = game_day(start_utc)
        return self.before(start_utc).expect(home_id, away_id, day, fives=fives, playoffs=playoffs)

    def _over_by(self, start_utc: str) -> int:
        """How many of the games in order were over by a time."""
        over = over_by(start_utc)
        return bisect_right(self._order, over, key=lambda game: game.result.start_utc)

    def _after(self, count: int, start_utc: str = "") -> Ratings:
        """The ratings after so many games, the summers past that lie before a time."""
        season = season_at(start_utc)
        for _ in self._catch_up(count):
            pass
        ratings = self._recall((count, None))
        assert ratings is not None
        if season is None or not ratings.is_before(start_utc):
            return self._remember((count, None), ratings)
        begun = self._recall((count, season))
        if begun is None:
            begun = ratings.copy()
            begun.begin(season)
        self._remember((count, None), ratings)
        return self._remember((count, season), begun)

    def _recall(self, key: tuple[int, int | None]) -> Ratings | None:
        return self._kept.pop(key, None)

    def _remember(self, key: tuple[int, int | None], ratings: Ratings) -> Ratings:
        self._kept[key] = ratings  # behind the others
        if len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return ratings

    def _catch_up(self, count: int) -> Iterator[None]:
        if (count, None) in self._kept:
            return
        known = max((at for at, season in self._kept if at <= count and season is None), default=0)
        ratings = self._kept.get((known, None), self._base).copy()
        for place in range(known, count, _PIECE):
            for result, lines in self._order[place : min(place + _PIECE, count)]:
                ratings.learn(result, game_day(result.start_utc), lines=lines)
            yield
        self._remember((count, None), ratings)

    def _take(self, news: dict[str, PlayedGame]) -> bool:
        teams = {team for game in self._games.values() for team in _teams(game)}
        taken = False
        for game_id, game in news.items():
            both = _teams(game)
            if not _is_credible(game) or len(teams | both) > _MOST_TEAMS:
                continue
            teams |= both
            self._games[game_id] = game
            taken = True
        if taken:
            self._forget_old()
            self.version += 1
            self._sort()
        return taken

    def _forget_old(self) -> None:
        if len(self._games) <= MOST_WITH_PLAYERS:
            return
        newest_first = self.games[::-1]
        for game in newest_first[MOST_GAMES:]:
            del self._games[game.result.game_id]
        for game in newest_first[MOST_WITH_PLAYERS:MOST_GAMES]:
            if game.lines is not None:
                self._games[game.result.game_id] = PlayedGame(game.result)

    def _sort(self) -> None:
        """Put the games that ``base`` does not know in order, and keep the ratings that hold."""
        new = (game for game in self._games.values() if not self._base.knows(game.result.game_id))
        order = sorted(new, key=_by_start)
        same = 0
        for was, now in zip(self._order, order, strict=False):
            if was != now:
                break
            same += 1
        self._kept = {key: ratings for key, ratings in self._kept.items() if key[0] <= same}
        self._order = order


def _by_start(game: PlayedGame) -> tuple[str, str]:
    return game.result.start_utc, game.result.game_id


def _teams(game: PlayedGame) -> set[int]:
    return {game.result.home_id, game.result.away_id}


def _is_credible(game: PlayedGame) -> bool:
    """Whether its id and its date are of one season, or it was played out late, as in 2020."""
    season = season_at(game.result.start_utc)
    return season is not None and (season - season_of(game.result.game_id)) % 100 <= 1
