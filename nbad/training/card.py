"""The model card: what a model is made of, how good it was on unseen games, what it cannot know."""

from __future__ import annotations

from typing import Any

from nbad.model.forecaster import COLUMNS
from nbad.model.prior import KNOTS_S
from nbad.pattern.game_ids import season_name, season_of
from nbad.training.baselines import REFERENCE
from nbad.training.evaluate import MODEL
from nbad.training.train import Known

_LIMITS = """\
## What it does not know

- Who is hurt in the game, who is in foul trouble, who is on the floor: of who plays it knows the
  starting fives alone, by the averages of what each has done in his games.
- A rookie is an average player until he has played; a coach, a trade and a style are unknown.
- A game on neutral ground looks like one at home, but for the bubble of 2020.
- That a lead shrinks, and how games spread, is taken to be as in the games above; the scoring
  level, home advantage and strengths follow the results.
- The last possession as it is played: fouls to give, time-outs left, two or three points needed.
"""


def card(figures: dict[str, Any], facts: dict[str, Any], known: Known) -> str:
    """The card as Markdown; ``figures`` are :func:`nbad.training.evaluate.report`'s."""
    games = known.games
    scores, margin = figures["scores"], figures["distributions"]["all"]["margin"]
    total = figures["distributions"]["all"]["total"]
    seasons = sorted({season_name(season_of(game.game_id)) for game in games})
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
        "- Team strengths: Kalman filters over earlier margins and totals, carried over summers;",
        "  what the starting fives are worth, from the players' earlier games; the market's line,",
        "  where it is known, weighs most.",
        f"- The ratings after these games (`ratings.json`): season {seasons[-1]}.",
        "- The margin: normal; its mean is the score, less what is lost of a lead, more what is",
        "  still to come of what was expected; a tie leads to an overtime. By seconds left:",
        "",
        *_curves(facts["prior"]),
        "",
        f"  The spread grows with the points expected by the power {facts['prior']['level']:g},"
        f" and is {facts['prior']['overtime']:g} times as large in overtimes.",
        f"- A LightGBM booster of {facts['rounds']} small trees corrects the log-odds of a win,"
        f" from: {', '.join(COLUMNS)}.",
        "- The margin's mean is moved to agree with that probability.",
        f"- The final total: normal. {_pairs(facts['totals'])}",
        "",
        "## How good it is",
        "",
        f"On {figures['how']}, at every 30 s of regulation ({figures['rows']} rows). In brackets:",
        "95 % intervals by a bootstrap over games. Expected by: "
        + ", ".join(f"{name} {count}" for name, count in sorted(figures["basis"].items()))
        + ".",
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


def _curves(prior: dict[str, Any]) -> list[str]:
    names = ("expected", "lost", "bend", "ball", "spread")
    rows = zip(KNOTS_S.tolist(), *(prior[name] for name in names), strict=True)
    return [
        f"| seconds left | {' | '.join(names)} |",
        "|---|---|---|---|---|---|",
        *(f"| {left:.0f} | " + " | ".join(f"{v:.3g}" for v in values) + " |"
          for left, *values in rows),
    ]  # fmt: skip


def _pairs(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items()) + "."


def _distribution(name: str, s: dict[str, float]) -> str:
    return (
        f"Final {name}: mean absolute error {s['mae']:.2f}, pinball loss {s['pinball']:.3f}, CRPS"
        f" {s['crps']:.3f}, the 80 % interval covers {s['coverage_80']:.1%}.  "
    )
