"""``nbad stats``: latency of each pipeline stage, from a running daemon or from its log."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from nbad.cli._daemon import ask
from nbad.cli._parser import add_json
from nbad.cli.run import add_config, address, configured
from nbad.exit_codes import CONFIG, FAILED, OK, UNAVAILABLE, USAGE, end
from nbad.observe.statistics import STAGES, Statistics
from nbad.settings.load import ConfigError

_URL = "http://127.0.0.1:8780"
_FRESHNESS = "freshness"  # from when something happened to its message: a daemon knows it
_COLUMNS = ("count", "errors", "avg", "min", "max", "p50", "p95", "p99")
# What the log says went wrong, and in which stage.
_ERRORS = {
    "feed_error": "poll",
    "schedule_unavailable": "poll",
    "game_skipped": "parse",
}


HELP = "latency of each pipeline stage, from a running daemon or its log"
DESCRIPTION = (
    "Shows the latency of each stage in ms (count, errors, avg, min, max, p50, "
    "p95, p99), of ticks in which the stage had work. A daemon also shows freshness: the time "
    "from an event, by the feed's clock, to its message."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "source", nargs="?", metavar="URL or FILE",
        help=f"the daemon's HTTP address ({_URL}), a log file, or - for a log on standard input; "
        "default: the [http] of the configuration, on this machine",
    )  # fmt: skip
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Exit codes: 0, 64 no such file, 69 no daemon there, 78 a wrong configuration, 1 no stage in
    the log."""
    try:
        source: str = args.source or f"http://{address(configured(args).http)}"
    except ConfigError as error:
        return end("stats", CONFIG, *error.problems)
    try:
        if source.startswith(("http://", "https://")):
            try:
                figures = ask(source, "/v1/stats", "a daemon's statistics", _by_stage)
            except ValueError as error:
                return end("stats", UNAVAILABLE, str(error))
        elif source == "-":
            figures = from_log(sys.stdin.buffer)
        else:
            with Path(source).open("rb") as lines:
                figures = from_log(lines)
    except OSError as error:
        return end("stats", USAGE, f"{source}: expected a log to read, was: {error}")
    except ValueError as error:
        return end("stats", FAILED, str(error))
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in table(figures)))
    return OK


def _by_stage(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {**told["stages"], _FRESHNESS: told["freshness"]}


def from_log(lines: Iterable[bytes]) -> dict[str, dict[str, Any]]:
    """Read the ``stage`` events of a log; ``ValueError`` where there is none.

    ``total`` is the time in stages and channels, summed by tick: a log has no other. Lines that
    are no events (of another program, or cut by a rotation) are passed over.
    """
    statistics = Statistics()
    totals: dict[int, float] = {}
    for line in lines:
        try:
            event = orjson.loads(line)
            name = event["event"]
            if name in _ERRORS:
                statistics.add({}, {_ERRORS[name]: 1}, 0.0)
            if name != "stage":
                continue
            stage, tick, elapsed_ms = event["stage"], event["tick"], float(event["elapsed_ms"])
            totals[tick] = totals.get(tick, 0.0) + elapsed_ms + float(event["waited_ms"])
            if event["games"] or stage == "poll":
                statistics.add({stage: elapsed_ms}, {}, 0.0)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            continue
        if stage == "emit":
            total = totals.pop(tick)
            # What a tick that was superseded left behind would add up over a season.
            totals = {number: ms for number, ms in totals.items() if number > tick}
            if event["games"]:
                statistics.add({"total": total}, {}, 0.0)
    figures = statistics.as_dict(0.0)
    if not figures["poll"]["life"]["count"]:
        raise ValueError("expected a log of `nbad run` with its `stage` events, was none in it")
    return {stage: {**part, "recent": None} for stage, part in figures.items()}


def table(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The figures in columns: the whole life, then the last five minutes where they are known."""
    lines = []
    for span, title in (("life", "since the start"), ("recent", "last 5 minutes")):
        if not any(part.get(span) for part in figures.values()):
            continue
        lines.append(f"{title:16}" + "".join(f"{column:>10}" for column in _COLUMNS))
        for stage in (*STAGES, _FRESHNESS):
            part = figures.get(stage, {})
            if not part.get(span):
                continue
            errors = {"errors": part["errors"]} if span == "life" and "errors" in part else {}
            known = part[span] | errors
            cells = (_cell(known.get(column)) for column in _COLUMNS)
            lines.append(f"{stage:16}" + "".join(f"{cell:>10}" for cell in cells))
    return lines


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
