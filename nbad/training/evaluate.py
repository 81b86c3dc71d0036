"""Evaluation: games in the order of play, each forecast by a model not trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbad.model.forecaster import Distribution, Forecaster
from nbad.model.normal import Matrix
from nbad.pattern.features import INDEX
from nbad.pattern.game_ids import in_seasons, season_of
from nbad.pattern.market import LINE_SD
from nbad.pattern.rating import HOME_POINTS, Expectation
from nbad.training.baselines import (
    REFERENCE,
    RUNNING_SD,
    fit_baselines,
    fit_brownian_margin,
    running_margins,
)
from nbad.training.recorded import FoldedGame
from nbad.training.replay import Expected, Mask, Rows, rate
from nbad.training.scores import (
    brier,
    crps,
    distribution_scores,
    interval,
    log_loss,
    reliability,
    scores,
)
from nbad.training.train import (
    SEASONS_BEFORE,
    Known,
    Rated,
    as_array,
    bundled_ratings,
    learn,
    rated,
    splits,
)

Notify = Callable[[str], None]
# Fewer games than this fit no recipe, and before those to be scored no baseline.
FEWEST = 40
MODEL, PRIOR = "model", "model without its trees"
# The model's own ladder: the same game model, knowing ever more of the two sides.
NO_RATING, RUNNING, RESULTS, FIVES, LINE = (
    "model, no rating", "model, running rating", "model, results alone",
    "model, and who starts", "model, the line alone",
)  # fmt: skip
_BY_CHANCE_SD = 8.8
CLOSE = "last 2 min within 5"
_CLOSE_POINTS, _LAST_S = 5, 120.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was forecast of games that the forecasts had not seen, on the 30-second grid.

    ``home_win`` holds P(home wins) by the model (:data:`MODEL`) and by what it is compared with,
    each of shape (rows,); ``reference`` is the rated Brownian motion's mean and standard deviation
    of the margin. ``how`` says which games the model and the baselines learnt from; ``basis`` how
    many games were expected from ratings, the market, or both.
    """

    model: str
    how: str
    games: list[FoldedGame]
    rows: Rows
    made: Distribution
    home_win: dict[str, Matrix]
    reference: tuple[Matrix, Matrix] | None
    basis: dict[str, int]


def evaluate(
    known: Known,
    forecaster: Forecaster,
    *,
    start: str = "",
    seed: int = 1,
    season: Rated | None = None,
    notify: Notify = lambda said: None,
) -> Evaluation:
    """Forecast the games from the id ``start`` on; those before it only build up the ratings.

    A game that the model learnt from is forecast by the same recipe fitted on other games: on the
    seasons before it where there are three at least, else by folds of whole games. The baselines
    learn from the games before ``start``, or from the same splits. ``season`` is what :func:`rated`
    said of ``known``, where it was asked before.
    """
    # One's own model of this season has seen some of it: then it is rated as its games were.
    told = season or rated(known, forecaster.ratings, bundled_ratings())
    rows, games = told.rows.expecting(told.market), known.games
    scored = played_from(start, games)
    learnt = np.array([forecaster.trained_on(game.game_id) for game in games]) & scored
    keep = rows.grid & scored[rows.game]
    ladder = _ladder(known, told)
    columns = np.array([_unsaid(rows) for _ in range(5)])
    said: dict[str, Matrix] = {}

    def put(by: Forecaster, of: Mask) -> None:
        """What ``by`` says of the rows ``of``, on every rung of the ladder."""
        columns[:, of] = as_array(by, rows[of])
        for name, expected in ladder.items():
            made = by.distribution(rows[of].expecting(expected).matrix)
            said.setdefault(name, _unsaid(rows))[of] = made.home_win
        said.setdefault(PRIOR, _unsaid(rows))[of] = by.prior_win(rows.matrix[of])

    unseen = scored & ~learnt
    if unseen.any():
        put(forecaster, rows.grid & unseen[rows.game])
    how = f"{int(unseen.sum())} games that the model has not seen"
    if learnt.any():
        again = 0
        for seen, predict in splits(known, learnt, seed):
            notify(f"fitting on {int(seen.sum())} games for {int(predict.sum())} others")
            put(learn(known, told, seen, seed)[0], rows.grid & predict[rows.game])
            again += int(predict.sum())
        how = f"{again} games by cross-validation of its recipe"
        if len(np.unique(known.seasons)) > SEASONS_BEFORE:
            how = f"{again} games by its recipe fitted on the seasons before each"
        if unseen.any():
            how += f", {int(unseen.sum())} games that it has not seen"
    keep &= ~np.isnan(columns[0])
    notify("fitting the baselines")
    compared, reference = _compare(known, told.rows, rows, scored, seed)
    chosen = rows[keep]
    basis: dict[str, int] = {}
    for number in np.unique(chosen.game):
        of = told.market.first[number].basis
        basis[of] = basis.get(of, 0) + 1
    return Evaluation(
        forecaster.name,
        how,
        list(games),
        chosen,
        Distribution(*columns[:, keep]),
        {MODEL: columns[0, keep]} | {name: p[keep] for name, p in (compared | said).items()},
        None if reference is None else (reference[0][keep], reference[1][keep]),
        basis,
    )


