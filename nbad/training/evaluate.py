"""Evaluation: games in the order of play, each forecast by what has not seen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbad.model.forecaster import Distribution, Forecaster
from nbad.training.baselines import (
    REFERENCE,
    fit_baselines,
    fit_brownian_margin,
    running_margins,
)
from nbad.training.fit import fit_prior
from nbad.training.recorded import RecordedGame
from nbad.training.replay import Progress, Rows, replay
from nbad.training.scores import (
    brier,
    crps,
    distribution_scores,
    interval,
    log_loss,
    reliability,
    scores,
)
from nbad.training.train import as_array, cross_validated, folds_of

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Fewer games than this before those to be scored fit no baseline.
FEWEST = 40
MODEL, PRIOR = "model", "prior alone"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was forecast of games that the forecasts had not seen, on the 30-second grid.

    ``home_win`` holds P(home wins) by the model (:data:`MODEL`) and by what it is compared with,
    each of shape (rows,); ``reference`` is the rated Brownian motion's mean and standard deviation
    of the margin. ``how`` says which games the model and the baselines learnt from.
    """

    model: str
    how: str
    games: Sequence[RecordedGame]
    rows: Rows
    made: Distribution
    home_win: dict[str, Matrix]
    reference: tuple[Matrix, Matrix] | None


def evaluate(
    games: Sequence[RecordedGame],
    forecaster: Forecaster,
    *,
    start: str = "",
    seed: int = 1,
    progress: Progress = iter,
) -> Evaluation:
    """Forecast the games from the id ``start`` on; those before it only build up the ratings.

    A game that the model learnt from is forecast by the same recipe fitted on other games, by folds
    of whole games. The baselines learn from the games before ``start``, or by the same folds.
    """
    rows = replay(games, fine=True, progress=progress)
    scored = np.array([game.game_id >= start for game in games])
    learnt = np.array([game.game_id in forecaster.trained_on for game in games]) & scored
    grid = rows.grid & scored[rows.game]
    columns = as_array(forecaster, rows)
    how = f"{int((scored & ~learnt).sum())} games that the model has not seen"
    if learnt.any():
        again = learnt[rows.game]
        columns[:, again] = cross_validated(rows, seed)[:, again]
        how = f"{int(learnt.sum())} games by cross-validation of its recipe"
        if (scored & ~learnt).any():
            how += f", {int((scored & ~learnt).sum())} games that it has not seen"
    made = Distribution(*columns[:, grid])
    compared, reference = _compare(rows, scored, games, seed)
    return Evaluation(
        forecaster.name,
        how,
        games,
        rows[grid],
        made,
        {MODEL: made.home_win} | {name: p[grid] for name, p in compared.items()},
        None if reference is None else (reference[0][grid], reference[1][grid]),
    )


def _compare(
    rows: Rows, scored: Mask, games: Sequence[RecordedGame], seed: int
) -> tuple[dict[str, Matrix], tuple[Matrix, Matrix] | None]:
    """What the baselines say of the scored rows, and the reference's margins."""
    running = running_margins(games)
    # Which rows learn, and which are forecast by what learnt from them.
    if (~scored).sum() >= FEWEST:
        splits = [(rows.grid & ~scored[rows.game], scored[rows.game])]
    elif len(games) >= FEWEST:
        fold = folds_of(len(games), seed)[rows.game]
        splits = [(rows.grid & (fold != held), fold == held) for held in range(int(fold.max()) + 1)]
    else:
        return {}, None
    predicted: dict[str, Matrix] = {}
    mean, scale = np.empty(len(rows.at)), np.empty(len(rows.at))
    for learn, predict in splits:
        seen, unseen = rows[learn], rows[predict]
        prior = fit_prior(seen)
        said = {name: of(unseen) for name, of in fit_baselines(seen, running).items()}
        said[PRIOR] = prior.outcome(unseen.matrix, *prior.margin(unseen.matrix)).home_win
        for name, p in said.items():
            predicted.setdefault(name, np.empty(len(rows.at)))[predict] = p
        mean[predict], scale[predict] = fit_brownian_margin(seen)(unseen)
    return predicted, (mean, scale)


def report(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation in figures, for people and for JSON."""
    rows, won = evaluation.rows, evaluation.rows.won
    made = evaluation.home_win[MODEL]
    parts = {"all": np.ones(len(won), dtype=bool)} | {
        f"Q{quarter}": (rows.at >= 720 * (quarter - 1)) & (rows.at < 720 * quarter)
        for quarter in range(1, 5)
    }
    return {
        "model": evaluation.model,
        "how": evaluation.how,
        "games": len(np.unique(rows.game)),
        "rows": len(won),
        "scores": {
            name: {part: scores(p[of], won[of]) for part, of in parts.items()}
            for name, p in evaluation.home_win.items()
        },
        "distributions": {part: _distributions(evaluation, of) for part, of in parts.items()},
        "differences": {
            name: {part: _difference(made, p, rows, of) for part, of in parts.items()}
            for name, p in evaluation.home_win.items()
            if name != MODEL
        },
        "intervals": {
            "brier": interval(brier(made, won), rows.game),
            "log_loss": interval(log_loss(made, won), rows.game),
        },
        "margin_crps_difference": _crps_difference(evaluation),
        "reliability": [
            {"forecast": b.forecast, "happened": b.happened, "rows": b.rows}
            for b in reliability(made, won)
        ],
        "by_minute": _by_minute(evaluation),
    }


def _distributions(evaluation: Evaluation, of: Mask) -> dict[str, dict[str, float]]:
    made = evaluation.made
    part = Distribution(
        made.home_win[of], made.margin[of], made.margin_sd[of], made.total[of], made.total_sd[of]
    )
    figures = distribution_scores(part, evaluation.rows[of])
    if evaluation.reference is not None:
        mean, sd = evaluation.reference
        reference = crps(evaluation.rows.margin[of], mean[of], sd[of])
        figures["margin"][f"crps of {REFERENCE}"] = float(reference.mean())
    return figures


def _difference(made: Matrix, other: Matrix, rows: Rows, of: Mask) -> dict[str, Any]:
    """The model's score less the other's, with 95 % intervals: below zero the model is better."""
    won, game = rows.won[of], rows.game[of]
    return {
        "brier": interval(brier(made[of], won) - brier(other[of], won), game),
        "log_loss": interval(log_loss(made[of], won) - log_loss(other[of], won), game),
    }


def _crps_difference(evaluation: Evaluation) -> tuple[float, float, float] | None:
    if evaluation.reference is None:
        return None
    observed = evaluation.rows.margin
    ours = crps(observed, evaluation.made.margin, evaluation.made.margin_sd)
    return interval(ours - crps(observed, *evaluation.reference), evaluation.rows.game)


def _by_minute(evaluation: Evaluation) -> list[dict[str, Any]]:
    won = evaluation.rows.won
    minutes = []
    for minute in range(48):
        of = evaluation.rows.at // 60 == minute
        minutes.append(
            {"minute": minute}
            | {name: scores(p[of], won[of]) for name, p in evaluation.home_win.items()}
        )
    return minutes
