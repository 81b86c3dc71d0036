"""The evaluation drawn: reliability, log loss by minute, margin coverage, a few games."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # files only: no display is needed, nor looked for

import numpy as np
from matplotlib import pyplot as plt

from nbad.model.normal import Z90
from nbad.training.evaluate import CLOSE, FIVES, MODEL, NO_RATING, RESULTS, Evaluation, parts_of
from nbad.training.scores import brier, crps, log_loss, reliability

_BESIDE = (NO_RATING, RESULTS, FIVES, "Brownian, the line", "Brownian, our rating")
_COLOURS = plt.get_cmap("tab10").colors  # type: ignore[attr-defined]


def draw(made: Evaluation, path: Path) -> None:
    """Write one picture of the whole evaluation; ``OSError`` where it cannot be written."""
    figure, axes = plt.subplots(3, 2, figsize=(13, 14), layout="constrained")
    figure.suptitle(f"{made.model}: {made.how}")
    _reliability(axes[0, 0], made)
    _log_loss(axes[0, 1], made)
    _margins(axes[1, 0], made)
    _games(axes[1, 1], made)
    _ladder(axes[2, 0], made)
    _last_minutes(axes[2, 1], made)
    # Without a date of its own the same evaluation makes the same file; its title is the model's
    # name, for whoever has the file alone.
    figure.savefig(path, dpi=96, metadata={"Software": None, "Title": made.model})
    plt.close(figure)


def _reliability(axis: Any, made: Evaluation) -> None:
    won, at = made.rows.won, made.rows.at
    axis.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    parts = {"whole game": np.ones(len(at), dtype=bool)} | {
        f"Q{q}": (at >= 720 * (q - 1)) & (at < 720 * q) for q in range(1, 5)
    }
    for number, (name, of) in enumerate(parts.items()):
        bins = reliability(made.home_win[MODEL][of], won[of])
        axis.plot(
            [b.forecast for b in bins], [b.happened for b in bins], marker="o", label=name,
            linewidth=2.5 if number == 0 else 1, alpha=1.0 if number == 0 else 0.6,
            color="black" if number == 0 else _COLOURS[number - 1],
        )  # fmt: skip
    axis.set(title="Reliability", xlabel="P(home wins), forecast", ylabel="home wins, share",
             xlim=(0, 1), ylim=(0, 1))  # fmt: skip
    axis.legend(loc="upper left")


def _by_minute(values: Any, at: Any) -> Any:
    minute = (at // 60).astype(int)
    return np.bincount(minute, values, 48) / np.maximum(np.bincount(minute, minlength=48), 1)


def _log_loss(axis: Any, made: Evaluation) -> None:
    for name in (MODEL, *_BESIDE):
        if name not in made.home_win:
            continue
        loss = log_loss(made.home_win[name], made.rows.won)
        axis.plot(
            range(48), _by_minute(loss, made.rows.at), label=name,
            linewidth=2.5 if name == MODEL else 1, color="black" if name == MODEL else None,
        )  # fmt: skip
    axis.set(title="Log loss by minute", xlabel="minute of regulation", ylabel="nats", xlim=(0, 47))
    axis.set_xticks(range(0, 49, 12))
    axis.grid(alpha=0.3)
    axis.legend()


def _margins(axis: Any, made: Evaluation) -> None:
    rows, d = made.rows, made.made
    axis.plot(range(48), _by_minute(crps(rows.margin, d.margin, d.margin_sd), rows.at),
              color="black", linewidth=2.5, label="margin CRPS")  # fmt: skip
    if made.reference is not None:
        axis.plot(range(48), _by_minute(crps(rows.margin, *made.reference), rows.at),
                  color=_COLOURS[0], label="margin CRPS, Brownian")  # fmt: skip
    axis.set(title="Margin: CRPS and coverage", xlabel="minute of regulation", ylabel="points",
             xlim=(0, 47), ylim=(0, None))  # fmt: skip
    axis.set_xticks(range(0, 49, 12))
    right = axis.twinx()
    inside = np.abs(rows.margin - d.margin) <= Z90 * d.margin_sd
    right.plot(range(48), 100 * _by_minute(inside.astype(float), rows.at), color=_COLOURS[3],
               linestyle="--", label="80 % interval covers, %")  # fmt: skip
    right.set(ylim=(50, 100), ylabel="%")
    lines = axis.get_lines() + right.get_lines()
    axis.legend(lines, [line.get_label() for line in lines], loc="lower left")


def _ladder(axis: Any, made: Evaluation) -> None:
    """The log loss of everything compared, the best below."""
    losses = {name: float(log_loss(p, made.rows.won).mean()) for name, p in made.home_win.items()}
    names = sorted(losses, key=losses.__getitem__)
    axis.barh(names, [losses[name] for name in names],
              color=["black" if name == MODEL else _COLOURS[0] for name in names])  # fmt: skip
    for at, name in enumerate(names):
        axis.text(losses[name], at, f" {losses[name]:.4f}", va="center")
    lowest, highest = min(losses.values()), max(losses.values())
    axis.set(title="Log loss, every 30 s of regulation", xlabel="nats",
             xlim=(lowest - 0.01, highest + 0.012))  # fmt: skip


def _last_minutes(axis: Any, made: Evaluation) -> None:
    """Calibration where it is hardest: the last two minutes of close games."""
    of = parts_of(made.rows, made.games).get(CLOSE)
    axis.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    if of is not None:
        bins = reliability(made.home_win[MODEL][of], made.rows.won[of])
        axis.scatter([b.forecast for b in bins], [b.happened for b in bins],
                     s=[8 + 400 * b.rows / of.sum() for b in bins], color="black")  # fmt: skip
    axis.set(title=f"Reliability, {CLOSE}", xlabel="P(home wins), forecast",
             ylabel="home wins, share", xlim=(0, 1), ylim=(0, 1))  # fmt: skip


def _games(axis: Any, made: Evaluation) -> None:
    """The quietest, the median and the most surprising game, and one in between."""
    games = np.unique(made.rows.game)
    p, won = made.home_win[MODEL], made.rows.won
    loss = np.bincount(made.rows.game, brier(p, won), games[-1] + 1)[games]
    order = games[np.argsort(loss, kind="stable")]
    for share in (0.1, 0.5, 0.85, 1.0):
        game = order[round(share * (len(order) - 1))]
        of = made.rows.game == game
        home, away = made.games[game].final
        axis.plot(made.rows.at[of] / 60, p[of], label=f"{made.games[game].game_id}: {home}–{away}")
    axis.axhline(0.5, color="0.6", linewidth=1)
    axis.set(title="Games, from the least to the most surprising (home–away)",
             xlabel="minute", ylabel="P(home wins)", xlim=(0, 48), ylim=(0, 1))  # fmt: skip
    axis.set_xticks(range(0, 49, 12))
    axis.legend()
