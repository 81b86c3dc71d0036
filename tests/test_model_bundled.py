"""The bundled model: its files are of one piece, and everything that names it names the same."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from nbad.model.forecaster import BUNDLED, Forecaster
from nbad.training.train import SUMS, sums

ROOT = Path(__file__).parent.parent


def test_its_files_are_those_that_were_written() -> None:
    """Byte for byte, and none beside them."""
    told = (BUNDLED / SUMS).read_text()
    assert told == sums(BUNDLED)
    names = {line.split("  ")[1] for line in told.splitlines()}
    assert names | {SUMS} == {path.name for path in BUNDLED.iterdir() if path.is_file()}
    for line in told.splitlines():
        digest, name = line.split("  ")
        assert sha256((BUNDLED / name).read_bytes()).hexdigest() == digest


def test_card_and_documentation_name_the_same_model() -> None:
    name = Forecaster.load().name
    assert (BUNDLED / "CARD.md").read_text().startswith(f"# {name}\n")
    assert name in (ROOT / "docs" / "model.md").read_text()
