"""The HTTP side described for machines (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Any

from nbad import __version__
from nbad.stream.wire import PLAY_COLUMNS

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_SCORE = {"type": "integer", "minimum": 0}
_GAME: dict[str, Any] = {
    "type": "object",
    "description": "a game message of the stream: docs/protocol.md",
    "required": ["game_id", "status", "home", "away", "differential", "forecast"],
    "properties": {
        "game_id": _TEXT,
        "status": {"enum": ["scheduled", "live", "halftime", "final", "postponed"]},
        "differential": {"type": "integer", "description": "home minus away"},
        "home": {"type": "object"},
        "away": {"type": "object"},
        "forecast": {"type": ["object", "null"]},
    },
}
_WHOLE = {
    "allOf": [
        {"$ref": "#/components/schemas/Game"},
        {
            "type": "object",
            "required": ["series", "scoring"],
            "properties": {
                "series": {
                    "type": "array",
                    "description": "[elapsed_s, home_win, margin p10, p50, p90, total p50]",
                    "items": {"type": "array", "items": _NUMBER, "minItems": 6, "maxItems": 6},
                },
                "scoring": {
                    "type": "array",
                    "description": "the plays that scored: [elapsed_s, home, away, description]",
                    "items": {
                        "type": "array",
                        "items": {"type": ["number", "string"]},
                        "minItems": 4,
                        "maxItems": 4,
                    },
                },
            },
        },
    ]
}
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": _TEXT}}
_PLAYS = {
    "type": "object",
    "description": "`home_win` and the quantiles are those after the play, `swing` what the play "
    "itself added to `home_win`: time that ran down before it is not credited to it",
    "required": ["game_id", "columns", "plays"],
    "properties": {
        "game_id": _TEXT,
        "columns": {"const": list(PLAY_COLUMNS)},
        "plays": {
            "type": "array",
            "description": "oldest first; of each a value for each column",
            "items": {
                "type": "array",
                "minItems": len(PLAY_COLUMNS),
                "maxItems": len(PLAY_COLUMNS),
            },
        },
    },
}
_RATINGS: dict[str, Any] = {
    "type": "object",
    "required": ["model", "season", "learnt", "home_points", "teams"],
    "properties": {
        "model": _TEXT,
        "season": {"type": ["string", "null"], "description": "of the newest result, as 2026-27"},
        "learnt": {"type": "integer", "description": "results beyond those in the model"},
        "home_points": {"type": "number", "description": "what playing at home is worth"},
        "teams": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["rank", "team_id", "tricode", "name", "points", "sd"],
                "properties": {
                    "rank": {"type": "integer", "minimum": 1},
                    "team_id": {"type": "integer"},
                    "tricode": _TEXT,
                    "name": _TEXT,
                    "points": {
                        "type": "number",
                        "description": "margin to expect against an average team on neutral ground",
                    },
                    "sd": {"type": "number", "description": "its standard deviation"},
                },
            },
        },
    },
}
_COUNT = {"type": ["integer", "null"], "minimum": 0}
_SHOTS = {
    "type": ["array", "null"],
    "description": "[made, tried]",
    "items": _SCORE,
    "minItems": 2,
    "maxItems": 2,
}
_NUMBERS = {
    **dict.fromkeys(("field_goals", "threes", "free_throws"), _SHOTS),
    **dict.fromkeys(
        ("points", "offensive_rebounds", "rebounds", "assists", "steals", "blocks", "turnovers",
         "fouls"), _COUNT,
    ),
}  # fmt: skip
_DONE = {"type": "object", "required": list(_NUMBERS), "properties": _NUMBERS}
_PLAYER = {
    "person_id": {"type": "integer"},
    "name": _TEXT,
    "position": _TEXT,
    "starter": {"type": "boolean"},
    "on_court": {"type": "boolean"},
    "seconds": {"type": ["number", "null"], "description": "on the court"},
    "plus_minus": {"type": ["integer", "null"]},
    "numbers": _DONE,
}
_SIDE = {
    "tricode": _TEXT,
    "score": _COUNT,
    "periods": {"type": "array", "items": _SCORE, "description": "points by period"},
    "timeouts": {**_COUNT, "description": "left"},
    "in_bonus": {"type": ["boolean", "null"]},
    "numbers": _DONE,
    "players": {
        "type": "array",
        "description": "who took part, the starters first",
        "items": {"type": "object", "required": list(_PLAYER), "properties": _PLAYER},
    },
}
_BOX_OF_SIDE = {"type": "object", "required": list(_SIDE), "properties": _SIDE}
_BOX_SCORE = {
    "type": "object",
    "description": "the feed's own, as of `period` and `clock_s`; null is what it leaves out",
    "required": ["game_id", "period", "clock_s", "away", "home"],
    "properties": {
        "game_id": _TEXT,
        "period": {"type": "integer", "minimum": 0},
        "clock_s": {"type": ["number", "null"]},
        "away": _BOX_OF_SIDE,
        "home": _BOX_OF_SIDE,
    },
}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_VERDICT = {
    "type": "object",
    "description": "at `moment` (game seconds; null: all moments) of `games` games; "
    "`favourite_won` and `margin_covered` (by the 80 % band) are shares",
    "required": ["moment", "games", "brier", "log_loss", "favourite_won", "margin_covered"],
    "properties": {
        "moment": {"type": ["number", "null"]},
        "games": {"type": "integer", "minimum": 1},
        "brier": _NUMBER,
        "log_loss": _NUMBER,
        "favourite_won": _SHARE,
        "margin_covered": _SHARE,
    },
}
_VERDICT_OR_NONE = {"anyOf": [{"$ref": "#/components/schemas/Verdict"}, {"type": "null"}]}
_JUDGED: dict[str, Any] = {
    "games": {"type": "integer", "minimum": 0},
    "all": _VERDICT_OR_NONE,
    "moments": {"type": "array", "items": {"$ref": "#/components/schemas/Verdict"}},
    "calibration": {
        "type": "array",
        "description": "of the chances in each tenth: their mean, and how often they came true",
        "items": {
            "type": "object",
            "required": ["forecast", "happened", "rows"],
            "properties": {"forecast": _SHARE, "happened": _SHARE, "rows": {"type": "integer"}},
        },
    },
}
_SINCE = {"type": "string", "pattern": r"^[0-9a-z]+\.[0-9]{1,15}$"}
_NIGHTS = {
    "type": "object",
    "required": ["nights", "seasons"],
    "properties": {
        "nights": {
            "type": "array",
            "description": "the newest first",
            "items": {
                "type": "object",
                "required": ["date", "games", "verdict"],
                "properties": {
                    "date": {"type": "string", "format": "date"},
                    "games": {"type": "integer"},
                    "verdict": _VERDICT_OR_NONE,
                },
            },
        },
        "seasons": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["season", *_JUDGED],
                "properties": {"season": _TEXT, **_JUDGED},
            },
        },
    },
}
_NIGHT = {
    "type": "object",
    "required": ["date", "verdict", "games"],
    "properties": {
        "date": {"type": "string", "format": "date"},
        "verdict": {"type": "object", "required": list(_JUDGED), "properties": _JUDGED},
        "games": {"type": "array", "items": _WHOLE},
    },
}
_DATE = [{"name": "date", "in": "path", "required": True, "schema": _TEXT}]
_GAME_ID = [{"name": "game_id", "in": "path", "required": True, "schema": _TEXT}]
_READY = {
    "type": "object",
    "required": ["status", "reasons"],
    "properties": {
        "status": {"enum": ["ready", "unready"]},
        "reasons": {"type": "array", "items": _TEXT},
    },
}


def _get(summary: str, schema: Any, **others: tuple[str, Any]) -> dict[str, Any]:
    """A path that is read; ``others``: a description and a schema by ``_STATUS``."""
    responses = {"200": _response(summary, schema)}
    for status, (description, other) in others.items():
        responses[status.removeprefix("_")] = _response(description, other)
    return {"get": {"summary": summary, "responses": responses}}


def _response(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_NO_GAME = ("no such game, tonight or kept", _ERROR)
_UNREADABLE = ("the past nights cannot be read", _ERROR)


DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "nbad", "version": __version__},
    "paths": {
        "/v1/games": _get(
            "Every game of the night, true at epoch.seq of the stream",
            {
                "type": "object",
                "required": ["epoch", "seq", "games"],
                "properties": {
                    "epoch": _TEXT,
                    "seq": {"type": "integer"},
                    "games": {"type": "array", "items": {"$ref": "#/components/schemas/Game"}},
                },
            },
        ),
        "/v1/games/{game_id}": {
            **_get(
                "A game with its forecast series and the plays that scored",
                _WHOLE,
                _404=_NO_GAME,
                _503=_UNREADABLE,
            ),
            "parameters": _GAME_ID,
        },
        "/v1/games/{game_id}/plays": {
            **_get(
                "Every play with its forecast and its swing",
                _PLAYS,
                _400=("not a number of plays", _ERROR),
                _404=_NO_GAME,
                _503=_UNREADABLE,
            ),
            "parameters": [
                *_GAME_ID,
                {
                    "name": "from",
                    "in": "query",
                    "description": "leave out so many plays: those that are known",
                    "schema": {"type": "integer", "minimum": 0, "maximum": 999_999},
                },
            ],
        },
        "/v1/games/{game_id}/plays.csv": {
            "get": {
                "summary": "The same as CSV, the columns named in the first line",
                "responses": {
                    "200": {"description": "CSV", "content": {"text/csv": {}}},
                    "404": _response(*_NO_GAME),
                    "503": _response(*_UNREADABLE),
                },
            },
            "parameters": _GAME_ID,
        },
        "/v1/games/{game_id}/boxscore": {
            **_get(
                "The box score, asked of the feed as long as somebody asks for it here",
                _BOX_SCORE,
                _304=("as the ETag sent", {}),
                _404=("no such game tonight, it has not begun, or a relay is asked", _ERROR),
                _503=("the feed has not given it", _ERROR),
            ),
            "parameters": _GAME_ID,
        },
        "/v1/ratings": {
            "get": {
                "summary": "The strength of every team as it is known now, best first",
                "parameters": [
                    {"name": "If-None-Match", "in": "header", "required": False, "schema": _TEXT}
                ],
                "responses": {
                    "200": _response("the table", _RATINGS),
                    "304": {"description": "as the ETag sent"},
                    "404": _response("a relay has none", _ERROR),
                    "503": _response("no tick has been served yet", _ERROR),
                },
            }
        },
        "/v1/nights": _get(
            "The past nights kept, and what was said of them against what came",
            _NIGHTS,
            _503=_UNREADABLE,
        ),
        "/v1/nights/{date}": {
            **_get(
                "A past night: its games whole, and whether their forecasts were right",
                _NIGHT,
                _404=("nothing was kept of that night", _ERROR),
                _503=_UNREADABLE,
            ),
            "parameters": _DATE,
        },
        "/v1/nights/{date}.csv": {
            "get": {
                "summary": "What was forecast at each moment of each game, as CSV",
                "responses": {
                    "200": {"description": "CSV", "content": {"text/csv": {}}},
                    "404": _response("nothing was kept of that night", _ERROR),
                    "503": _response(*_UNREADABLE),
                },
            },
            "parameters": _DATE,
        },
        "/v1/events": {
            "get": {
                "summary": "The stream as server-sent events: `curl -N`. `event` is the message's "
                "type, `data` the message, `id` where to go on from (Last-Event-ID, or ?since=)",
                "responses": {
                    "200": {"description": "events", "content": {"text/event-stream": {}}},
                    "400": _response("a filter or a since that cannot be used", _ERROR),
                    "503": _response("as many as there may be follow it, or going down", _ERROR),
                },
            },
            "parameters": [
                {"name": name, "in": where, "schema": schema, "description": text}
                for name, where, schema, text in (
                    ("games", "query", _TEXT, "ids, with commas between"),
                    ("teams", "query", _TEXT, "tricodes, with commas between"),
                    ("since", "query", _SINCE, "EPOCH.SEQ"),
                    ("Last-Event-ID", "header", _SINCE, "as browsers send it by themselves"),
                )
            ],
        },
        "/v1/stats": _get(
            "Latency of each pipeline stage, and of news from its source to its message, in ms",
            {
                "type": "object",
                "required": ["stages", "freshness"],
                "properties": {"stages": {"type": "object"}, "freshness": {"type": "object"}},
            },
        ),
        "/v1/about": _get("Version, model, and where the stream is", {"type": "object"}),
        "/livez": _get("The process answers", {"type": "object"}),
        "/readyz": _get("The feed is fresh and the model loaded", _READY, _503=("why not", _READY)),
        "/metrics": {
            "get": {
                "summary": "Prometheus metrics",
                "responses": {"200": {"description": "text", "content": {"text/plain": {}}}},
            }
        },
    },
    "components": {"schemas": {"Game": _GAME, "Verdict": _VERDICT}},
}
