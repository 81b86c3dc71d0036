"""Addresses and headers: those of nba_api, which knows what the feed likes."""

from __future__ import annotations

from nba_api.live.nba.endpoints import playbyplay, scoreboard
from nba_api.live.nba.library import http

from nbad.feed.endpoints import HEADERS, play_by_play_url, scoreboard_url
from nbad.settings.schema import Config

FEED = Config().feed
GAME = "0022500001"


def test_the_addresses_are_nba_apis() -> None:
    base = http.NBALiveHTTP.base_url
    board = scoreboard.ScoreBoard(get_request=False).endpoint_url
    assert scoreboard_url(FEED) == base.format(endpoint=board)
    plays = playbyplay.PlayByPlay(GAME, get_request=False).endpoint_url
    assert play_by_play_url(FEED, GAME) == base.format(endpoint=plays.format(game_id=GAME))


def test_the_headers_are_nba_apis() -> None:
    theirs = dict(http.NBALiveHTTP.headers)
    # These two are not copied: the host is the URL's, and what can be decoded is known here.
    del theirs["Host"], theirs["Accept-Encoding"]
    assert theirs == HEADERS
