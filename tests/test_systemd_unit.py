"""The unit in a real systemd: started, reloaded, watched, killed and stopped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BOX = ROOT.parent / "shared" / "tools" / "systemd-box"
SCRIPTS = ROOT / "tests" / "systemd"
_CANNOT_BOOT = 77

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BOX.exists() and os.geteuid() == 0 and Path("/lib/systemd/systemd").exists()),
        reason="needs root, systemd and ../shared/tools/systemd-box",
    ),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to be ``/opt``: the product, its virtual environment and that one's Python.

    A copy, as the unit sees neither ``/root`` nor ``/home``, where all this may be.
    """
    opt = tmp_path_factory.mktemp("box") / "opt"
    base = Path(sys.base_prefix)
    skipped = shutil.ignore_patterns("site-packages", "__pycache__", "test", "*.a", "share")
    python = "/usr/bin"
    if base != Path("/usr"):
        python = "/opt/python/bin"
        shutil.copytree(base, opt / "python", symlinks=True, ignore=skipped)
    name = f"python3.{sys.version_info.minor}"
    binaries = opt / "nbad" / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(f"{python}/{name}")
    (binaries.parent / "pyvenv.cfg").write_text(f"home = {python}\n")
    packages = binaries.parent / "lib" / name / "site-packages"
    shutil.copytree(
        sysconfig.get_path("purelib"), packages, ignore=shutil.ignore_patterns("__pycache__")
    )
    for path in packages.glob("*.pth"):
        path.unlink()
    (packages / "nbad.pth").write_text("/opt/nbad\n")
    for folder in ("nbad", "systemd", "monitoring"):
        shutil.copytree(ROOT / folder, opt / "nbad" / folder)
    for file in ("Makefile", "nbad.toml", "pyproject.toml"):
        shutil.copy(ROOT / file, opt / "nbad" / file)
    (opt / "nbad" / "requirements").mkdir()
    for made in ("requirements/run.txt", ".venv/.made", ".venv/.run"):  # the environment is there
        (opt / "nbad" / made).touch()
    script = binaries / "nbad"
    script.write_text(
        "#!/opt/nbad/.venv/bin/python\nimport sys\nfrom nbad.cli import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    return opt.parent


def run_in_box(installed: Path, script: str) -> dict[str, str]:
    """Run ``tests/systemd/SCRIPT`` in a box; return the facts it noted."""
    (installed / "facts").unlink(missing_ok=True)
    # A box has a /tmp of its own, so a script in a clone below /tmp is out of its sight.
    with tempfile.TemporaryDirectory(dir="/var/lib") as folder:
        shutil.copytree(SCRIPTS, folder, dirs_exist_ok=True)
        box = subprocess.run(
            [str(BOX), f"{folder}/{script}"],
            env=os.environ | {"BOX_OUT": str(installed), "BOX_TIMEOUT": "160"},
            capture_output=True,
            text=True,
            check=False,
        )
    if box.returncode == _CANNOT_BOOT:
        pytest.skip(box.stderr.strip())
    assert box.returncode == 0, box.stdout + box.stderr
    return dict(line.split("=", 1) for line in (installed / "facts").read_text().splitlines())


def test_the_unit_lives_as_promised(installed: Path) -> None:
    facts = run_in_box(installed, "unit.sh")
    assert facts["verify"] == "0"
    assert float(facts["security"].removesuffix(" OK")) <= 1.5
    assert facts["started"] == "active"
    assert facts["status"].startswith("4 games, 0 subscribers, last tick ")
    assert facts["user"] == "nbad"
    assert facts["kept_its_process"] == "yes"
    assert facts["killed_by"] == "Failed with result 'watchdog'"
    assert facts["after_watchdog"] == "active"
    assert facts["same_forecasts"].endswith(" points"), facts["same_forecasts"]
    assert int(facts["same_forecasts"].split()[0]) > 0
    assert facts["told_as_errors"] == "reload_rejected"  # by the priority, to the journal
    assert facts["stopped"] == "success 0"
    lines = (installed / "journal").read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    rejected = [event for event in events if event["event"] == "reload_rejected"]
    assert len(rejected) == 1
    assert any("poll.live_interval_s" in error for error in rejected[0]["errors"])
    assert any("prot" in error and "port" in error for error in rejected[0]["errors"])
    assert [event["event"] for event in events].count("ready") == 3


def test_no_restart_refuses_anybody_who_comes_by_the_socket(installed: Path) -> None:
    facts = run_in_box(installed, "activation.sh")
    assert facts["before"] == "inactive"
    assert facts["stopped"] == "success 0"
    seen = json.loads((installed / "newcomers").read_text())
    assert "refused" not in seen
    assert seen["epochs"] == 4  # the first who came started it; three restarts
    assert seen["served"] >= 15


@pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server")
def test_the_unit_of_relays_lives_as_promised(installed: Path) -> None:
    facts = run_in_box(installed, "relay.sh")
    assert facts["verify"] == "0"
    assert float(facts["security"].removesuffix(" OK")) <= 1.5
    assert facts["started"] == facts["after_kill"] == "active"
    assert facts["user"] == "nbad"
    assert facts["kept_its_process"] == "yes"
    assert facts["stopped"] == "success 0"
    assert facts["left"] == "0"
    lines = (installed / "journal").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines if line.startswith("{")]
    assert events.count("worker_ended") == 1
    assert "crashed" not in events
