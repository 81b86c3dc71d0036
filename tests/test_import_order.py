"""What may start a thread is imported only once the signals are blocked for all threads."""

from __future__ import annotations

import subprocess
import sys


def test_the_commands_import_nothing_that_starts_a_thread() -> None:
    """A signal goes to any thread that has not blocked it, and there it ends the process."""
    code = "import sys, nbad.cli; print({'numpy', 'lightgbm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
