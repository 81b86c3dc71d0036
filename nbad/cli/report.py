"""``nbad report``: one page on a past night."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from nbad.cli.run import add_config, configured
from nbad.exit_codes import CONFIG, FAILED, OK, USAGE, end
from nbad.observe.statistics import STAGES, Statistics
from nbad.settings.load import ConfigError

if TYPE_CHECKING:
    from nbad.recording.nights import WholeGame

_SWINGS = 5
_STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.45 system-ui, sans-serif;
  color-scheme: light dark; }
table { border-collapse: collapse; margin: .5rem 0; } th, td { padding: .15rem .8rem .15rem 0;
  text-align: right; border-bottom: 1px solid #8884; font-weight: 400; }
th:first-child, td:first-child { text-align: left; } small { opacity: .7; }
svg { width: 100%; height: 90px; } path { fill: none; stroke: currentColor; stroke-width: 2;
  vector-effect: non-scaling-stroke; } .mid { stroke-width: 1; opacity: .4; }
"""


HELP = "HTML report on a past night: swings, calibration, latency, warnings and errors"
DESCRIPTION = (
    "Writes one HTML page on a night that [record] path kept. With a log of that"
    " night, also the latency of each stage and the warnings and errors."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "night", metavar="DATE", help="date of the evening in the US, such as 2026-01-19"
    )
    parser.add_argument(
        "--from", dest="folder", type=Path, metavar="DIR",
        help="the folder of past nights; default: [record] path of the configuration",
    )  # fmt: skip
    add_config(parser)
    parser.add_argument("--log", type=Path, metavar="FILE", help="the daemon's log of that night")
    parser.add_argument(
        "--out", type=Path, metavar="FILE.html", help="file to write; default: standard output"
    )


def run(args: argparse.Namespace) -> int:
    """Exit codes: 0, 64 no recording of that night, 78 a wrong configuration, 1 a file cannot be
    used."""
    from nbad.recording.nights import NightsError, night

    folder: Path | None = args.folder
    try:
        folder = folder or configured(args).record.path
    except ConfigError as error:
        return end("report", CONFIG, *error.problems)
    if folder is None:
        return end("report", USAGE, "expected --from DIR, as [record] path is empty")
    try:
        games = night(folder, args.night)
        if not games:
            return end("report", USAGE, f"{args.night}: expected a night recorded in {folder}")
        told = None
        if args.log:
            with args.log.open("rb") as lines:
                told = read_log(lines, args.night)
        text = page(args.night, games, told)
        if args.out:
            args.out.write_text(text, "utf-8")
        else:
            sys.stdout.write(text)
    except OSError as error:
        return end("report", FAILED, f"{error.filename or args.out}: {error.strerror}")
    except NightsError as error:
        return end("report", FAILED, str(error))
    return OK


@dataclass(slots=True)
class Told:
    """What a log says of a night: latencies, and its warnings and errors by event, each with its
    count, its first and its last time."""

    latency: Statistics = field(default_factory=Statistics)
    troubles: dict[str, tuple[int, str, str]] = field(default_factory=dict)


def read_log(lines: Iterable[bytes], night: str) -> Told:
    """The events of ``night``; lines that are not ours are passed over."""
    from nbad.recording.nights import night_of

    told = Told()
    for line in lines:
        try:
            event = orjson.loads(line)
            at = datetime.fromisoformat(event["timestamp"]).timestamp()
        except (ValueError, TypeError, KeyError):
            continue
        if night_of(at) != night:
            continue
        name, level = event.get("event"), event.get("level")
        if name == "stage" and event.get("games") and event.get("stage") in STAGES:
            told.latency.add({event["stage"]: float(event["elapsed_ms"])}, {}, at)
        elif level in ("warning", "error", "critical"):
            count, first, _ = told.troubles.get(name, (0, event["timestamp"], ""))
            # A trouble that lasts is logged once a minute, with how often it came.
            count += int(event.get("repeated") or 1)
            told.troubles[name] = count, first, event["timestamp"]
    return told


