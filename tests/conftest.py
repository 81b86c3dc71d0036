"""For all tests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from jsonschema import Draft202012Validator

from nbad.stream.socket import FrameStream

# The same examples in each run: a law that does not hold is to fail where it was broken, not in
# somebody else's change. To look for more: pytest --hypothesis-profile default.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")


TEXT = 0x81
DOCUMENT = Path(__file__).parent.parent / "docs" / "asyncapi.json"


def make_validators() -> dict[str, Draft202012Validator]:
    """A validator for each message of the document, by its type or op; unknown fields fail."""
    document = json.loads(DOCUMENT.read_text())
    for schema in document["components"]["schemas"].values():
        schema["additionalProperties"] = False
    return {
        name: Draft202012Validator({"components": document["components"], **message["payload"]})
        for name, message in document["components"]["messages"].items()
    }


@pytest.fixture(scope="session")
def documented() -> dict[str, Draft202012Validator]:
    return make_validators()


@pytest.fixture(scope="session", autouse=True)
def sent(documented: dict[str, Draft202012Validator]) -> Iterator[Counter[str]]:
    """How many messages of each type this process has sent, or tried to, by a socket.

    Each is as the stream's document says, or what sends it fails.
    """
    counts: Counter[str] = Counter()
    push, next_ = FrameStream.push, FrameStream._next

    def check(frame: bytes | None) -> None:
        if frame is None or frame[0] != TEXT:
            return  # nothing, a control frame, or the answer to the upgrade
        start = {126: 4, 127: 10}.get(frame[1], 2)
        message: dict[str, Any] = json.loads(frame[start:])
        documented[message["type"]].validate(message)
        counts[message["type"]] += 1

    def checked_push(stream: FrameStream, frame: bytes) -> bool:
        check(frame)
        return push(stream, frame)

    def checked_next(stream: FrameStream) -> bytes | None:
        frame = next_(stream)
        check(frame)
        return frame

    patch = pytest.MonkeyPatch()
    patch.setattr(FrameStream, "push", checked_push)
    patch.setattr(FrameStream, "_next", checked_next)
    yield counts
    patch.undo()
