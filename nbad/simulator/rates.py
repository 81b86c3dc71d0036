"""How often things happen in a game, learned from real ones.

The counts are those of 480 games of 2015-16 (per game, both sides): 166.9 field goal attempts,
46.0 free throws of which 75.6 % go in, 29.7 turnovers (15.9 of them steals), 13.1 personal and
18.1 shooting fouls, 4.5 offensive ones, 23 % of missed shots rebounded by the offence, 58 % of
made shots assisted, 9.8 blocks, 13.2 timeouts, 23 substitutions a side, 1.5 technicals and the
like; half-time 16 minutes, other breaks about 2.5, tip-off to end 133 minutes. Since then threes
went from 28 % to 39 % of the shots and the pace rose by a few possessions: today's shares are
used for those two, so that a night totals about 225 points.
"""

from __future__ import annotations

from typing import Final

PERIOD_S: Final = 720.0
OVERTIME_S: Final = 300.0


def elapsed_s(period: int, left: float) -> float:
    """Game seconds since tip-off when ``left`` seconds of ``period`` are left."""
    return min(period, 4) * PERIOD_S + max(0, period - 4) * OVERTIME_S - left


# The game clock of a possession (s): mean and spread of a bounded bell.
POSSESSION_MEAN_S: Final = 12.7
POSSESSION_SD_S: Final = 5.4
AFTER_STEAL_MEAN_S: Final = 8.5
SECOND_CHANCE_MEAN_S: Final = 7.0
SHOT_CLOCK_S: Final = 24.0
SECOND_CHANCE_CLOCK_S: Final = 14.0

# What ends, or interrupts, a possession.
TURNOVER: Final = 0.132
STEAL_OF_TURNOVERS: Final = 0.53
OFFENSIVE_FOUL_OF_TURNOVERS: Final = 0.13
PERSONAL_FOUL: Final = 0.082
STOPPAGE: Final = 0.025
TECHNICAL: Final = 0.006

# Shots.
THREE_SHARE: Final = 0.39
TWO_MADE: Final = 0.545
THREE_MADE: Final = 0.362
RIM_SHARE_OF_TWOS: Final = 0.6
ASSISTED_TWO: Final = 0.52
ASSISTED_THREE: Final = 0.82
BLOCKED_OF_MISSED_TWOS: Final = 0.22
SHOOTING_FOUL_OF_TWOS: Final = 0.14
SHOOTING_FOUL_OF_THREES: Final = 0.016
AND_ONE: Final = 0.027
FREE_THROW_MADE: Final = 0.775

# Rebounds.
OFFENSIVE_REBOUND: Final = 0.235
OFFENSIVE_REBOUND_AFTER_FREE_THROW: Final = 0.1
TEAM_REBOUND: Final = 0.11

# Strengths: points per game by which a side's making of shots moves, per point of probability.
PROBABILITY_PER_POINT: Final = 1 / 170
HOME_POINTS: Final = 3.5
STRENGTH_SD: Final = 4.3
# The spread of a game's margin about what the two sides lead one to expect, in points.
MARGIN_SD: Final = 11.8
# A leading side eases off and the trailing one presses: without it independent possessions would
# spread the margins to 16 points, where real ones have 13.
EASE_PER_POINT_OF_LEAD: Final = 0.0022

# Wall clock (s), beyond the game clock.
TIMEOUT_S: Final = 130.0
FOUL_S: Final = 22.0
FREE_THROW_S: Final = 13.0
DEAD_BALL_S: Final = 12.0
BREAK_S: Final = 150.0
HALFTIME_S: Final = 900.0
REVIEW_S: Final = 75.0
