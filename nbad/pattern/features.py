"""The columns of the model's matrix."""

from __future__ import annotations

GRID_POINTS = 24
GRID_STEP_S = 30.0
WINDOWS_S = (60.0, 120.0, 300.0)

# Differentials are home − away, in points. ``swing_60`` is how the differential moved in the last
# 60 game seconds. ``run`` is the unanswered points of whoever scored last (away: negative).
# ``pace`` is points per game second. ``possession`` is +1 home, −1 away, 0 unknown.
# ``expected_margin_sd`` is what is not known of the two sides' strength, in points. ``over`` is 1
# once the game has ended.
FEATURES: tuple[str, ...] = (
    "differential",
    "elapsed_s",
    "remaining_s",
    "period",
    "overtime",
    "points",
    "pace",
    *(f"swing_{window:.0f}" for window in WINDOWS_S),
    "run",
    "lead_changes",
    "possession",
    "expected_margin",
    "expected_margin_sd",
    "expected_total",
    "over",
)
INDEX = {name: number for number, name in enumerate(FEATURES)}
