"""``nbad install-service``: units for this installation, and nothing that is there overwritten."""

from __future__ import annotations

import configparser
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from nbad.cli import install_service, main
from nbad.settings.load import load


@pytest.mark.parametrize("systemd", [252, 253])
def test_the_units_name_the_command_and_a_configuration_stays(tmp_path: Path, systemd: int) -> None:
    command = Path("/srv/nbad/bin/nbad")
    written = install_service.install(tmp_path, command, systemd)
    units = tmp_path / "etc/systemd/system"
    for name in ("nbad.service", "nbad-relay@.service"):
        unit = configparser.RawConfigParser(strict=False)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string((units / name).read_text())
        assert unit["Service"]["ExecStart"].startswith(f"{command} ")
        assert "/opt/nbad" not in (units / name).read_text()
    drop_in = units / "nbad.service.d/notify-reload.conf"
    assert drop_in.exists() == (systemd >= 253)
    assert load(tmp_path / "etc/nbad/nbad.toml", {}).origin == {}
    assert {path.name for path in (tmp_path / "etc/nbad/monitoring").iterdir()} == {
        "alerts.yml", "grafana.json", "logrotate",
    }  # fmt: skip
    assert all(path.is_file() for path in written)
    (tmp_path / "etc/nbad/nbad.toml").write_text("[poll]\nlive_interval_s = 2.0\n")
    install_service.install(tmp_path, command, systemd)
    assert "2.0" in (tmp_path / "etc/nbad/nbad.toml").read_text()


def test_an_nbad_that_no_service_sees_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/env")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: "/home/me/.venv/bin")
    assert main(["install-service", "--root", str(tmp_path)]) == 64
    assert "/home/me/.venv/bin/nbad, which a service cannot see" in capsys.readouterr().err
    monkeypatch.setattr(sysconfig, "get_path", lambda _: "/opt/nbad/bin")
    monkeypatch.setattr(sys, "executable", "/root/.pyenv/versions/3.11.7/bin/python3.11")
    assert main(["install-service", "--root", str(tmp_path)]) == 64
    assert "its Python is /root" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_command_whose_extra_is_missing_names_it() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from nbad.cli import main; sys.exit(main(['train', '--data', '/tmp']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 69
    assert ended.stderr == ("nbad train: matplotlib is not installed; pip install 'nbad[train]'\n")