def played_from(start: str, games: Sequence[FoldedGame]) -> Mask:
    """Which games are that of the id ``start`` or after it, in the order of seasons; all where it
    is empty."""
    first = in_seasons(start) if start else None
    return np.array([first is None or in_seasons(game.game_id) >= first for game in games], bool)


def _ladder(known: Known, told: Rated) -> dict[str, Expected]:
    """What the model is told of the two sides, from nothing up."""
    running = running_margins(known.games)
    alone = rate(known.games, known.results, with_fives=False).expected
    rungs = {
        NO_RATING: Expected.always(
            [Expectation(HOME_POINTS, e.total, _BY_CHANCE_SD) for e in told.rating.first]
        ),
        RUNNING: Expected.always(
            [
                Expectation(float(margin), e.total, RUNNING_SD)
                for margin, e in zip(running, told.rating.first, strict=True)
            ]
        ),
        RESULTS: alone,
    }
    if known.lines:
        rungs[FIVES] = told.rating
        lines = [known.lines.get(game.game_id) for game in known.games]
        first, then = (
            [
                Expectation(line.margin, line.total or e.total, LINE_SD) if line is not None else e
                for line, e in zip(lines, of, strict=True)
            ]
            for of in (told.rating.first, told.rating.then)
        )
        rungs[LINE] = Expected(first, then)
    return rungs


def _compare(
    known: Known, rated_rows: Rows, rows: Rows, scored: Mask, seed: int
) -> tuple[dict[str, Matrix], tuple[Matrix, Matrix] | None]:
    """What the baselines say of the scored rows, and the reference's margins.

    ``rated_rows`` expect what the ratings do, ``rows`` what the market and they do.
    """
    running = running_margins(known.games)
    line = np.array(
        [known.lines[game.game_id].margin if game.game_id in known.lines else np.nan
         for game in known.games]
    )  # fmt: skip
    if (~scored).sum() >= FEWEST:
        chosen = [(~scored, scored)]
    elif len(known.games) >= FEWEST:
        chosen = list(splits(known, scored, seed))
    else:
        return {}, None
    predicted: dict[str, Matrix] = {}
    mean, scale = _unsaid(rows), _unsaid(rows)
    for fitted, predict in chosen:
        # Each minute says what its half does.
        seen = rated_rows[rows.grid & (rows.at % 60 == 0) & fitted[rows.game]]
        of = rows.grid & predict[rows.game]
        unseen = rated_rows[of]
        for name, p in fit_baselines(seen, unseen, running, line).items():
            predicted.setdefault(name, _unsaid(rows))[of] = p
        mean[of], scale[of] = fit_brownian_margin(seen)(unseen)
    return predicted, (mean, scale)


def _unsaid(rows: Rows) -> Matrix:
    """A column of which no row is known yet, shape (rows,)."""
    return np.full(len(rows.at), np.nan)


def parts_of(rows: Rows, games: list[FoldedGame]) -> dict[str, Mask]:
    """The parts of a game, and of the games, that are scored apart, those that there are."""
    lead = np.abs(rows.matrix[:, INDEX["differential"]])
    kind = np.array([game.game_id[:3] for game in games])[rows.game]
    regular = kind == "002"
    parts = {"all": np.ones(len(rows.at), dtype=bool)} | {
        f"Q{quarter}": (rows.at >= 720 * (quarter - 1)) & (rows.at < 720 * quarter)
        for quarter in range(1, 5)
    }
    parts["tip-off"] = rows.at == 0
    parts[CLOSE] = (rows.at >= 2880 - _LAST_S) & (lead <= _CLOSE_POINTS)
    seasons = np.array([f"20{season_of(game.game_id):02d}" for game in games])[rows.game]
    if not regular.all():
        parts |= {"regular season": regular, "playoffs": kind == "004", "play-in": kind == "005"}
    if len(distinct := np.unique(seasons)) > 1:
        parts |= {f"season {season}": (seasons == season) & regular for season in distinct}
    return {name: of for name, of in parts.items() if of.any()}


def report(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation in figures, for people and for JSON."""
    rows, won = evaluation.rows, evaluation.rows.won
    made = evaluation.home_win[MODEL]
    parts = parts_of(rows, evaluation.games)
    return {
        "model": evaluation.model,
        "how": evaluation.how,
        "games": len(np.unique(rows.game)),
        "rows": len(won),
        "basis": evaluation.basis,
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
