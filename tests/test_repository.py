"""What the repository promises of itself: pinned locks without hosts, modules of one sitting."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nbad.settings.schema import Config

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def test_there_are_locks_to_run_and_to_develop() -> None:
    assert {"dev.txt", "pip.txt", "run.txt"} <= {lock.name for lock in LOCKS}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_every_package_by_hash_and_names_no_host(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "index" not in text
    entries = re.split(r"\n(?=\S)", text.replace("\\\n", " ").strip())
    pinned = [entry for entry in entries if not entry.startswith("#")]
    assert pinned
    for entry in pinned:
        assert re.match(
            r"^[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}",
            entry,
            re.DOTALL,
        )


@pytest.mark.parametrize(
    "module", sorted((ROOT / "nbad").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_module_is_read_in_one_sitting(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= 450


def test_the_example_file_shows_every_default() -> None:
    lines = (ROOT / "nbad.toml").read_text().splitlines()
    uncommented = [re.sub(r"^# (?=\w+ = )", "", line) for line in lines]
    shown = tomllib.loads("\n".join(uncommented))
    defaults = Config().model_dump(mode="json", exclude_none=True)
    # A path without a default is shown as the empty string, which the loader takes for none.
    assert _filled(shown) == _filled(defaults)
    for name, section in Config():
        assert set(shown[name]) == set(type(section).model_fields)


def test_the_example_file_explains_every_key() -> None:
    lines = (ROOT / "nbad.toml").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"# \w+ = ", line):
            assert re.match(r"# .*:$", before), line


def _filled(sections: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        section: {key: value for key, value in keys.items() if value != ""}
        for section, keys in sections.items()
    }


@pytest.mark.parametrize(
    "file",
    [ROOT / "nbad.toml", *sorted((ROOT / "config").glob("*.toml"))],
    ids=lambda path: path.name,
)
def test_an_example_is_a_valid_configuration(file: Path) -> None:
    Config.model_validate(tomllib.loads(file.read_text()))
