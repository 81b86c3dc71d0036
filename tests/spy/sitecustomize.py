"""In each Python process that a test starts: keep the frames it sends, for conftest.py to judge.

Python imports a module of this name at its start where it finds one on its path. What is kept is
written at once, as many of these processes are killed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

WATCHED = "nbad.stream.frame_stream"


class Spy:
    """A finder of one module, which is watched once it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == WATCHED else None
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_watch(module: ModuleType) -> None:
                load(module)
                watch(module.FrameStream)

            spec.loader.exec_module = load_and_watch  # type: ignore[method-assign]
        return spec


def watch(stream: Any) -> None:
    """Keep each frame that is sent, or tried to; one shared by many subscribers is kept once."""
    path = f"{os.environ['STREAM_SPY']}/{os.getpid()}"
    kept = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    push, next_ = stream.push, stream._next
    last: bytes | None = None

    def keep(frame: bytes | None) -> None:
        nonlocal last
        if frame is not None and frame is not last:
            last = frame
            os.write(kept, frame)

    def kept_push(self: Any, frame: bytes) -> bool:
        keep(frame)
        return bool(push(self, frame))

    def kept_next(self: Any) -> bytes | None:
        frame: bytes | None = next_(self)
        if frame is not None and frame[:4] != b"HTTP":  # the answer to the upgrade is no frame
            keep(frame)
        return frame

    stream.push = kept_push
    stream._next = kept_next


sys.meta_path.insert(0, Spy())
