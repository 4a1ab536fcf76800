"""The store: where unpacked packages live, and which of them make a repository.

    ROOT/lock
    ROOT/TAG/packages/NAME-VERSION/   a package's files, as below /opt/local
    ROOT/TAG/wheels/                  what they were made from
    ROOT/TAG/pip/                     what pip of a machine finds (localdc.pkgsrc.pipindex)
    ROOT/TAG/All/pkg_summary          the repository: what the catalogue offers
    ROOT/TAG/RELEASE/All/pkg_summary  the same for images of another release
    ROOT/TAG/RELEASE/packages         link to ROOT/TAG/packages
    ROOT/TAG/complete                 digest of the catalogue, written last

Packages that the catalogue has on demand are in the repository from the
start, and in packages/ once somebody asked for them (localdc.pkgsrc.demand).
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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localdc.pkgsrc import catalogue, interpreter, pipindex, releases
from localdc.pkgsrc.build import Builder, BuildError
from localdc.pkgsrc.pip import PipError

LAYOUT = 3
"""Raised when the repository is written differently from the same packages."""

Progress = Callable[[str], None]


class StoreError(Exception):
    """The package store cannot be built or used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Store:
    """A complete package store.

    `root` is bind-mounted read-only at `/opt/.pkgsrc` of every zone.  `tag`
    names the directory below it that belongs to the interpreter that runs
    localdc, and the zones' own commands, `python` is its version as pkgsrc
    spells it in names (`311`), `python_version` as the binary does (`3.11`),
    `python_package` its package (`python311-3.11.7`).  `repository` is the
    directory of the interpreter that machines install packages for.
    """

    root: Path
    tag: str
    python: str
    python_version: str
    python_package: str
    repository: str

    @property
    def directory(self) -> Path:
        """Where the packages of the interpreter that runs localdc are, on the host."""
        return self.root / self.tag

    @property
    def offered(self) -> Path:
        """Where the packages that machines install are, on the host."""
        return self.root / self.repository


def build_store(root: Path, progress: Progress | None = None) -> Store:
    """Make the store at `root` complete and return it.

    Fast when nothing is missing.  Safe against being killed at any time and
    against a second builder, which waits.  `progress` gets one line per step.
    Raises StoreError when a package cannot be had.
    """
    try:
        own, python = interpreter.current(), interpreter.chosen()
        entries = catalogue.load()
        offers = catalogue.offers()
    except (interpreter.InterpreterError, catalogue.CatalogueError) as error:
        raise StoreError(str(error)) from None
    store = Store(root, own.tag, own.digits, own.version, own.pkgname, python.tag)
    digest = f"{LAYOUT} {catalogue.digest(entries, offers)} {'+'.join(sorted(catalogue.for_pip()))}"
    if _complete(store, digest):
        return store
    say = progress or _quiet
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / "lock", say):
        if not _complete(store, digest):
            try:
                if store.tag != store.repository:
                    _make(store.directory, own, [], (), say)
                _build(store, python, entries, offers, say)
            except (BuildError, catalogue.CatalogueError) as error:
                raise StoreError(str(error)) from None
            _replace(store.offered / "complete", digest + "\n")
    return store


def _quiet(_: str) -> None:
    return None


def _complete(store: Store, digest: str) -> bool:
    if not (store.directory / "packages" / store.python_package).is_dir():
        return False
    try:
        return (store.offered / "complete").read_text().strip() == digest
    except FileNotFoundError:
        return False


def _make(
    directory: Path,
    python: interpreter.Interpreter,
    entries: list[catalogue.Entry],
    offers: Iterable[catalogue.Offer],
    say: Progress,
) -> list[str]:
    """Make the packages that a directory lacks; what pkg_summary says of all of them."""
    for name in ("packages", "wheels", "All"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    with scratch_directory(directory) as scratch:
        builder = Builder(directory, scratch, python, entries, say, tuple(offers))
        names = builder.run()
        stanzas = [(directory / "packages" / name / "+SUMMARY").read_text() for name in names]
        return [*stanzas, *(builder.stanza(offer) for offer in offers)]


def _build(
    store: Store,
    python: interpreter.Interpreter,
    entries: list[catalogue.Entry],
    offers: list[catalogue.Offer],
    say: Progress,
) -> None:
    stanzas = _make(store.offered, python, entries, offers, say)
    with scratch_directory(store.offered) as scratch:
        _offer_to_pip(store.offered, scratch, python, entries, say)
    _replace(store.offered / "All" / "pkg_summary", "\n".join(stanzas))
    for release, absent in releases.ABSENT.items():
        _write_release(store.offered / release, stanzas, absent, python.digits)


def _offer_to_pip(
    directory: Path,
    scratch: Path,
    python: interpreter.Interpreter,
    entries: list[catalogue.Entry],
    say: Progress,
) -> None:
    """What pip brings to a machine, also where the package's wheel has compiled parts."""
    pipindex.offer_plain(directory)
    names = catalogue.for_pip()
    pins = [entry.pin for entry in entries if entry.distribution in names]
    if not pins:
        return
    say(f"getting {' '.join(pins)} for pip, without compiled parts")
    try:
        found = pipindex.find(python, pins, scratch, (), options=["--no-deps"])
    except PipError as error:
        raise StoreError(str(error)) from None
    if found.impossible:
        raise StoreError(
            f"{' '.join(found.impossible)} cannot be built without a compiler; take it out of "
            f"[pip] in {catalogue.CATALOGUE}"
        )
    pipindex.offer(directory, found.wheels)


def _write_release(directory: Path, stanzas: list[str], absent: Iterable[str], python: str) -> None:
    (directory / "All").mkdir(parents=True, exist_ok=True)
    if not (directory / "packages").is_symlink():
        (directory / "packages").symlink_to("../packages")
    left_out = tuple(f"PKGNAME=py{python}-{name}-" for name in absent)
    offered = [stanza for stanza in stanzas if not stanza.startswith(left_out)]
    _replace(directory / "All" / "pkg_summary", "\n".join(offered))


@contextmanager
def scratch_directory(directory: Path) -> Iterator[Path]:
    """A place on the store's file system; what a killed builder left in one is removed.

    Only for the holder of the store's lock.
    """
    _remove_leftovers(directory)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=directory) as scratch:
        yield Path(scratch)


def _remove_leftovers(directory: Path) -> None:
    for path in directory.glob(".build-*"):
        shutil.rmtree(path, ignore_errors=True)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


@contextmanager
def locked(path: Path, say: Progress) -> Iterator[None]:
    """Hold the store's lock, `ROOT/lock`; says so when it has to wait."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process that is building the package store")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
