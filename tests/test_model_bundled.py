"""The bundled model: its files are of one piece, and everything that names it names the same."""

from __future__ import annotations

import re
import struct
import zlib
from hashlib import sha256
from pathlib import Path

import orjson

from nbad.model.forecaster import BUNDLED, Forecaster
from nbad.training.fit import FEW_ROUNDS, MOST_ROUNDS
from nbad.training.train import SUMS, sums

ROOT = Path(__file__).parent.parent


def title_of(picture: Path) -> str:
    """The title in a PNG's text, read by its chunks."""
    body = picture.read_bytes()
    assert body.startswith(b"\x89PNG\r\n\x1a\n")
    at = 8
    while at < len(body):
        (length,) = struct.unpack(">I", body[at : at + 4])
        kind, content = body[at + 4 : at + 8], body[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + content) == struct.unpack(">I", body[at + 8 + length :][:4])[0]
        if kind == b"tEXt" and content.startswith(b"Title\0"):
            return content.partition(b"\0")[2].decode("latin-1")
        at += 12 + length
    raise AssertionError("no title")


def test_its_files_are_those_that_training_wrote() -> None:
    """Byte for byte: made by the one command of docs/model.md, and not touched since."""
    told = (BUNDLED / SUMS).read_text()
    assert told == sums(BUNDLED)
    names = {line.split("  ")[1] for line in told.splitlines()}
    assert names | {SUMS} == {path.name for path in BUNDLED.iterdir() if path.is_file()}
    for line in told.splitlines():
        digest, name = line.split("  ")
        assert sha256((BUNDLED / name).read_bytes()).hexdigest() == digest


def test_card_picture_and_documentation_name_the_same_model() -> None:
    name = Forecaster.load().name
    assert (BUNDLED / "CARD.md").read_text().startswith(f"# {name}\n")
    assert title_of(BUNDLED / "evaluation.png") == name
    assert name in (ROOT / "docs" / "model.md").read_text()


def test_it_is_what_todays_recipe_can_have_made() -> None:
    """No file says what the recipe of today would not write: rounds, seed, curves as rounded."""
    facts = orjson.loads((BUNDLED / "model.json").read_bytes())
    assert 1 <= facts["rounds"] <= MOST_ROUNDS >= FEW_ROUNDS
    assert (BUNDLED / "home_win.txt").read_text().count("Tree=") == facts["rounds"]
    for values in facts["prior"].values():
        for value in values if isinstance(values, list) else [values]:
            assert value == float(f"{value:.4g}")
    model = Forecaster.load()
    assert model.facts()["prior"] == {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in facts["prior"].items()
    }
    assert re.fullmatch(r"(\d{10}-\d{10} ?)+", facts["trained_on"])
    # Its ratings know the last game that it learnt from, and none of a later season.
    last = facts["trained_on"].split()[-1].split("-")[1]
    assert model.ratings.season == int(last[3:5])
    kept = orjson.loads((BUNDLED / "ratings.json").read_bytes())
    assert (
        orjson.loads(orjson.dumps(model.ratings.to_json(), option=orjson.OPT_NON_STR_KEYS)) == kept
    )
