"""``nbad bench``: every stage on slates of live games, compared with budgets and baselines."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbad.cli._files import picture
from nbad.cli._parser import add_json
from nbad.cli.run import add_config
from nbad.exit_codes import CONFIG, FAILED, OK, USAGE, end
from nbad.settings.files import try_to_write
from nbad.settings.load import ConfigError, find, read_values
from nbad.settings.schema import BudgetsMs

_BASELINES = Path(__file__).parent.parent.parent / "benchmarks" / "baselines"
_RIVALS = ("expert", "tuned", "tuned at once", "plain")
_NEEDS = ("aiohttp", "fastapi", "uvicorn", "uvloop", "websockets", "requests", "sklearn")

Say = Callable[[str], object]
"""Where lines for a reader go."""


HELP = "benchmark each stage against its time budget and the baselines"
DESCRIPTION = (
    "Benchmarks the daemon, and the baselines where they are installed, on slates "
    "of simulated games that all change at once. Needs no network."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--polls", type=int, default=30, metavar="N", help="ticks per slate and round"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=1,
        metavar="N",
        help="rounds on each slate, in alternating turns",
    )
    parser.add_argument(
        "--quarter", type=int, default=1, choices=(1, 2, 3, 4), help="quarter that the games are in"
    )
    parser.add_argument(
        "--slates", default="1,5,10,15,30", metavar="N,…", help="live games, 1 to 30 each"
    )
    parser.add_argument(
        "--subscribers", type=int, default=100, metavar="N", help="number of subscribers"
    )
    parser.add_argument(
        "--live", action="store_true",
        help="measure on the configured feed instead of simulated slates, one tick per poll",
    )  # fmt: skip
    parser.add_argument(
        "--freshness", type=float, default=60.0, metavar="SECONDS",
        help="afterwards measure for this long how soon a new score is sent, compared with a plain "
        "loop; 0: skip",
    )  # fmt: skip
    add_config(parser)
    parser.add_argument("--alone", action="store_true", help="skip the baselines")
    add_json(parser)
    parser.add_argument("--plot", type=picture, metavar="FILE.png", help="also plot the totals")


def run(args: argparse.Namespace) -> int:
    """Exit codes: 0 every stage within its budget, 1 one over it or not measured, 64, 78."""
    import trio

    from nbad.bench.runner import ContestError, leaves
    from nbad.bench.scenario import LARGEST

    try:
        slates = [int(games) for games in args.slates.split(",")]
    except ValueError:
        return end("bench", USAGE, f"--slates: expected numbers like 1,5,10, was {args.slates}")
    if not all(1 <= games <= LARGEST for games in slates) or min(args.polls, args.rounds) < 1:
        told = f"expected slates of 1 to {LARGEST} games, and 1 poll and round or more"
        return end("bench", USAGE, told)
    if args.subscribers < 0:
        return end("bench", USAGE, f"--subscribers: expected 0 or more, was {args.subscribers}")
    if args.live:  # the daemon that is measured would only say it on its own log
        from nbad.settings.runtime import make_runtime

        try:
            make_runtime(*read_values(find(args.config), os.environ))
        except ConfigError as error:
            return end("bench", CONFIG, *error.problems)
    try:
        try_to_write(args.plot)
    except OSError as error:
        told = f"--plot {args.plot}: expected a file that can be written, was: {error.strerror}"
        return end("bench", USAGE, told)
    if args.plot:  # without matplotlib it ends here
        import matplotlib  # noqa: F401
    # The tables come as they are measured; with --json they are what one watches meanwhile.
    say = sys.stderr.write if args.json else sys.stdout.write
    results: list[dict[str, Any]] = []
    problems: list[str] = []
    try:
        if args.live:
            results = trio.run(measure_feed, find(args.config), args.polls, say)
        else:
            others = rivals(say, alone=args.alone)
            results = trio.run(measure_all, slates, args, others, say)
            if args.plot:
                try:
                    draw(results, args.plot)
                except OSError as error:
                    problems.append(f"--plot {args.plot}: {error.strerror}")
            if args.freshness > 0 and not args.alone:
                results += measure_freshness(args.freshness, say)
    except* ContestError as group:
        problems += [str(error) for error in leaves(group)]
    if problems:
        return end("bench", FAILED, "; ".join(problems))
    if args.json:
        sys.stdout.write(json.dumps({"results": results}, indent=2) + "\n")
    kept = all(row["pass"] for result in results for row in result["nbad"].values())
    return OK if kept else end("bench", FAILED, "a stage is over its budget: see FAIL above")


async def measure_feed(config: Path | None, polls: int, say: Say) -> list[dict[str, Any]]:
    """Measure on the configured feed, and ``say`` the table."""
    from nbad.bench.runner import measure_live

    costs = await measure_live(config, polls)
    result = judged({"title": f"the live feed, {len(costs)} ticks"}, costs)
    say("".join(f"{line}\n" for line in table(result)))
    return [result]


def measure_freshness(seconds: float, say: Say) -> list[dict[str, Any]]:
    """Measure how soon a score is told, where the script for it is there, and ``say`` it."""
    from nbad.bench import freshness
    from nbad.bench.runner import ContestError

    if not freshness.SCRIPT.is_file():
        say(f"without freshness (not here: {freshness.SCRIPT})\n")
        return []
    try:
        result = freshness.measure(seconds)
    except (OSError, ValueError, KeyError) as error:
        raise ContestError(f"freshness: {error}") from None
    say("".join(f"{line}\n" for line in freshness.table(result)))
    return [result]


def judged(result: dict[str, Any], costs: list[dict[str, float]]) -> dict[str, Any]:
    """``result`` with nbad's figures, each with its budget."""
    from nbad.bench.runner import figures

    rows = result["nbad"] = dict(figures(costs))
    rows["total"]["ticks"] = len(costs)
    budgets = BudgetsMs()
    for stage, row in rows.items():
        row["target"] = getattr(budgets, stage)
        row["pass"] = row["p99"] <= row["target"]
    return result


