"""The game clock: four quarters of 12 minutes, overtimes of 5."""

from __future__ import annotations

QUARTER_S = 720.0
REGULATION_S = 4 * QUARTER_S
OVERTIME_S = 300.0


def elapsed_s(period: int, clock_s: float) -> float:
    """Game seconds played when ``clock_s`` is left of ``period``; 0 before tip-off."""
    if period <= 0:
        return 0.0
    if period <= 4:
        return period * QUARTER_S - clock_s
    return REGULATION_S + (period - 4) * OVERTIME_S - clock_s


def remaining_s(elapsed: float) -> float:
    """Game seconds left: of regulation, or of the overtime under way."""
    if elapsed <= REGULATION_S:
        return REGULATION_S - elapsed
    return -(elapsed - REGULATION_S) % OVERTIME_S


def period_name(period: int) -> str:
    """``Q1`` to ``Q4``, ``OT``, ``2OT`` and so on."""
    return f"Q{period}" if period <= 4 else "OT" if period == 5 else f"{period - 4}OT"
