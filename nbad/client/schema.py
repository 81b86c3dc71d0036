"""The stream's AsyncAPI document: ``python -m nbad.client.schema > docs/asyncapi.json``."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from nbad.client.messages import BY_TYPE

_REF = "#/components/schemas/{model}"


class Subscribe(BaseModel):
    """Select these games and all games of these teams (neither: all), resuming from since."""

    model_config = ConfigDict(extra="ignore")
    op: Literal["subscribe"]
    games: list[str] | None = None
    teams: list[str] | None = Field(None, description="tricodes, either case")
    since: Annotated[str, Field(pattern=r"^.+\.[0-9]{1,15}$")] | None = Field(
        None, description="EPOCH.SEQ"
    )


class Unsubscribe(BaseModel):
    """Stop batches; heartbeats continue."""

    op: Literal["unsubscribe"]


class Ping(BaseModel):
    """Answered with a pong of the same id."""

    op: Literal["ping"]
    id: Any = None


Mode = Literal["validation", "serialization"]

SENT: dict[str, type[BaseModel]] = {
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "ping": Ping,
}


def describe() -> dict[str, Any]:
    """The AsyncAPI 3 document, its JSON Schemas under ``components.schemas``."""
    served: list[tuple[type[BaseModel], Mode]] = [(m, "serialization") for m in BY_TYPE.values()]
    asked: list[tuple[type[BaseModel], Mode]] = [(m, "validation") for m in SENT.values()]
    _, schemas = models_json_schema([*served, *asked], ref_template=_REF)
    messages = {
        name: {
            "name": name,
            "summary": (model.__doc__ or "").strip(),
            "contentType": "application/json",
            "payload": {"$ref": _REF.format(model=model.__name__)},
        }
        for name, model in [*BY_TYPE.items(), *SENT.items()]
    }

    def refer(names: dict[str, Any]) -> list[dict[str, str]]:
        return [{"$ref": f"#/channels/stream/messages/{name}"} for name in names]

    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "nbad stream",
            "version": "1",
            "description": "Live NBA games and their forecasts. See docs/protocol.md.",
        },
        "defaultContentType": "application/json",
        "servers": {"default": {"host": "127.0.0.1:8765", "protocol": "ws"}},
        "channels": {
            "stream": {
                "address": "/v1/stream",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "query": {
                            "type": "object",
                            "properties": {
                                "since": {"type": "string", "description": "EPOCH.SEQ"},
                                "games": {"type": "string", "description": "ids, with commas"},
                                "teams": {"type": "string", "description": "tricodes, with commas"},
                                "token": {"type": "string"},
                            },
                        },
                        "bindingVersion": "0.1.0",
                    }
                },
            }
        },
        "operations": {
            "receive": {
                "action": "send",
                "channel": {"$ref": "#/channels/stream"},
                "messages": refer(BY_TYPE),
            },
            "ask": {
                "action": "receive",
                "channel": {"$ref": "#/channels/stream"},
                "messages": refer(SENT),
            },
        },
        "components": {"messages": messages, "schemas": schemas["$defs"]},
    }


def dump() -> str:
    """The document as it is kept in ``docs/asyncapi.json``."""
    return json.dumps(describe(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(dump())
