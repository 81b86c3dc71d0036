"""The model card: what a model is made of, how good it was on unseen games, what it cannot know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbad.model.forecaster import COLUMNS
from nbad.training.baselines import REFERENCE
from nbad.training.evaluate import MODEL
from nbad.training.recorded import RecordedGame

_LIMITS = """\
## What it does not know

- Who plays: injuries, rest of stars, trades, fouls, line-ups. A team is its results of the season.
- Before a team has played, it is an average team; its first ten games are the least certain ones.
- Seasons other than those above. The spread grows with the square root of the points that the
  season's games score, home advantage and ratings follow the season's results; that a lead shrinks
  as it did in the games above is taken for granted.
- Playoffs and neutral courts: taken for regular games with a home side.
- Overtime: a game of five minutes by the same formula, too rare above to be fitted by itself.
"""


def card(figures: dict[str, Any], facts: dict[str, Any], games: Sequence[RecordedGame]) -> str:
    """The card as Markdown; ``figures`` are :func:`nbad.training.evaluate.report`'s."""
    scores, margin = figures["scores"], figures["distributions"]["all"]["margin"]
    total = figures["distributions"]["all"]["total"]
    seasons = sorted({f"20{game.game_id[3:5]}-{int(game.game_id[3:5]) + 1:02d}" for game in games})
    lines = [
        f"# {figures['model']}",
        "",
        f"Made by `nbad train --seed {facts['seed']}`; every forecast carries this name and hash.",
        "",
        "## What it learnt from",
        "",
        f"{len(games)} games, {games[0].game_id} to {games[-1].game_id}, of {', '.join(seasons)}.",
        "",
        "## What it is",
        "",
        "- Team strengths: Gaussian posteriors (Kalman filters) from earlier results alone.",
        "- The final margin: normal, its mean reverting from the score to what was expected, its",
        "  spread growing with the game's tempo, and a tie at the end leads to an overtime.",
        f"  {_pairs(facts['prior'])}",
        f"- A LightGBM booster of {facts['rounds']} small trees corrects the log-odds of a win,"
        f" from: {', '.join(COLUMNS)}.",
        "- The margin's mean is moved to agree with that probability.",
        f"- The final total: normal. {_pairs(facts['totals'])}",
        "",
        "## How good it is",
        "",
        f"On {figures['how']}, at every 30 s of regulation ({figures['rows']} rows). In brackets:",
        "95 % intervals by a bootstrap over games.",
        "",
        "| | Brier | log loss | ECE | right | log loss of the model less this |",
        "|---|---|---|---|---|---|",
    ]
    for name, parts in scores.items():
        s = parts["all"]
        difference = ""
        if name != MODEL:
            difference = "{:+.4f} ({:+.4f} … {:+.4f})".format(
                *figures["differences"][name]["all"]["log_loss"]
            )
        lines.append(
            f"| {name} | {s['brier']:.4f} | {s['log_loss']:.4f} | {s['ece']:.2%}"
            f" | {s['accuracy']:.1%} | {difference} |"
        )
    intervals = figures["intervals"]
    lines += [
        "",
        "Brier score {:.4f} ({:.4f} … {:.4f}), ".format(*intervals["brier"])
        + "log loss {:.4f} ({:.4f} … {:.4f}).".format(*intervals["log_loss"]),
        "",
        "| the model | Brier | log loss | ECE | margin CRPS | 80 % interval covers |",
        "|---|---|---|---|---|---|",
    ]
    for part, s in scores[MODEL].items():
        of = figures["distributions"][part]["margin"]
        lines.append(
            f"| {part} | {s['brier']:.4f} | {s['log_loss']:.4f} | {s['ece']:.2%}"
            f" | {of['crps']:.2f} | {of['coverage_80']:.1%} |"
        )
    lines += ["", _distribution("margin", margin), _distribution("total", total)]
    if figures["margin_crps_difference"]:
        lines.append(
            f"Margin CRPS less that of the {REFERENCE}: {{:+.3f}} ({{:+.3f}} … {{:+.3f}}).".format(
                *figures["margin_crps_difference"]
            )
        )
    return "\n".join([*lines, "", "![evaluation](evaluation.png)", "", _LIMITS])


def _pairs(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items()) + "."


def _distribution(name: str, s: dict[str, float]) -> str:
    return (
        f"Final {name}: mean absolute error {s['mae']:.2f}, pinball loss {s['pinball']:.3f}, CRPS"
        f" {s['crps']:.3f}, the 80 % interval covers {s['coverage_80']:.1%}.  "
    )
