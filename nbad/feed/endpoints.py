"""Where the live data is, and the headers it likes: nba_api's, which a test holds these to.

Copied, not imported: nba_api's live package brings requests and pandas into the process.
"""

from __future__ import annotations

from nbad.settings.schema import Feed

SCOREBOARD = "scoreboard/todaysScoreboard_00.json"
BOX_SCORE = "boxscore/boxscore_{game_id}.json"
ODDS = "odds/odds_todaysGames.json"
PLAY_BY_PLAY = "playbyplay/playbyplay_{game_id}.json"

# Without Host, which follows the URL, and Accept-Encoding, which follows what can be decoded here.
HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.9",
    "Accept-Language": "en-US,en;q=0.9",
    "Cache-Control": "max-age=0",
    "Connection": "keep-alive",
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:158.0) "
    "Gecko/20100101 Firefox/158.0",
    "Referer": "https://www.nba.com/",
}


def scoreboard_url(feed: Feed) -> str:
    return f"{feed.base_url}/{SCOREBOARD}"


def odds_url(feed: Feed) -> str:
    return f"{feed.base_url}/{ODDS}"


def play_by_play_url(feed: Feed, game_id: str) -> str:
    return f"{feed.base_url}/{PLAY_BY_PLAY.format(game_id=game_id)}"


def box_score_url(feed: Feed, game_id: str) -> str:
    return f"{feed.base_url}/{BOX_SCORE.format(game_id=game_id)}"
