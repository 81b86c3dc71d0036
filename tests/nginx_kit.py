"""nginx, of a configuration that a test makes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


def program(name: str) -> str:
    """Where it is; skips the test where it is not installed."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"needs {name}")
    return found


def nginx(folder: Path, http: str) -> list[str]:
    """The command that runs it, with ``http`` in its block of that name."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    config = folder / "nginx.conf"
    config.write_text(
        f"pid {folder}/pid; error_log {folder}/error.log; daemon off; master_process off;"
        f"events {{}} http {{ {paths} {http} }}"
    )
    return [program("nginx"), "-p", str(folder), "-c", str(config)]
