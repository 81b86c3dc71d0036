"""The OpenAPI 3.1 document of the HTTP server."""

from __future__ import annotations

from typing import Any

from nbad import __version__
from nbad.stream.wire import PLAY_COLUMNS

Schema = dict[str, Any]


def _object(description: str = "", /, **properties: Schema) -> Schema:
    """An object that has all of ``properties``."""
    found: Schema = {"type": "object", "required": list(properties), "properties": properties}
    return found | ({"description": description} if description else {})


def _array(items: Schema, description: str = "", size: int | None = None) -> Schema:
    """A list of ``items``, ``size`` of them where that is given."""
    found: Schema = {"type": "array", "items": items}
    if size is not None:
        found |= {"minItems": size, "maxItems": size}
    return found | ({"description": description} if description else {})


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


_ANY_OBJECT = {"type": "object"}
_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_WHOLE_NUMBER = {"type": "integer"}
_FLAG = {"type": "boolean"}
_SCORE = {"type": "integer", "minimum": 0}
_COUNT = _or_null(_SCORE)
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_DAY = {"type": "string", "format": "date"}
_SINCE = {"type": "string", "pattern": r"^[0-9a-z]+\.[0-9]{1,15}$"}

_GAME: Schema = {
    "type": "object",
    "description": "a game message of the stream: docs/protocol.md",
    "required": ["game_id", "status", "home", "away", "differential", "forecast"],
    "properties": {
        "game_id": _TEXT,
        "status": {"enum": ["scheduled", "live", "halftime", "final", "postponed"]},
        "differential": {"type": "integer", "description": "home minus away"},
        "home": _ANY_OBJECT,
        "away": _ANY_OBJECT,
        "forecast": _or_null(_ANY_OBJECT),
    },
}
_WHOLE_GAME = {
    "allOf": [
        _ref("Game"),
        _object(
            series=_array(
                _array(_NUMBER, size=6), "[elapsed_s, home_win, margin p10, p50, p90, total p50]"
            ),
            scoring=_array(
                _array({"type": ["number", "string"]}, size=4),
                "the plays that scored: [elapsed_s, home, away, description]",
            ),
        ),
    ]
}
_PLAYS = _object(
    "`home_win` and the quantiles are those after the play, `swing` what the play "
    "itself added to `home_win`: time that ran down before it is not credited to it",
    game_id=_TEXT,
    columns={"const": list(PLAY_COLUMNS)},
    plays=_array(
        {"type": "array", "minItems": len(PLAY_COLUMNS), "maxItems": len(PLAY_COLUMNS)},
        "oldest first; each a list with a value per column",
    ),
)
_RATINGS = _object(
    model=_TEXT,
    season=_or_null(_TEXT) | {"description": "of the newest result, as 2026-27"},
    learnt=_WHOLE_NUMBER | {"description": "results learnt since the model was made"},
    home_points=_NUMBER | {"description": "what playing at home is worth"},
    teams=_array(
        _object(
            rank={"type": "integer", "minimum": 1},
            team_id=_WHOLE_NUMBER,
            tricode=_TEXT,
            name=_TEXT,
            points=_NUMBER
            | {"description": "expected margin against an average team on neutral ground"},
            sd=_NUMBER | {"description": "its standard deviation"},
        )
    ),
)
_SHOTS = _or_null(_array(_SCORE, "[made, tried]", size=2))
_NUMBERS = _object(
    **dict.fromkeys(("field_goals", "threes", "free_throws"), _SHOTS),
    **dict.fromkeys(
        ("points", "offensive_rebounds", "rebounds", "assists", "steals", "blocks", "turnovers",
         "fouls"), _COUNT,
    ),
)  # fmt: skip
_PLAYER = _object(
    person_id=_WHOLE_NUMBER,
    name=_TEXT,
    position=_TEXT,
    starter=_FLAG,
    on_court=_FLAG,
    seconds=_or_null(_NUMBER) | {"description": "on the court"},
    plus_minus=_or_null(_WHOLE_NUMBER),
    numbers=_NUMBERS,
)
_BOX_OF_SIDE = _object(
    tricode=_TEXT,
    score=_COUNT,
    periods=_array(_SCORE, "points by period"),
    timeouts=_COUNT | {"description": "left"},
    in_bonus=_or_null(_FLAG),
    numbers=_NUMBERS,
    players=_array(_PLAYER, "who took part, the starters first"),
)
_BOX_SCORE = _object(
    "the feed's own, as of `period` and `clock_s`; null where the feed omits a value",
    game_id=_TEXT,
    period=_SCORE,
    clock_s=_or_null(_NUMBER),
    away=_BOX_OF_SIDE,
    home=_BOX_OF_SIDE,
)
_VERDICT = _object(
    "at `moment` (game seconds; null: all moments) of `games` games; "
    "`favourite_won` and `margin_covered` (by the 80 % band) are shares",
    moment=_or_null(_NUMBER),
    games={"type": "integer", "minimum": 1},
    brier=_NUMBER,
    log_loss=_NUMBER,
    favourite_won=_SHARE,
    margin_covered=_SHARE,
)
_VERDICT_OR_NULL = {"anyOf": [_ref("Verdict"), {"type": "null"}]}
_JUDGED: dict[str, Schema] = {
    "games": _SCORE,
    "all": _VERDICT_OR_NULL,
    "moments": _array(_ref("Verdict")),
    "calibration": _array(
        _object(forecast=_SHARE, happened=_SHARE, rows=_WHOLE_NUMBER),
        "for each tenth of the chances: their mean, and how often they came true",
    ),
}
_NIGHTS = _object(
    nights=_array(
        _object(date=_DAY, games=_WHOLE_NUMBER, verdict=_VERDICT_OR_NULL), "the newest first"
    ),
    seasons=_array(_object(season=_TEXT, **_JUDGED)),
)
_NIGHT = _object(date=_DAY, verdict=_object(**_JUDGED), games=_array(_WHOLE_GAME))
_READY = _object(status={"enum": ["ready", "unready"]}, reasons=_array(_TEXT))


