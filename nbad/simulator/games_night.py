"""A night made of games: the scoreboard and the schedule over them."""

from __future__ import annotations

import hashlib
from datetime import datetime

import orjson
from cachetools import LRUCache

from nbad.simulator.books import moment_of_step, quotes, steps_of
from nbad.simulator.game_feed import GameFeed, encode_meta
from nbad.simulator.game_info import EASTERN
from nbad.simulator.schedule import Season, encode_days, tonight
from nbad.simulator.source import Resource

_KEPT = 16  # boards: what several clients and a feed that goes back in time ask for at once


class GamesNight:
    """Games as a :class:`.source.FeedSource`. ``opened`` is when the night's board came up."""

    def __init__(
        self, feeds: tuple[GameFeed, ...], season: Season, *, starts_at: float, opened: float
    ) -> None:
        self._feeds = {
            feed.info.game_id: feed
            for feed in sorted(feeds, key=lambda feed: (feed.info.scheduled, feed.info.game_id))
        }
        self._season = season
        self._opened = opened
        self.starts_at = starts_at
        self.ends_at = max(feed.over for feed in feeds)
        first = min(feed.info.scheduled for feed in feeds)
        self.date = f"{datetime.fromtimestamp(first, EASTERN):%Y-%m-%d}"
        self._past = encode_days(season.past)
        self._to_come = encode_days(season.to_come)
        self._boards: LRUCache[tuple[int, ...], Resource] = LRUCache(_KEPT)
        self._odds: LRUCache[tuple[int, ...], Resource] = LRUCache(_KEPT)
        self._schedules: LRUCache[tuple[bool, ...], Resource] = LRUCache(_KEPT)

    def and_also(self, other: GamesNight) -> GamesNight:
        """This night with another's games as well; ``ValueError`` where both have one of an id."""
        if not self._feeds.keys().isdisjoint(other._feeds):
            raise ValueError("expected games of other ids, were some of the same")
        feeds = (*self._feeds.values(), *other._feeds.values())
        opened = min(self._opened, other._opened)
        return GamesNight(feeds, self._season, starts_at=self.starts_at, opened=opened)

    @property
    def game_ids(self) -> tuple[str, ...]:
        """The ids of the night's games, in order of tip-off."""
        return tuple(self._feeds)

    @property
    def finals(self) -> dict[str, tuple[int, int]]:
        """The true final scores, home and away, by game id."""
        stands = {
            game_id: feed.standing(feed.revision(self.ends_at))
            for game_id, feed in self._feeds.items()
        }
        return {game_id: (stand.home, stand.away) for game_id, stand in stands.items()}

    def feed(self, game_id: str) -> GameFeed:
        """One game; ``KeyError`` for an unknown one."""
        return self._feeds[game_id]

    def scoreboard(self, t: float) -> Resource:
        """``todaysScoreboard_00.json``."""
        revisions = tuple(feed.revision(t) for feed in self._feeds.values())
        if revisions not in self._boards:
            pairs = list(zip(self._feeds.values(), revisions, strict=True))
            modified = max(feed.modified(revision) or self._opened for feed, revision in pairs)
            head = b'{"meta":%b,"scoreboard":{"gameDate":"%b","leagueId":"00",' % (
                encode_meta("scoreboard/00", modified),
                self.date.encode(),
            )
            entries = b",".join(feed.entry(revision) for feed, revision in pairs)
            name = b'"leagueName":"National Basketball Association"'
            body = head + name + b',"games":[' + entries + b"]}}"
            self._boards[revisions] = _resource((body,), modified)
        return self._boards[revisions]

    def play_by_play(self, game_id: str, t: float) -> Resource | None:
        """``playbyplay_{game_id}.json``; None for an unknown game or one not tipped off."""
        feed = self._feeds.get(game_id)
        return None if feed is None else feed.play_by_play(feed.revision(t))

    def box_score(self, game_id: str, t: float) -> Resource | None:
        """``boxscore_{game_id}.json``; None for an unknown game or one not tipped off."""
        feed = self._feeds.get(game_id)
        return None if feed is None else feed.box_score(feed.revision(t))

    def odds(self, t: float) -> Resource:
        """``odds_todaysGames.json``: what the books make of every game, from the night's opening
        to its tip-off, and as they closed from then on."""
        infos = [feed.info for feed in self._feeds.values()]
        moved = tuple(steps_of(info, t) for info in infos)
        if moved not in self._odds:
            modified = max(moment_of_step(info, step)
                           for info, step in zip(infos, moved, strict=True))  # fmt: skip
            games = [quotes(info, step) for info, step in zip(infos, moved, strict=True)]
            self._odds[moved] = _resource((orjson.dumps({"games": games}),), modified)
        return self._odds[moved]

    def schedule(self, t: float) -> Resource:
        """``scheduleLeagueV2.json``: tonight's games get their results as they end."""
        over = tuple(t >= feed.over for feed in self._feeds.values())
        if over not in self._schedules:
            pairs = list(zip(self._feeds.values(), over, strict=True))
            modified = max(feed.over if ended else self._opened for feed, ended in pairs)
            entries = [
                tonight(feed.info, feed.standing(len(feed.moments) if ended else 0))
                for feed, ended in pairs
            ]
            days = (self._past, encode_days(entries), self._to_come)
            head = b'{"meta":%b,"leagueSchedule":{"seasonYear":"%b","leagueId":"00",' % (
                encode_meta(f"league/00/{self._season.name}/scheduleleaguev2", modified),
                self._season.name.encode(),
            )
            dates = b'"gameDates":[' + b",".join(day for day in days if day) + b"],"
            tail = orjson.dumps({"weeks": [], "broadcasterList": []})[1:] + b"}"
            self._schedules[over] = _resource((head, dates, tail), modified)
        return self._schedules[over]


def _resource(chunks: tuple[bytes, ...], modified: float) -> Resource:
    digest = hashlib.blake2b(b"".join(chunks), digest_size=10)
    return Resource(chunks, modified, digest.hexdigest())
