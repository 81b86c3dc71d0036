"""The preview picture of a shared link to a game or a night. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbad.pattern.clock import OVERTIME_S, QUARTER_S, REGULATION_S, elapsed_s
from nbad.web.drawing import Colour, Picture, drawable, text_width
from nbad.web.words import odds, stands

WIDTH, HEIGHT = 1200, 630  # what the sites that show links ask for
_EDGE = 64.0
_RIGHT = WIDTH - _EDGE

# The page's own colours, in the dark.
_GROUND: Colour = (13, 16, 23)
_INK: Colour = (238, 241, 247)
_SOFT: Colour = (152, 162, 182)
_LINE: Colour = (52, 61, 82)
_MIDDLE: Colour = (96, 104, 118)
_LIVE: Colour = (255, 107, 116)
_AWAY: Colour = (255, 148, 87)
_HOME: Colour = (110, 163, 255)
_SIDES = ("away", _AWAY), ("home", _HOME)
_CURVE = 372.0, 530.0
_MOST_GAMES = 18


def game_picture(game: dict[str, Any]) -> bytes:
    """A game as /v1/games/ID has it: where it stands, the score, the curve and the chance."""
    picture = Picture(WIDTH, HEIGHT, _GROUND)
    begun = game["status"] not in ("scheduled", "postponed")
    live = game["status"] in ("live", "halftime")
    x = _EDGE
    if live:
        picture.line([(x + 11, 76)], 22, _LIVE)
        x += 40
    picture.text(x, 92, stands(game), 34, _LIVE if live else _SOFT)
    picture.text(_RIGHT, 92, "nbad", 34, _SOFT, "right")
    scores = [game[side]["score"] for side, _ in _SIDES]
    for (side, colour), baseline, score in zip(_SIDES, (214, 330), scores, strict=True):
        _team(picture, game[side], colour, baseline)
        if begun:
            lost = score < max(scores)
            picture.text(_RIGHT, baseline, str(score), 84, _SOFT if lost else _INK, "right")
    forecast = game["forecast"]
    if begun and forecast:
        _curve(picture, game)
    if game["status"] == "final":
        winner, by = (game["home"], game["differential"]) if scores[1] > scores[0] else (
            game["away"], -game["differential"])  # fmt: skip
        if by:
            picture.text(_EDGE, 590, f"{winner['name']} won by {by}", 30, _INK)
    elif forecast:
        _chance(picture, game, 590 if begun else 500)
    return picture.png()


def _team(picture: Picture, team: dict[str, Any], colour: Colour, baseline: float) -> None:
    picture.text(_EDGE, baseline, team["tricode"], 84, colour)
    x = _EDGE + max(300, text_width(team["tricode"], 84) + 40)
    name, size = _fitting(team["name"], 34, _RIGHT - 230 - x)
    picture.text(x, baseline, name, size, _SOFT)


def _fitting(text: str, size: int, room: float) -> tuple[str, int]:
    """A text and its size: smaller, and then cut after a word, where there is no room for it."""
    text = drawable(text)[:80]
    least = size * 2 // 3
    while text_width(text, size) > room and (size > least or text):
        if size > least:
            size -= 2
        else:
            text = text[:-1].rpartition(" ")[0]
    return text, size


def _curve(picture: Picture, game: dict[str, Any]) -> None:
    """The chance over the game, the home side's below the middle as its row is."""
    top, bottom = _CURVE
    middle = (top + bottom) / 2
    now = elapsed_s(game["period"], game["clock_s"])
    end = REGULATION_S
    while now > end:
        end += OVERTIME_S

    def place(elapsed: float, chance: float) -> tuple[float, float]:
        return _EDGE + (_RIGHT - _EDGE) * elapsed / end, top + (bottom - top) * chance

    mark = 0.0
    while mark <= end:
        x = place(mark, 0)[0]
        picture.line([(x, top), (x, bottom)], 1.5, _LINE)
        mark += QUARTER_S if mark < REGULATION_S else OVERTIME_S
    picture.line([(_EDGE, middle), (_RIGHT, middle)], 1.5, _MIDDLE)
    known = (place(point[0], point[1]) for point in game["series"] if point[0] < now)
    points = [*known, place(now, game["forecast"]["home_win"])]
    picture.area(points, middle, _AWAY, 0.3, above=True)
    picture.area(points, middle, _HOME, 0.3, above=False)
    picture.line(points, 5, _INK)
    if game["status"] != "final":
        picture.line(points[-1:], 18, _INK)


def _chance(picture: Picture, game: dict[str, Any], baseline: float) -> None:
    """Both sides' chances, and a bar between them."""
    away, home = odds(game["forecast"]["home_win"])
    y, left, right = baseline - 17, _EDGE + 250, _RIGHT - 250
    picture.text(_EDGE, baseline, f"{game['away']['tricode']} {away}", 34, _AWAY)
    picture.text(_RIGHT, baseline, f"{home} {game['home']['tricode']}", 34, _HOME, "right")
    border = right - (right - left) * game["forecast"]["home_win"]
    picture.line([(left, y), (right, y)], 18, _AWAY)
    picture.line([(border, y), (right, y)], 18, _HOME)


def night_picture(title: str, games: Sequence[dict[str, Any]]) -> bytes:
    """The games of a night with their scores, in up to three columns."""
    picture = Picture(WIDTH, HEIGHT, _GROUND)
    picture.text(_EDGE, 92, title, 34, _INK)
    picture.text(_RIGHT, 92, "nbad", 34, _SOFT, "right")
    shown = games[:_MOST_GAMES]
    columns = 1 if len(shown) <= 3 else 2 if len(shown) <= 8 else 3
    rows = -(-len(shown) // columns) or 1
    wide, high = (_RIGHT - _EDGE + 48) / columns, min(150.0, 450 / rows)
    size = int(min(44, high / 3.3, wide / 13))
    for at, game in enumerate(shown):
        left = _EDGE + wide * (at // rows)
        middle = 150 + high * (at % rows) + high / 2
        begun = game["status"] not in ("scheduled", "postponed")
        scores = [game[side]["score"] for side, _ in _SIDES]
        for (side, colour), score, lift in zip(_SIDES, scores, (-1, 1), strict=True):
            baseline = middle + size / 2 + lift * size * 0.75
            picture.text(left, baseline, game[side]["tricode"], size, colour)
            if begun:
                number = _SOFT if score < max(scores) else _INK
                picture.text(left + size * 5.6, baseline, str(score), size, number, "right")
        note, small = _fitting(stands(game), size * 2 // 3, wide - 48 - size * 6.4)
        picture.text(left + size * 6.4, middle + small / 2, note, small, _SOFT)
    return picture.png()
