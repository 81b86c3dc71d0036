"""The HTTP side described for machines (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Any

from nbad import __version__

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
                        "prefixItems": [_NUMBER, _SCORE, _SCORE, _TEXT],
                        "minItems": 4,
                        "maxItems": 4,
                    },
                },
            },
        },
    ]
}
_READY = {
    "type": "object",
    "required": ["status", "reasons"],
    "properties": {
        "status": {"enum": ["ready", "unready"]},
        "reasons": {"type": "array", "items": _TEXT},
    },
}


def _get(summary: str, schema: Any, **others: str) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    responses: dict[str, Any] = {"200": {"description": summary, "content": content}}
    for status, description in others.items():
        responses[status.lstrip("_")] = {"description": description, "content": content}
    return {"get": {"summary": summary, "responses": responses}}


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
                _404="no such game tonight",
            ),
            "parameters": [{"name": "game_id", "in": "path", "required": True, "schema": _TEXT}],
        },
        "/v1/stats": _get(
            "What each stage took, in ms",
            {
                "type": "object",
                "required": ["stages"],
                "properties": {"stages": {"type": "object"}},
            },
        ),
        "/v1/about": _get("Version, model, and where the stream is", {"type": "object"}),
        "/livez": _get("The process answers", {"type": "object"}),
        "/readyz": _get("The feed is fresh and the model loaded", _READY, _503="why not"),
        "/metrics": {
            "get": {
                "summary": "Prometheus metrics",
                "responses": {"200": {"description": "text", "content": {"text/plain": {}}}},
            }
        },
    },
    "components": {"schemas": {"Game": _GAME}},
}
