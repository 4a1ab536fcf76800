"""The store: where unpacked packages live, and which of them make a repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class StoreError(Exception):
    """The package store cannot be built or used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Store:
    """A complete package store.

    `root` is bind-mounted read-only at `/opt/.pkgsrc` of every zone.  `tag`
    names the directory below it that belongs to one interpreter, `python` is
    its version as pkgsrc spells it in names (`311`), `python_version` as the
    binary does (`3.11`).
    """

    root: Path
    tag: str
    python: str
    python_version: str

    @property
    def directory(self) -> Path:
        """Where this interpreter's packages are, on the host."""
        return self.root / self.tag


def build_store(root: Path, progress: Callable[[str], None] | None = None) -> Store:
    """Make the store at `root` complete and return it.

    Fast when nothing is missing.  Safe against being killed at any time and
    against a second builder, which waits.  `progress` gets one line per step.
    Raises StoreError when a package cannot be had.
    """
    raise StoreError("the package store builder has not landed yet")
