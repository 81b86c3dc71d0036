"""A Kalman filter of team strengths about a common term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Motion:
    """How strengths move and how games show them, in points.

    ``sign`` is what the away side's strength counts: −1 in margins, 1 in totals. ``common`` is
    the term that all games share (home advantage, scoring level), ``common_sd`` what is not known
    of it at first, ``common_drift`` what it moves by a game and ``common_summer`` over a summer.
    ``spread`` is the standard deviation of an unknown team, ``drift`` what a strength moves by in
    a game, ``carried`` the share kept over a summer, ``summer`` what rosters change in it;
    ``noise`` is a single game's standard deviation.
    """

    sign: int
    common: float
    common_sd: float
    common_drift: float
    common_summer: float
    spread: float
    drift: float
    carried: float
    summer: float
    noise: float


class StrengthFilter:
    """Each game shows ``court * common + home + sign * away``, with normal noise."""

    def __init__(self, motion: Motion) -> None:
        self._motion = motion
        self._index: dict[int, int] = {}
        self._mean = np.array([motion.common])
        self._covariance = np.array([[motion.common_sd**2]])

    @property
    def common(self) -> float:
        """The term that all games share: home advantage, or scoring level."""
        return float(self._mean[0])

    def teams(self) -> dict[int, tuple[float, float]]:
        """Every known team's strength and its standard deviation."""
        return {
            team: (float(self._mean[at]), float(np.sqrt(self._covariance[at, at])))
            for team, at in self._index.items()
        }

    def expect(self, home_id: int, away_id: int, court: float = 1.0) -> tuple[float, float]:
        """The mean and the variance of what the game would show without noise."""
        mean = court * float(self._mean[0])
        rows = [(0, court)]
        unknown = 0
        for team_id, sign in ((home_id, 1), (away_id, self._motion.sign)):
            at = self._index.get(team_id)
            if at is None:
                unknown += 1
            else:
                mean += sign * float(self._mean[at])
                rows.append((at, sign))
        variance = sum(a * b * float(self._covariance[i, j]) for i, a in rows for j, b in rows)
        return mean, variance + unknown * self._motion.spread**2

    def learn(self, home_id: int, away_id: int, observed: float, court: float = 1.0) -> None:
        """Take what the game showed into account."""
        motion, home, away = self._motion, self._of(home_id), self._of(away_id)
        covariance = self._covariance
        seen = court * covariance[:, 0] + covariance[:, home] + motion.sign * covariance[:, away]
        expected = court * self._mean[0] + self._mean[home] + motion.sign * self._mean[away]
        variance = court * seen[0] + seen[home] + motion.sign * seen[away] + motion.noise**2
        self._mean += seen * ((observed - expected) / variance)
        covariance -= np.outer(seen, seen) / variance
        covariance[home, home] += motion.drift**2
        covariance[away, away] += motion.drift**2
        covariance[0, 0] += motion.common_drift**2

    def new_season(self) -> None:
        """Regress every strength to the mean, and know less of all of it."""
        motion, teams = self._motion, np.arange(1, len(self._mean))
        self._mean[1:] *= motion.carried
        self._covariance[1:] *= motion.carried
        self._covariance[:, 1:] *= motion.carried
        self._covariance[teams, teams] += motion.summer**2
        self._covariance[0, 0] += motion.common_summer**2

    def to_json(self) -> dict[str, Any]:
        """What :meth:`restore` takes; rounded, so that a machine's last bits do not show."""
        return {
            "teams": list(self._index),
            "mean": np.round(self._mean, 6).tolist(),
            "covariance": np.round(self._covariance, 6).tolist(),
        }

    def restore(self, kept: Any) -> None:
        """Take up what :meth:`to_json` gave; ``ValueError`` where it is no such thing."""
        mean, covariance = np.array(kept["mean"], float), np.array(kept["covariance"], float)
        teams = [int(team) for team in kept["teams"]]
        size = len(teams) + 1
        if mean.shape != (size,) or covariance.shape != (size, size):
            raise ValueError(f"expected strengths of {size - 1} teams, was {mean.shape}")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise ValueError("expected finite strengths, was another")
        self._index = {team: at for at, team in enumerate(teams, 1)}
        self._mean, self._covariance = mean, covariance

    def _of(self, team_id: int) -> int:
        if team_id not in self._index:
            self._index[team_id] = len(self._mean)
            self._mean = np.append(self._mean, 0.0)
            self._covariance = np.pad(self._covariance, (0, 1))
            self._covariance[-1, -1] = self._motion.spread**2
        return self._index[team_id]
