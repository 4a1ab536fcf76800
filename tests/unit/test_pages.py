"""The pages of the repository lead to each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page.relative_to(ROOT)
    for folder in ("", "docs", "docs/modules", "localdc", "localdc/docs")
    for page in (ROOT / folder).glob("*.md")
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
README_WORDS = 1100


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def dead(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere; those to other sites are not followed."""
    found = []
    for link in LINK.findall(re.sub(r"`[^`\n]*`", "", text)):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    assert dead(ROOT / page, (ROOT / page).read_text()) == []


def test_links_that_lead_nowhere_are_found() -> None:
    text = "[a](docs/none.md) [b](README.md#none) [c](README.md#what-it-looks-like) [d](docs)"
    assert dead(ROOT / "README.md", text) == ["docs/none.md", "README.md#none"]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) < README_WORDS