def rivals(say: Say, *, alone: bool) -> list[Any]:
    """The baselines, where they and what they need are there."""
    from nbad.bench.runner import Contestant

    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if alone or not _BASELINES.is_dir() or missing:
        why = "" if alone else f" (not here: {', '.join(missing) or _BASELINES})"
        say(f"without the baselines{why}\n")
        return []
    return [
        Contestant(name, (sys.executable, str(_BASELINES / f"{name.replace(' ', '_')}.py")))
        for name in _RIVALS
    ]


async def measure_all(
    slates: list[int], args: argparse.Namespace, others: list[Any], say: Say
) -> list[dict[str, Any]]:
    """Measure, all taking turns on each slate, and ``say`` it as it goes."""
    from nbad.bench.runner import Contestant, Run, figures, measure, prepared_feed

    results = []
    for games in slates:
        runs: dict[str, list[Run]] = {}
        async with prepared_feed(games, args.quarter) as feed:
            for _ in range(args.rounds):
                for one in (Contestant("nbad"), *others):
                    run = await measure(one, feed, games, args.polls, args.subscribers)
                    runs.setdefault(one.name, []).append(run)
        result: dict[str, Any] = {
            "games": games, "subscribers": args.subscribers, "quarter": args.quarter,
            "title": f"{games} live games (Q{args.quarter}), {args.subscribers} subscribers",
        }  # fmt: skip
        for name, of in runs.items():
            costs = [cost for run in of for cost in run.costs]
            if name == "nbad":
                judged(result, costs)
            else:
                result[name] = figures(costs)
        result["rounds"] = {name: [rounded(run) for run in of] for name, of in runs.items()}
        results.append(result)
        say("".join(f"{line}\n" for line in (*table(result), *turns(result))))
        sys.stdout.flush()
    return results


def rounded(run: Any) -> dict[str, float]:
    """A round's figures: CPU of the pipeline and of the feed, and the median tick, in ms."""
    tick_ms = statistics.median(cost["total"] for cost in run.costs)
    return {"cpu": run.cpu_ms, "feed_cpu": run.feed_cpu_ms, "tick": tick_ms}


def turns(result: dict[str, Any]) -> list[str]:
    """The CPU and time of each, median and spread of the rounds, and the ratio to nbad's."""
    lines = []
    ours = result["rounds"]["nbad"]
    for name, rounds in result["rounds"].items():
        cells = ""
        for what in ("cpu", "tick"):
            values = [of[what] for of in rounds]
            ratios = [of[what] / mine[what] for of, mine in zip(rounds, ours, strict=True)]
            spread = f"({min(values):.2f} to {max(values):.2f})"
            cells += f"  {what} {statistics.median(values):7.2f} {spread:18}"
            cells += f" {statistics.median(ratios):5.2f}×"
        feed = statistics.median(of["feed_cpu"] for of in rounds)
        lines.append(f"  {name:14}{cells}  feed's cpu {feed:.2f}")
    return ["  ms a tick, median and spread of the rounds:", *lines]


def table(result: dict[str, Any]) -> list[str]:
    """One slate: nbad's stages with their budgets, and how many times slower the others are."""
    others = [name for name in _RIVALS if name in result]
    lines = [
        "",
        f"{result['title']:34}{'avg':>8}{'p50':>8}{'p95':>8}{'p99':>8}  target       "
        + "".join(f"{f'{name} p50':>19}{'ratio':>7}" for name in others),
    ]
    for stage, row in result["nbad"].items():
        cells = "".join(f"{row[name]:8.2f}" for name in ("avg", "p50", "p95", "p99"))
        verdict = "PASS" if row["pass"] else "FAIL"
        beside = "".join(
            f"{result[name][stage]['p50']:19.2f}{result[name][stage]['p50'] / row['p50']:6.1f}×"
            for name in others
        )
        lines.append(f"  {stage:32}{cells}  {row['target']:6g} {verdict}{beside:>}")
    return lines


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """The totals by size of the slate, as a picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    games = [result["games"] for result in results]
    for name in (*reversed(_RIVALS), "nbad"):
        if all(name in result for result in results):
            totals = [result[name]["total"] for result in results]
            axes.plot(games, [total["p50"] for total in totals], marker="o", label=f"{name}, p50")
            axes.plot(
                games, [total["p99"] for total in totals], ls=":", c=axes.lines[-1].get_color()
            )
    axes.set(xlabel="live games, all changed", ylabel="a tick, ms (dotted: p99)", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
