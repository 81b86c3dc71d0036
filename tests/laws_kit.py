"""How many examples a law is held to."""

from __future__ import annotations

from typing import Any

from hypothesis import settings


def examples(few: int, **others: Any) -> settings:
    """``few``, the same in each run; in ``make laws`` fresh ones, and five times as many."""
    count = few if settings.default and settings.default.derandomize else 5 * few
    return settings(max_examples=count, deadline=None, **others)
