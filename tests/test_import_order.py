"""What may start a thread is imported only once the signals are blocked for all threads."""

from __future__ import annotations

import subprocess
import sys

from nbad.cli import COMMANDS


def test_the_commands_import_nothing_that_starts_a_thread() -> None:
    """A signal goes to any thread that has not blocked it, and there it ends the process."""
    commands = ", ".join(f"nbad.cli.{name.replace('-', '_')}" for name in COMMANDS)
    assert brought_by(commands, "numpy", "lightgbm") == set()


def test_a_relay_imports_nothing_that_only_a_daemon_needs() -> None:
    """It starts in half the time without."""
    modules = "nbad.cli.relay, nbad.relay.process, nbad.relay.workers"
    unused = "numpy", "lightgbm", "scipy", "pandas", "httpx", "nba_api", "nbad.feed.client"
    assert brought_by(modules, *unused) == set()


def brought_by(modules: str, *names: str) -> set[str]:
    """Those of ``names`` that an import of ``modules`` imports."""
    code = f"import sys, {modules}; print(*{set(names)} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
