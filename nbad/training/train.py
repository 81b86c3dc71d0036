"""Training: fits by whole games, and the folder that the daemon loads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from lightgbm import Booster
from numpy.typing import NDArray

from nbad.model.forecaster import FACTS, RATINGS, TREES, Forecaster, ModelError
from nbad.model.normal import Matrix
from nbad.model.proof import fingerprints
from nbad.pattern.game_ids import season_of, write_runs
from nbad.pattern.market import Line
from nbad.pattern.rating import Ratings
from nbad.training.fit import fit
from nbad.training.recorded import FoldedGame
from nbad.training.replay import Expected, Mask, Rows, joined, rate, replay, thinned, with_market
from nbad.training.results import DatedResult

# What `sha256sum -c` takes: the digest of every other file of a model's folder.
SUMS = "SHA256SUMS"
FOLDS = 8
# With this many seasons each is forecast by what was learnt from those before it, from the fourth
# on; fewer are cut into folds of games.
SEASONS_BEFORE = 3


@dataclass(frozen=True, slots=True)
class Known:
    """What a model is made from or judged on: games in the order of their ids, further results and
    closing lines by game id."""

    games: Sequence[FoldedGame]
    results: dict[str, DatedResult] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)

    @property
    def seasons(self) -> NDArray[np.intp]:
        """The two digits of each game's season."""
        return np.array([season_of(game.game_id) for game in self.games], dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Rated:
    """Rows with what the ratings expected of their games, that alone, and what the market and
    they did; and the ratings after all games."""

    rows: Rows
    rating: Expected
    market: Expected
    after: Ratings

    def to_learn_from(self, keep: Mask) -> Rows:
        """The rows of ``keep``, once as the ratings saw their games, once with the market too:
        every other one, which says what its neighbour does."""
        of = thinned(self.rows[keep])
        if self.market == self.rating:
            return of
        return joined(of, of.expecting(self.market))


def rated(known: Known, *models: Ratings | None) -> Rated:
    """Rate the games; the ratings start from those of the first of ``models`` for which all games
    are of later seasons than it knows: it must not have seen what it is asked of."""
    first = int(known.seasons.min()) if len(known.games) else -1
    base = next((model for model in models if model is not None and first > model.season), None)
    season = rate(known.games, known.results, base)
    rows = replay(known.games, season.expected, known.results)
    market = with_market(known.games, season.expected, known.lines)
    return Rated(rows, season.expected, market, season.after)


def bundled_ratings() -> Ratings | None:
    """What games of later seasons start from; None where the bundled model is being replaced."""
    try:
        return Forecaster.load().ratings
    except ModelError:
        return None


def splits(known: Known, asked: Mask, seed: int) -> Iterator[tuple[Mask, Mask]]:
    """Which games to learn from, and which of the ``asked`` ones to forecast then, as masks over
    games: by season in their order, or by folds where there are too few seasons."""
    seasons = known.seasons
    distinct = np.unique(seasons)
    if len(distinct) > SEASONS_BEFORE:
        for season in distinct[SEASONS_BEFORE:]:
            if (forecast := asked & (seasons == season)).any():
                yield seasons < season, forecast
        return
    fold = np.random.default_rng(seed).permutation(len(known.games)) % FOLDS
    for held in range(FOLDS):
        if (forecast := asked & (fold == held)).any():
            yield fold != held, forecast


def learn(known: Known, made_of: Rated, of: Mask, seed: int) -> tuple[Forecaster, Booster]:
    """The recipe fitted on the games ``of``, a mask over games; and its trees apart."""
    rows = made_of.to_learn_from(of[made_of.rows.game])
    seasons = known.seasons
    several = len(np.unique(seasons[of])) >= SEASONS_BEFORE
    last = (seasons == seasons[of].max()) & several
    return fit(rows, seed, last[rows.game])


def save(folder: Path, known: Known, made_of: Rated, seed: int, name: str) -> dict[str, Any]:
    """Fit on all games and write what the daemon loads; the same input, the same bytes.

    Returns what was written to ``model.json``.
    """
    forecaster, booster = learn(known, made_of, np.ones(len(known.games), dtype=bool), seed)
    trees = booster.model_to_string()
    ratings = orjson.dumps(made_of.after.to_json()) + b"\n"
    facts = {
        "name": name, **forecaster.facts(), "seed": seed, "rounds": booster.num_trees(),
        "files": fingerprints({TREES: trees.encode(), RATINGS: ratings}),
        "games": len(known.games),
        "trained_on": write_runs([game.game_id for game in known.games]),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FACTS).write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2) + b"\n")
    (folder / TREES).write_text(trees, "utf-8")
    (folder / RATINGS).write_bytes(ratings)
    return facts


def sums(folder: Path) -> str:
    """The content of :data:`SUMS`: a line for each file of ``folder``."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    return "".join(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def as_array(forecaster: Forecaster, rows: Rows) -> Matrix:
    """A distribution's five columns, shape (5, rows)."""
    made = forecaster.distribution(rows.matrix)
    return np.array([made.home_win, made.margin, made.margin_sd, made.total, made.total_sd])
