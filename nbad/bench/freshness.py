"""How soon a new score is sent, compared with a plain loop: ``benchmarks/freshness.py`` as rows of
the benchmark."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "freshness.py"
# Without a cache, and with one for which the bound is well below the aim:
# docs/performance-freshness.md.
_MAX_AGES = (0, 3)
_SHARE = 0.7
_COLUMNS = ("mean", "p50", "p90", "p99")


def measure(seconds: float) -> dict[str, Any]:
    """Run it for ``seconds``, after a minute in which the caches are learnt.

    Raises ``OSError`` or ``ValueError`` where it does not come to figures.
    """
    ages = ",".join(map(str, _MAX_AGES))
    command = [sys.executable, str(SCRIPT), "--max-age", ages, "--minutes", str(seconds / 60)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    return judged(json.loads(done.stdout.partition(b"\n")[0] or b"null"))


def judged(measured: Any) -> dict[str, Any]:
    """The rows, each with its target, a share of the loop's mean."""
    if not measured:
        raise ValueError(f"expected figures of {SCRIPT.name}, was none")
    rows: dict[str, Any] = {}
    for run in measured:
        age = run["max_age"]
        row = {name: run["nbad"][name] for name in _COLUMNS}
        row |= {other: run[other]["mean"] for other in ("loop", "floor")}
        row["target"] = _SHARE * row["loop"]
        row["pass"] = row["mean"] <= row["target"]
        rows[f"cached for {age:g} s" if age else "no cache"] = row
    return {"title": "freshness, ms from a score to a subscriber", "nbad": rows}


def table(result: Mapping[str, Any]) -> list[str]:
    """A line for each kind of feed."""
    head = "".join(f"{name:>8}" for name in (*_COLUMNS, "floor", "loop"))
    lines = ["", f"{result['title']:44}{head}  target"]
    for name, row in result["nbad"].items():
        cells = "".join(f"{row[column]:8.0f}" for column in (*_COLUMNS, "floor", "loop"))
        verdict = "PASS" if row["pass"] else "FAIL"
        lines.append(f"  {name:42}{cells}  {row['target']:6.0f} {verdict}")
    return lines
