"""One version, from one place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from smartdc import __version__

ROOT = Path(__file__).parents[2]
RELEASES = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
DOCUMENTED = sorted(
    path
    for folder in ("library", "plugins")
    for path in (ROOT / folder).rglob("*.py")
    if "DOCUMENTATION" in path.read_text() and path.parent.name != "doc_fragments"
)


def test_the_changelog_speaks_of_this_version() -> None:
    assert RELEASES[0] == __version__


def test_the_packages_have_this_version() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in settings["project"]
    attribute = settings["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert attribute == "smartdc.version.__version__"
    embedded = tomllib.loads((ROOT / "localdc/pyproject.toml").read_text())
    assert embedded["project"]["version"] == __version__


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.stem)
def test_what_is_documented_was_added_in_a_version_of_the_changelog(path: Path) -> None:
    added = re.findall(r'^ *version_added: "(.*)"$', path.read_text(), re.M)
    assert added and set(added) <= set(RELEASES)