def _get(
    summary: str,
    schema: Schema | None,
    *,
    parameters: list[Schema] | None = None,
    kind: str = "application/json",
    **others: Schema,
) -> Schema:
    """A path that answers GET with ``schema``, or with another answer by its ``_STATUS``."""
    content: Schema = {kind: {}} if schema is None else {kind: {"schema": schema}}
    responses = {"200": {"description": summary, "content": content}}
    responses |= {status.removeprefix("_"): answer for status, answer in others.items()}
    path: Schema = {"get": {"summary": summary, "responses": responses}}
    return path | ({"parameters": parameters} if parameters else {})


def _error(description: str) -> Schema:
    content = {"application/json": {"schema": _object(error=_TEXT)}}
    return {"description": description, "content": content}


def _parameter(name: str, where: str, schema: Schema, description: str = "") -> Schema:
    found: Schema = {"name": name, "in": where, "schema": schema}
    if where == "path":
        found["required"] = True
    return found | ({"description": description} if description else {})


_GAME_ID = _parameter("game_id", "path", _TEXT)
_DATE = _parameter("date", "path", _TEXT)
_IF_NONE_MATCH = _parameter("If-None-Match", "header", _TEXT)
_NO_GAME = _error("no such game, tonight or kept")
_NO_NIGHT = _error("nothing was recorded of that night")
_UNREADABLE = _error("the past nights cannot be read")
_NOT_MODIFIED = {"description": "as the ETag sent"}

DOCUMENT: Schema = {
    "openapi": "3.1.0",
    "info": {"title": "nbad", "version": __version__},
    "paths": {
        "/v1/games": _get(
            "Every game of the night, true at epoch.seq of the stream",
            _object(epoch=_TEXT, seq=_WHOLE_NUMBER, games=_array(_ref("Game"))),
        ),
        "/v1/games/{game_id}": _get(
            "A game with its forecast series and the plays that scored",
            _WHOLE_GAME,
            parameters=[_GAME_ID],
            _404=_NO_GAME,
            _503=_UNREADABLE,
        ),
        "/v1/games/{game_id}/plays": _get(
            "Every play with its forecast and its swing",
            _PLAYS,
            parameters=[
                _GAME_ID,
                _parameter(
                    "from",
                    "query",
                    {"type": "integer", "minimum": 0, "maximum": 999_999},
                    "skip this many plays, which the client has already",
                ),
            ],
            _400=_error("not a number of plays"),
            _404=_NO_GAME,
            _503=_UNREADABLE,
        ),
        "/v1/games/{game_id}/plays.csv": _get(
            "The same as CSV, the columns named in the first line",
            None,
            kind="text/csv",
            parameters=[_GAME_ID],
            _404=_NO_GAME,
            _503=_UNREADABLE,
        ),
        "/v1/games/{game_id}/boxscore": _get(
            "The box score, requested from the feed while clients read it here",
            _BOX_SCORE,
            parameters=[_GAME_ID, _IF_NONE_MATCH],
            _304=_NOT_MODIFIED,
            _404=_error("no such game tonight, it has not begun, or a relay is asked"),
            _503=_error("the feed has not sent it"),
        ),
        "/v1/ratings": _get(
            "The current strength of every team, best first",
            _RATINGS,
            parameters=[_IF_NONE_MATCH],
            _304=_NOT_MODIFIED,
            _404=_error("a relay has none"),
            _503=_error("no tick has been served yet"),
        ),
        "/v1/nights": _get(
            "The recorded nights, and their forecasts compared with the results",
            _NIGHTS,
            _503=_UNREADABLE,
        ),
        "/v1/nights/{date}": _get(
            "A past night: its games, and whether their forecasts were right",
            _NIGHT,
            parameters=[_DATE],
            _404=_NO_NIGHT,
            _503=_UNREADABLE,
        ),
        "/v1/nights/{date}.csv": _get(
            "The forecast at each moment of each game, as CSV",
            None,
            kind="text/csv",
            parameters=[_DATE],
            _404=_NO_NIGHT,
            _503=_UNREADABLE,
        ),
        "/v1/events": _get(
            "The stream as server-sent events: `curl -N`. `event` is the message's type, "
            "`data` the message, `id` the place to resume from (Last-Event-ID, or ?since=)",
            None,
            kind="text/event-stream",
            parameters=[
                _parameter("games", "query", _TEXT, "ids, separated by commas"),
                _parameter("teams", "query", _TEXT, "tricodes, separated by commas"),
                _parameter("since", "query", _SINCE, "EPOCH.SEQ"),
                _parameter("Last-Event-ID", "header", _SINCE, "browsers send it by themselves"),
            ],
            _400=_error("a filter or a since that cannot be used"),
            _503=_error("too many clients follow it, or the daemon is shutting down"),
        ),
        "/v1/stats": _get(
            "Latency of each pipeline stage, and from an event to its message, in ms",
            _object(stages=_ANY_OBJECT, freshness=_ANY_OBJECT),
        ),
        "/v1/about": _get("Version, model, and where the stream is", _ANY_OBJECT),
        "/livez": _get("The process is alive", _ANY_OBJECT),
        "/readyz": _get(
            "The feed is fresh and the model loaded",
            _READY,
            _503={"description": "why not", "content": {"application/json": {"schema": _READY}}},
        ),
        "/metrics": _get("Prometheus metrics", None, kind="text/plain"),
    },
    "components": {"schemas": {"Game": _GAME, "Verdict": _VERDICT}},
}
