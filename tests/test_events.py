"""The log's events are those that docs/events.md lists, at the levels that it says."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error",
          "exception": "error", "critical": "critical"}  # fmt: skip


def emitted(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Event and level of each call of a logger's method, and of each event made by hand."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            name = node.args[0]
            if node.func.attr in LEVELS and isinstance(name, ast.Constant):
                yield str(name.value), LEVELS[node.func.attr]
            # What lasts is said when it begins, and once a minute: all of it warnings.
            lasting = node.func.attr == "_skip" or "troubles" in ast.unparse(node.func.value)
            if lasting and node.func.attr in ("note", "_skip") and isinstance(name, ast.Constant):
                yield str(name.value), "warning"
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            fields = {
                key.value: value.value
                for key, value in pairs
                if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
            }
            if {"event", "level"} <= set(fields):
                yield str(fields["event"]), str(fields["level"])


def test_every_event_is_documented_and_none_that_is_not_emitted() -> None:
    ours: dict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "nbad").rglob("*.py"):
        for event, level in emitted(ast.parse(file.read_text())):
            ours[event].add(level)
    theirs: dict[str, set[str]] = {}
    rows = re.findall(r"^\| (`.*?) \| ([a-z, ]+) \|", (ROOT / "docs/events.md").read_text(), re.M)
    for events, levels in rows:
        for event in re.findall(r"`(\w+)`", events):
            theirs[event] = set(levels.split(", "))
    assert theirs == ours
