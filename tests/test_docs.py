"""The documents lead where they say."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")


@cache
def anchors(page: Path) -> frozenset[str]:
    """What `page#…` can be, as the forges make it of a heading."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for found in _LINK.finditer(page.read_text()):
        link = next(filter(None, found.groups()))
        if re.match(r"[a-z]+:", link):
            continue  # elsewhere on the web
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def test_twenty_questions_are_answered() -> None:
    text = (ROOT / "docs/README.md").read_text()
    rows = re.findall(r"^\| ([^|]+\?) \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) == len({question for question, _ in rows}) == 20
    assert all(re.search(r"\]\([^)]+#[^)]+\)", answer) for _, answer in rows)


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def test_the_extras_that_are_named_are_those_that_there_are() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    for page in set(PAGES) - {ROOT / "CHANGELOG.md"}:
        for said in re.findall(r"nbad\[([\w,]+)\]", page.read_text()):
            assert set(said.split(",")) <= extras, page.name
    readme = (ROOT / "README.md").read_text()
    listed = readme[readme.index("From a wheel") : readme.index("`uvx")]
    assert set(re.findall(r"\[(\w+)\]", listed)) == {"watch", "train", "export", "all"} <= extras
