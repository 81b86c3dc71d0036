"""``nbad install-service``: the systemd units, a configuration and the monitoring files."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbad
from nbad.exit_codes import FAILED, OK, USAGE, end

UNITS = ("nbad.service", "nbad.socket", "nbad-http.socket", "nbad-relay@.service")
_DROP_IN = "nbad.service.d-notify-reload.conf"
_MONITORING = ("alerts.yml", "grafana.json", "logrotate")
# What the unit's sandbox does not see: a daemon there would end with 203/EXEC, and say nothing.
_HIDDEN = ("/home", "/root", "/tmp", "/var/tmp", "/run/user")
_NOTIFY_RELOAD = 253


HELP = "write systemd units, a configuration and monitoring files"
DESCRIPTION = (
    "Writes the systemd units for this installation of nbad, /etc/nbad/nbad.toml"
    " where there is none, and the monitoring files to /etc/nbad/monitoring. Run it as root,"
    " and again after moving nbad. It starts nothing."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--root", type=Path, default=Path("/"), metavar="DIR", help="write below this folder"
    )


def run(args: argparse.Namespace) -> int:
    """Exit codes: 0 written, 1 a file cannot be written, 64 nbad is where no service sees it."""
    command = Path(sysconfig.get_path("scripts")) / "nbad"
    # The interpreter that the environment links to must be seen as well.
    for what, path in (("nbad", command), ("its Python", Path(sys.executable).resolve())):
        if path.is_relative_to("/") and any(path.is_relative_to(hidden) for hidden in _HIDDEN):
            return end("install-service", USAGE, f"{what} is {path}, which a service cannot see:"
                       " install nbad below /opt, with a Python of the system")  # fmt: skip
    try:
        written = install(args.root, command, _systemd_version())
    except OSError as error:
        return end("install-service", FAILED, f"{error.filename}: {error.strerror}; run it as root")
    sys.stdout.write("".join(f"{path}\n" for path in written))
    if args.root == Path("/"):
        sys.stdout.write(
            "now: systemctl daemon-reload && "
            "systemctl enable --now nbad.socket nbad-http.socket nbad\n"
        )
    return OK


def install(root: Path, command: Path, systemd: int) -> list[Path]:
    """Write the files below ``root`` for an nbad at ``command``; the files written.

    A configuration that is there stays as it is. Raises OSError.
    """
    units, etc = root / "etc/systemd/system", root / "etc/nbad"
    files = {units / name: unit(name, command) for name in UNITS}
    if systemd >= _NOTIFY_RELOAD:
        files[units / "nbad.service.d/notify-reload.conf"] = source(f"systemd/{_DROP_IN}")
    files |= {etc / "monitoring" / name: source(f"monitoring/{name}") for name in _MONITORING}
    if not (etc / "nbad.toml").exists():
        files[etc / "nbad.toml"] = source("nbad.toml")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(0o644)
    return list(files)


def unit(name: str, command: Path) -> str:
    """A unit for an nbad at ``command``."""
    text = source(f"systemd/{name}").replace("/opt/nbad/.venv/bin/nbad", str(command))
    docs = _home() / "docs"
    if docs.is_dir():
        return text.replace("/opt/nbad/docs", str(docs))
    return re.sub(r"(?m)^Documentation=.*\n", "", text)


def source(name: str) -> str:
    """A file that comes with nbad: beside the package in a checkout, else of the wheel."""
    return (_home() / name).read_text("utf-8")


def _home() -> Path:
    checkout = Path(nbad.__file__).parents[1]
    if (checkout / "systemd").is_dir():
        return checkout
    return Path(sysconfig.get_path("data")) / "share/nbad"


def _systemd_version() -> int:
    """The system's, 0 where there is none."""
    try:
        said = subprocess.run(
            ["systemctl", "--version"], capture_output=True, text=True, check=False, env=os.environ
        ).stdout
    except OSError:
        return 0
    found = re.search(r"systemd (\d+)", said)
    return int(found[1]) if found else 0
