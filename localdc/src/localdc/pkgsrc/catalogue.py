"""What the repository offers, and how a distribution's name and needs read in pkgsrc."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

CATALOGUE = Path(__file__).with_name("catalogue.toml")
DESCRIPTIONS = Path(__file__).with_name("on_demand.json")


class CatalogueError(Exception):
    """The catalogue does not say enough to build the repository."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One package: its pkgsrc path, and the distribution and version it is made from."""

    path: str
    distribution: str
    version: str

    def name(self, python: str) -> str:
        """The package's name for Python `python`: `py311-zmq` for `311`."""
        return f"py{python}-{self.path.rpartition('/')[2].removeprefix('py-')}"

    def pkgname(self, python: str) -> str:
        """Name and version as pkgsrc joins them: `py311-zmq-27.3.0`."""
        return f"{self.name(python)}-{self.version}"

    @property
    def pin(self) -> str:
        """The distribution as pip is asked for it."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True, slots=True)
class Offer:
    """A package that is made when somebody asks for it, and what is said of it before.

    `file_size` is what must be downloaded, `size` what it takes unpacked, in bytes.
    """

    entry: Entry
    comment: str
    homepage: str
    requires: tuple[str, ...]
    file_size: int
    size: int


def canonical(distribution: str) -> str:
    """A distribution's name in the form the package index compares."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def distribution(requirement: str) -> str:
    """The distribution that a requirement for pip names, "" for what only pip understands."""
    try:
        return canonical(Requirement(requirement).name)
    except InvalidRequirement:
        return ""


def load(path: Path = CATALOGUE, section: str = "packages") -> list[Entry]:
    """The entries in one section of a catalogue file.

    Raises CatalogueError for an entry that is not an exact pin.
    """
    entries = []
    for pkgpath, pin in tomllib.loads(path.read_text())[section].items():
        name, separator, version = str(pin).partition("==")
        if not separator or not version or "*" in version:
            raise CatalogueError(f"{path.name}: {pkgpath}: {pin!r} is not an exact pin")
        entries.append(Entry(str(pkgpath), canonical(name), version))
    return entries


def for_pip(path: Path = CATALOGUE) -> frozenset[str]:
    """The distributions whose wheels must be made again for pip of a machine."""
    return frozenset(tomllib.loads(path.read_text())["pip"]["names"])


def offers() -> list[Offer]:
    """What is made on demand.

    Raises CatalogueError when an entry has no description.
    """
    described = json.loads(DESCRIPTIONS.read_text())
    result = []
    for entry in load(section="on_demand"):
        about = described.get(entry.pin)
        if about is None:
            raise CatalogueError(
                f"{DESCRIPTIONS.name} does not describe {entry.pin}; run tools/describe-catalogue"
            )
        requires = tuple(about.pop("requires"))
        result.append(Offer(entry=entry, requires=requires, **about))
    return result


def digest(entries: Iterable[Entry], offered: Iterable[Offer] = ()) -> str:
    """A short hash that changes when anything in the repository does."""
    lines = [f"{entry.path} {entry.pin}" for entry in entries]
    lines += [repr(offer) for offer in offered]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def depends(
    requirements: Iterable[str],
    by_distribution: Mapping[str, Entry],
    python: str,
    environment: Mapping[str, str],
) -> list[str]:
    """The requirements of a wheel as pkgsrc DEPENDS patterns.

    `environment` overrides the marker variables of this interpreter.  Extras
    are not followed, as pkgsrc's packages leave them out too.
    Raises CatalogueError for a distribution that the catalogue does not have.
    """
    patterns = []
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({**environment, "extra": ""}):
            continue
        entry = by_distribution.get(canonical(requirement.name))
        if entry is None:
            raise CatalogueError(f"{requirement.name} is needed, but not in {CATALOGUE.name}")
        if not requirement.specifier.contains(Version(entry.version), prereleases=True):
            raise CatalogueError(f"{requirement} is needed, {CATALOGUE.name} has {entry.version}")
        patterns.append(_pattern(entry.name(python), requirement))
    return sorted(set(patterns))


def needed(requirements: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """The distributions that requirements name; `environment` as with `depends`."""
    found = []
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({**environment, "extra": ""}):
            found.append(canonical(requirement.name))
    return found


def _pattern(name: str, requirement: Requirement) -> str:
    floors = [Version(s.version) for s in requirement.specifier if s.operator == ">="]
    return f"{name}>={max(floors)}" if floors else f"{name}-[0-9]*"
