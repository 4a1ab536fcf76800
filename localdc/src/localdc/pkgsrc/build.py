"""From the package index's wheels to packages in the store."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from localdc.pkgsrc import catalogue, interpreter, pip, pipindex
from localdc.pkgsrc.catalogue import Entry, Offer
from localdc.pkgsrc.wheel import PREFIX, WheelError, unpack

_PYTHON_COMMENT = "Interpreted, interactive, object-oriented programming language"


class BuildError(Exception):
    """A package could not be made; the message says why and what to do."""


class Builder:
    """Adds to a store whatever the catalogue wants and the store does not have.

    A package is made in `scratch`, on the same file system, and moved into
    place complete.  `offered` is what the catalogue has besides `entries`;
    `begin` is told the PKGNAME of each offer that `provide` turns to.
    """

    def __init__(
        self,
        directory: Path,
        scratch: Path,
        python: interpreter.Interpreter,
        entries: list[Entry],
        say: Callable[[str], None],
        offered: Sequence[Offer] = (),
        begin: Callable[[str], None] | None = None,
    ) -> None:
        self.directory = directory
        self.scratch = scratch
        self.python = python
        self.entries = entries
        self.say = say
        self.offers = {offer.entry: offer for offer in offered}
        self.begin = begin
        self._begun: set[Entry] = set()
        everything = [*entries, *self.offers]
        self._by_distribution = {entry.distribution: entry for entry in everything}

    def run(self) -> list[str]:
        """Make what is missing; returns the PKGNAMEs of the whole repository."""
        missing = [entry for entry in self.entries if not self._has(self._pkgname(entry))]
        made: list[str] = []
        if not self._has(self.python.pkgname):
            self.say(f"copying Python {self.python.version} from {self.python.executable}")
            made.append(self._make_python())
        wheels = self._download(missing) if missing else {}
        for number, entry in enumerate(missing, 1):
            self.say(f"unpacking {self._pkgname(entry)} ({number}/{len(missing)})")
            made.append(self._make_package(entry, wheels[entry.distribution]))
        self._put_in_place(made)
        return [self.python.pkgname, *(self._pkgname(entry) for entry in self.entries)]

    def provide(self, wanted: Sequence[Offer]) -> None:
        """Make those of the `wanted` packages that are missing."""
        entries = [offer.entry for offer in wanted if not self._has(self._pkgname(offer.entry))]
        wheels = self._download(entries) if entries else {}
        made = []
        for entry in entries:
            self._begin(entry)
            made.append(self._make_package(entry, wheels[entry.distribution]))
        self._put_in_place(made)

    def stanza(self, offer: Offer) -> str:
        """What pkg_summary says about a package on demand.

        Raises CatalogueError when it needs something the catalogue does not have.
        """
        return _stanza(
            self._pkgname(offer.entry),
            path=offer.entry.path,
            comment=offer.comment,
            homepage=offer.homepage,
            depends=self._depends(offer.requires),
            size=offer.size,
            file_size=offer.file_size,
        )

    def _put_in_place(self, made: list[str]) -> None:
        if made:
            self.say(f"byte-compiling {len(made)} packages")
            self._compile(made)
        for name in made:
            (self.scratch / name).rename(self.directory / "packages" / name)

    def _depends(self, requires: Sequence[str]) -> list[str]:
        needs = catalogue.depends(
            requires, self._by_distribution, self.python.digits, self.python.markers
        )
        return [f"python{self.python.digits}>={self.python.version}", *needs]

    def _pkgname(self, entry: Entry) -> str:
        return entry.pkgname(self.python.digits)

    def _has(self, pkgname: str) -> bool:
        return (self.directory / "packages" / pkgname).is_dir()

    def _download(self, entries: list[Entry]) -> dict[str, Path]:
        wheels = self._find_wheels(entries)
        absent = [entry for entry in entries if entry.distribution not in wheels]
        if absent:
            self.say(f"downloading {len(absent)} wheels with pip")
            target = self.scratch / "wheels"
            pins = [entry.pin for entry in absent]
            _pip_download(self.python, pins, target, self._begin_pin(absent))
            for path in target.iterdir():
                path.replace(self.directory / "wheels" / path.name)
            pipindex.offer_plain(self.directory)
            wheels = self._find_wheels(entries)
        for entry in entries:
            if entry.distribution not in wheels:
                raise BuildError(f"pip did not deliver a wheel of {entry.pin}")
        return wheels

    def _begin_pin(self, entries: Sequence[Entry]) -> Callable[[int], None]:
        def begin(number: int) -> None:
            if number < len(entries):
                self._begin(entries[number])

        return begin

    def _begin(self, entry: Entry) -> None:
        """Tell of a package once: when pip turns to it, or when its wheel was there already."""
        if self.begin is not None and entry not in self._begun:
            self._begun.add(entry)
            self.begin(self._pkgname(entry))

    def _find_wheels(self, entries: list[Entry]) -> dict[str, Path]:
        wanted = {(entry.distribution, entry.version) for entry in entries}
        found = {}
        for path in (self.directory / "wheels").glob("*.whl"):
            name, version = path.name.split("-")[:2]
            if (catalogue.canonical(name), version) in wanted:
                found[catalogue.canonical(name)] = path
        return found

    def _make_package(self, entry: Entry, wheel: Path) -> str:
        pkgname = self._pkgname(entry)
        tree = self.scratch / pkgname
        try:
            about = unpack(wheel, tree, self.python.version)
        except WheelError as error:
            raise BuildError(f"{error}; remove {wheel} and try again") from None
        offer = self.offers.get(entry)
        if offer is not None:
            # as pkg_summary announced it
            (tree / "+SUMMARY").write_text(self.stanza(offer))
            return pkgname
        self._describe(
            tree,
            pkgname,
            path=entry.path,
            comment=about.summary,
            homepage=about.homepage,
            depends=self._depends(about.requires),
        )
        return pkgname

    def _make_python(self) -> str:
        pkgname = self.python.pkgname
        tree = self.scratch / pkgname
        tree.mkdir()
        copied = interpreter.copy(self.python, tree)
        (tree / "+COPY").write_text("".join(f"{path}\n" for path in copied))
        self._describe(
            tree,
            pkgname,
            path=f"lang/python{self.python.digits}",
            comment=_PYTHON_COMMENT,
            homepage="https://www.python.org/",
            depends=[],
        )
        return pkgname

    def _describe(
        self,
        tree: Path,
        pkgname: str,
        *,
        path: str,
        comment: str,
        homepage: str,
        depends: list[str],
    ) -> None:
        size = sum(file.stat().st_size for file in tree.rglob("*") if file.is_file())
        text = _stanza(
            pkgname,
            path=path,
            comment=comment,
            homepage=homepage,
            depends=depends,
            size=size,
            file_size=size,
        )
        (tree / "+SUMMARY").write_text(text)

    def _compile(self, pkgnames: list[str]) -> None:
        """Byte-compile for the path the files will have in a zone.

        Unchecked hashes, because nobody edits the store, and because the
        times of files do not survive every way of copying it.
        """
        python = str(self.python.executable)
        command = [python, "-m", "compileall", "-q", "-j", str(os.cpu_count() or 1)]
        command += ["--invalidation-mode", "unchecked-hash"]
        for name in pkgnames:
            tree = self.scratch / name
            # some wheels carry templates and tests that are not valid Python:
            # what cannot be compiled cannot be imported either
            subprocess.run(
                [*command, "-s", str(tree), "-p", PREFIX, str(tree)],
                capture_output=True,
                check=False,
            )


def _stanza(
    pkgname: str,
    *,
    path: str,
    comment: str,
    homepage: str,
    depends: list[str],
    size: int,
    file_size: int,
) -> str:
    lines = [f"PKGNAME={pkgname}"]
    lines += [f"DEPENDS={pattern}" for pattern in depends]
    lines += [
        f"COMMENT={comment}",
        f"SIZE_PKG={size}",
        f"FILE_SIZE={file_size}",
        f"CATEGORIES={path.partition('/')[0]}",
        f"PKGPATH={path}",
        f"HOMEPAGE={homepage}",
        f"DESCRIPTION={comment}",
    ]
    return "\n".join(lines) + "\n"


def _pip_download(
    python: interpreter.Interpreter, pins: list[str], target: Path, begin: Callable[[int], None]
) -> None:
    """Have pip download `pins`; `begin` is told the index of each one it turns to.

    Raises BuildError with what pip said.
    """
    command = [*python.pip, "download", *pip.OPTIONS, "--progress-bar", "off"]
    command += ["--only-binary", ":all:", "--no-deps", "--dest", str(target), *pins]
    count = 0

    def line(text: str) -> None:
        nonlocal count
        if text.startswith(("Collecting ", "Processing ")):
            # a second attempt turns to all of them again
            begin(count % len(pins))
            count += 1

    try:
        pip.run(command, line)
    except pip.PipError as error:
        raise BuildError(
            f"pip could not download the packages that zones install from:\n  {error}"
            "\nCheck the network and pip's index settings (pip config list), then try again;"
            " what was downloaded already is kept."
        ) from None


__all__ = ["BuildError", "Builder"]