def page(night: str, games: Sequence[WholeGame], told: Told | None) -> str:
    """The page, by itself: no script, and nothing from elsewhere."""
    parts = [f"<h1>NBA games of {escape(night)}</h1>", *_verdict(games)]
    for whole in games:
        parts += _game(whole)
    if told is not None:
        parts += _latency(told)
    title = f"nbad · {escape(night)}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</html>\n"
    )


def _verdict(games: Sequence[WholeGame]) -> list[str]:
    from nbad.training.verdict import judge

    found = judge((g.kept.home_score - g.kept.away_score, g.kept.said) for g in games)
    rows = [
        (
            "all of them" if v["moment"] is None else f"after {v['moment'] / 60:.0f} min",
            v["games"], f"{v['favourite_won']:.0%}", f"{v['margin_covered']:.0%}",
            f"{v['brier']:.3f}", f"{v['log_loss']:.3f}",
        )
        for v in (*found["moments"], found["all"]) if v
    ]  # fmt: skip
    bins = [
        (f"{b['forecast']:.0%}", f"{b['happened']:.0%}", b["rows"]) for b in found["calibration"]
    ]
    return [
        "<h2>Was it right?</h2>",
        _table(("Forecast", "Games", "Favourite won", "Margin in 80% band", "Brier", "Log loss"),
               rows),
        "<h2>Calibration</h2>", _table(("Chance said", "Came true", "Forecasts"), bins),
    ]  # fmt: skip


def _game(whole: WholeGame) -> list[str]:
    game, told = orjson.loads(whole.game), orjson.loads(whole.plays)
    plays = [dict(zip(told["columns"], row, strict=True)) for row in told["plays"]]
    home, away = game["home"], game["away"]
    moved = sorted(
        (p for p in plays if p["kind"] not in ("game", "period") and p["swing"]),
        key=lambda p: -abs(p["swing"]),
    )[:_SWINGS]
    rows = [
        (
            f"Q{p['period']} {int(p['clock_s']) // 60}:{int(p['clock_s']) % 60:02}"
            f" {p['description']}",
            f"{(home if p['swing'] > 0 else away)['tricode']} +{abs(p['swing']):.0%}",
        )
        for p in moved
    ]
    heading = (
        f"{away['tricode']} {away['score']} @ {home['tricode']} {home['score']}"
        f" <small>{escape(away['name'])} at {escape(home['name'])}</small>"
    )
    return [f"<h2>{heading}</h2>", _curve(game["series"], home["tricode"]),
            _table(("Biggest swings", "Win chance"), rows)]  # fmt: skip


def _curve(series: Sequence[Sequence[float]], home: str) -> str:
    if not series:
        return ""
    end_s = max(2880.0, series[-1][0])
    points = " ".join(
        f"{'L' if i else 'M'}{1000 * row[0] / end_s:.1f} {100 - 100 * row[1]:.1f}"
        for i, row in enumerate(series)
    )
    return (
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img"'
        f' aria-label="Chance of {escape(home)} to win, over the game">'
        f'<path class="mid" d="M0 50H1000"/><path d="{points}"/></svg>'
    )


def _latency(told: Told) -> list[str]:
    rows = []
    for name in STAGES:
        life = told.latency.stages[name].life.as_dict()
        if life["count"]:
            rows.append((name, life["count"], *(life[key] for key in ("p50", "p95", "p99", "max"))))
    parts = ["<h2>Latency <small>ms, of ticks with work</small></h2>"]
    parts.append(_table(("Stage", "Ticks", "p50", "p95", "p99", "max"), rows))
    troubles = [(name, *found) for name, found in sorted(told.troubles.items())]
    parts.append("<h2>Warnings and errors</h2>")
    if troubles:
        parts.append(_table(("Event", "Times", "First", "Last"), troubles))
    else:
        parts.append("<p>None.</p>")
    return parts


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
