"""A wheel made into a pkgsrc package tree.

The binary distribution format is described at packaging.python.org under
"Binary distribution format"; the layout of the result is what pkgsrc's
wheel.mk leaves behind: files below `lib/python3.NN/site-packages`, and
commands in `bin` with the Python version as suffix.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import re
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path, PurePosixPath

PREFIX = "/opt/local"
_EXECUTABLE = 0o111
_VERSIONED = re.compile(r"[0-9]$")

_LAUNCHER = """\
#!{prefix}/bin/python{python}
import sys
from {module} import {attribute}
if __name__ == "__main__":
    sys.exit({call}())
"""


class WheelError(Exception):
    """The wheel is damaged or not of a kind that can be unpacked here."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a wheel says about itself."""

    summary: str
    homepage: str
    requires: tuple[str, ...]


def unpack(wheel: Path, tree: Path, python: str) -> Unpacked:
    """Unpack `wheel` below `tree`, a package root that stands for /opt/local.

    `python` is the version with its dot, `3.11`.  Every file is checked
    against RECORD.  Raises WheelError.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            return _Unpacking(archive, tree, python).run()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise WheelError(f"{wheel.name} is damaged: {error}") from None


class _Unpacking:
    def __init__(self, archive: zipfile.ZipFile, tree: Path, python: str) -> None:
        self.archive = archive
        self.tree = tree
        self.python = python
        self.site = PurePosixPath(f"lib/python{python}/site-packages")
        self.info = self._info_directory()
        self.recorded: list[str] = []

    def run(self) -> Unpacked:
        hashes = self._hashes()
        for member in self.archive.infolist():
            if member.is_dir():
                continue
            target = self._target(member.filename)
            if target is None:
                continue
            data = self.archive.read(member)
            self._verify(member.filename, data, hashes)
            mode = 0o755 if (member.external_attr >> 16) & _EXECUTABLE else 0o644
            if target.parts[0] in ("bin", "sbin"):
                data, mode = self._shebang(data), 0o755
            self._write(target, data, mode)
        for name, reference in self._console_scripts().items():
            self._write(PurePosixPath("bin", self._suffixed(name)), self._launch(reference), 0o755)
        self._write(self.site / self.info / "INSTALLER", b"pkgsrc\n", 0o644)
        self._write_record()
        return self._metadata()

    def _info_directory(self) -> str:
        for name in self.archive.namelist():
            top = name.partition("/")[0]
            if top.endswith(".dist-info"):
                return top
        raise WheelError(f"{self.archive.filename}: no .dist-info directory")

    def _hashes(self) -> dict[str, str]:
        hashes = {}
        for line in self.archive.read(f"{self.info}/RECORD").decode().splitlines():
            name, _, rest = line.rpartition(",")[0].rpartition(",")
            hashes[name.strip('"')] = rest
        return hashes

    def _verify(self, name: str, data: bytes, hashes: dict[str, str]) -> None:
        if name.startswith(f"{self.info}/RECORD"):
            return
        algorithm, _, expected = hashes.get(name, "").partition("=")
        if not expected:
            raise WheelError(f"{self.archive.filename}: {name} is not in RECORD")
        actual = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest())
        if actual.rstrip(b"=").decode() != expected.rstrip("="):
            raise WheelError(f"{self.archive.filename}: {name} does not match RECORD")

    def _target(self, name: str) -> PurePosixPath | None:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise WheelError(f"{self.archive.filename}: unsafe path {name}")
        if name == f"{self.info}/RECORD":
            return None
        if not path.parts[0].endswith(".data"):
            return self.site / path
        scheme, rest = path.parts[1], PurePosixPath(*path.parts[2:])
        if scheme in ("purelib", "platlib"):
            return self.site / rest
        if scheme == "scripts":
            return PurePosixPath("bin", self._suffixed(rest.name))
        if scheme == "headers":
            package = path.parts[0].partition("-")[0]
            return PurePosixPath(f"include/python{self.python}", package) / rest
        if scheme == "data":
            return rest
        raise WheelError(f"{self.archive.filename}: unknown data scheme {scheme}")

    def _suffixed(self, name: str) -> str:
        return f"{name}-{self.python}"

    def _shebang(self, data: bytes) -> bytes:
        if not data.startswith(b"#!python"):
            return data
        return f"#!{PREFIX}/bin/python{self.python}\n".encode() + data.partition(b"\n")[2]

    def _console_scripts(self) -> dict[str, str]:
        try:
            text = self.archive.read(f"{self.info}/entry_points.txt").decode()
        except KeyError:
            return {}
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        parser.optionxform = str  # type: ignore[method-assign,assignment]
        parser.read_string(text)
        scripts: dict[str, str] = {}
        for section in ("console_scripts", "gui_scripts"):
            if parser.has_section(section):
                scripts.update(parser.items(section))
        # pip3 and ipython3 are what pkg_alternatives would provide
        return {name: ref for name, ref in scripts.items() if not _VERSIONED.search(name)}

    def _launch(self, reference: str) -> bytes:
        module, _, call = reference.partition("[")[0].strip().partition(":")
        return _LAUNCHER.format(
            prefix=PREFIX,
            python=self.python,
            module=module.strip(),
            attribute=call.strip().partition(".")[0],
            call=call.strip(),
        ).encode()

    def _write(self, target: PurePosixPath, data: bytes, mode: int) -> None:
        path = self.tree / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        name = str(target.relative_to(self.site)) if target.is_relative_to(self.site) else ""
        name = name or f"../../../{target}"
        self.recorded.append(f"{name},sha256={digest},{len(data)}")

    def _write_record(self) -> None:
        record = self.site / self.info / "RECORD"
        text = "\n".join(sorted([*self.recorded, f"{self.info}/RECORD,,"])) + "\n"
        (self.tree / record).write_text(text)

    def _metadata(self) -> Unpacked:
        text = self.archive.read(f"{self.info}/METADATA").decode()
        message = Parser().parsestr(text, headersonly=True)
        links = [url.partition(",")[2].strip() for url in message.get_all("Project-URL", [])]
        return Unpacked(
            summary=" ".join(str(message.get("Summary", "")).split()),
            homepage=str(message.get("Home-page") or (links[0] if links else "")),
            requires=tuple(str(value) for value in message.get_all("Requires-Dist", [])),
        )
