"""From the package index's wheels to packages in the store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from localdc.pkgsrc import catalogue, interpreter
from localdc.pkgsrc.catalogue import Entry
from localdc.pkgsrc.wheel import PREFIX, WheelError, unpack

_PYTHON_COMMENT = "Interpreted, interactive, object-oriented programming language"


class BuildError(Exception):
    """A package could not be made; the message says why and what to do."""


class Builder:
    """Adds to a store whatever the catalogue wants and the store does not have.

    A package is made in `scratch`, on the same file system, and moved into
    place complete.
    """

    def __init__(
        self,
        directory: Path,
        scratch: Path,
        python: interpreter.Interpreter,
        entries: list[Entry],
        say: Callable[[str], None],
    ) -> None:
        self.directory = directory
        self.scratch = scratch
        self.python = python
        self.entries = entries
        self.say = say

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
        if made:
            self.say(f"byte-compiling {len(made)} packages")
            self._compile(made)
        for name in made:
            (self.scratch / name).rename(self.directory / "packages" / name)
        return [self.python.pkgname, *(self._pkgname(entry) for entry in self.entries)]

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
            _pip_download([entry.pin for entry in absent], target)
            for path in target.iterdir():
                path.replace(self.directory / "wheels" / path.name)
            wheels = self._find_wheels(entries)
        for entry in entries:
            if entry.distribution not in wheels:
                raise BuildError(f"pip did not deliver a wheel of {entry.pin}")
        return wheels

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
        needs = catalogue.depends(
            about.requires,
            {other.distribution: other for other in self.entries},
            self.python.digits,
            environment={},
        )
        self._describe(
            tree,
            pkgname,
            path=entry.path,
            comment=about.summary,
            homepage=about.homepage,
            depends=[f"python{self.python.digits}>={self.python.version}", *needs],
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
        lines = [f"PKGNAME={pkgname}"]
        lines += [f"DEPENDS={pattern}" for pattern in depends]
        lines += [
            f"COMMENT={comment}",
            f"SIZE_PKG={size}",
            f"FILE_SIZE={size}",
            f"CATEGORIES={path.partition('/')[0]}",
            f"PKGPATH={path}",
            f"HOMEPAGE={homepage}",
            f"DESCRIPTION={comment}",
        ]
        (tree / "+SUMMARY").write_text("\n".join(lines) + "\n")

    def _compile(self, pkgnames: list[str]) -> None:
        """Byte-compile for the path the files will have in a zone.

        Unchecked hashes, because nobody edits the store, and because the
        times of files do not survive every way of copying it.
        """
        command = [sys.executable, "-m", "compileall", "-q", "-j", str(os.cpu_count() or 1)]
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


def _pip_download(pins: list[str], target: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--no-deps", "--dest", str(target), *pins]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = result.stderr.strip().splitlines()[-5:] or [f"pip ended with {result.returncode}"]
        raise BuildError(
            "pip could not download the packages that zones install from:\n  "
            + "\n  ".join(reason)
            + "\nCheck the network and pip's index settings (pip config list), then try again;"
            " what was downloaded already is kept."
        )


__all__ = ["BuildError", "Builder"]
