"""The store: where unpacked packages live, and which of them make a repository.

    ROOT/lock
    ROOT/TAG/packages/NAME-VERSION/   a package's files, as below /opt/local
    ROOT/TAG/wheels/                  what they were made from
    ROOT/TAG/All/pkg_summary          the repository: what the catalogue offers
    ROOT/TAG/complete                 digest of the catalogue, written last

Packages never change once they are there, and are never removed, because
zones installed earlier link to them.  A file at the top of a package whose
name starts with `+` is data about the package, as in a binary package of
pkgsrc.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localdc.pkgsrc import catalogue, interpreter
from localdc.pkgsrc.build import Builder, BuildError

Progress = Callable[[str], None]


class StoreError(Exception):
    """The package store cannot be built or used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Store:
    """A complete package store.

    `root` is bind-mounted read-only at `/opt/.pkgsrc` of every zone.  `tag`
    names the directory below it that belongs to one interpreter, `python` is
    its version as pkgsrc spells it in names (`311`), `python_version` as the
    binary does (`3.11`), `python_package` its package (`python311-3.11.7`).
    """

    root: Path
    tag: str
    python: str
    python_version: str
    python_package: str

    @property
    def directory(self) -> Path:
        """Where this interpreter's packages are, on the host."""
        return self.root / self.tag


def build_store(root: Path, progress: Progress | None = None) -> Store:
    """Make the store at `root` complete and return it.

    Fast when nothing is missing.  Safe against being killed at any time and
    against a second builder, which waits.  `progress` gets one line per step.
    Raises StoreError when a package cannot be had.
    """
    try:
        python = interpreter.current()
        entries = catalogue.load()
    except (interpreter.InterpreterError, catalogue.CatalogueError) as error:
        raise StoreError(str(error)) from None
    store = Store(root, python.tag, python.digits, python.version, python.pkgname)
    digest = catalogue.digest(entries)
    if _complete(store, digest):
        return store
    say = progress or _quiet
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / "lock", say):
        if not _complete(store, digest):
            try:
                _build(store, python, entries, say)
            except (BuildError, catalogue.CatalogueError) as error:
                raise StoreError(str(error)) from None
            _replace(store.directory / "complete", digest + "\n")
    return store


def _quiet(_: str) -> None:
    return None


def _complete(store: Store, digest: str) -> bool:
    try:
        return (store.directory / "complete").read_text().strip() == digest
    except FileNotFoundError:
        return False


def _build(
    store: Store,
    python: interpreter.Interpreter,
    entries: list[catalogue.Entry],
    say: Progress,
) -> None:
    for name in ("packages", "wheels", "All"):
        (store.directory / name).mkdir(parents=True, exist_ok=True)
    _remove_leftovers(store.directory)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=store.directory) as scratch:
        builder = Builder(store.directory, Path(scratch), python, entries, say)
        names = builder.run()
    stanzas = [(store.directory / "packages" / name / "+SUMMARY").read_text() for name in names]
    _replace(store.directory / "All" / "pkg_summary", "\n".join(stanzas))


def _remove_leftovers(directory: Path) -> None:
    for path in directory.glob(".build-*"):
        shutil.rmtree(path, ignore_errors=True)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


@contextmanager
def _locked(path: Path, say: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process that is building the package store")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
