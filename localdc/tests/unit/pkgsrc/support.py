"""A small repository in the layout of the store, and a zone root that installs from it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from localdc.pkgsrc import catalogue
from localdc.smartos.pkgsrc import pkg_info, pkgin

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
DIGITS = PYTHON.replace(".", "")
FILES = {
    "python311-3.11.7": ("bin/python3.11", "lib/python3.11/os.py", "lib/libpython3.11.so.1.0"),
    "py311-zmq-27.3.0": (
        "lib/python3.11/site-packages/zmq/__init__.py",
        "lib/python3.11/site-packages/pyzmq-27.3.0.dist-info/METADATA",
    ),
    "py311-six-1.0": (
        "lib/python3.11/site-packages/six.py",
        "lib/python3.11/site-packages/__pycache__/six.cpython-311.pyc",
    ),
    "py311-ipyparallel-9.2.0": (
        "bin/ipengine-3.11",
        "lib/python3.11/site-packages/ipyparallel/__init__.py",
        "share/jupyter/kernels/x/kernel.json",
    ),
}
DEPENDS = {
    "py311-zmq-27.3.0": ["python311>=3.11"],
    "py311-six-1.0": ["python311>=3.11"],
    "py311-ipyparallel-9.2.0": ["python311>=3.11", "py311-zmq>=25", "py311-six-[0-9]*"],
}
THREE = catalogue.Offer(
    catalogue.Entry("devel/py-three", "three", "3.0"),
    comment="Third time",
    homepage="https://three.invalid/",
    requires=("one>=1", "two"),
    file_size=1000,
    size=4000,
)
"""What is on demand in the catalogue of the fixture `small`."""


class Repository:
    """A repository on disk that tests add packages to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "All").mkdir(parents=True)
        self.stanzas: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"file://{self.root}/All"

    def add(self, pkgname: str, files: tuple[str, ...], depends: list[str]) -> None:
        tree = self.root / "packages" / pkgname
        for name in files:
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{pkgname} {name}\n")
        needs = "".join(f"DEPENDS={pattern}\n" for pattern in depends)
        comment = f"Comment of {pkgname}"
        self.stanzas[pkgname] = (
            f"PKGNAME={pkgname}\n{needs}COMMENT={comment}\nSIZE_PKG=2048\nPKGPATH=x/{pkgname}\n"
        )
        (tree / "+SUMMARY").write_text(self.stanzas[pkgname])
        self.publish()

    def publish(self) -> None:
        (self.root / "All/pkg_summary").write_text("\n".join(self.stanzas.values()))


class Zone:
    """The part of a zone that pkgin works on; `run` and `info` return what was printed."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.prefix = root / "opt/local"
        self.capsys = capsys
        self.error = ""

    def run(self, *arguments: str, status: int = 0) -> str:
        return self._call(pkgin.main, arguments, status)

    def info(self, *arguments: str, status: int = 0) -> str:
        return self._call(pkg_info.main, arguments, status)

    def _call(self, main: Callable[..., int], arguments: tuple[str, ...], status: int) -> str:
        self.capsys.readouterr()
        actual = main(list(arguments), str(self.root))
        captured = self.capsys.readouterr()
        self.error = captured.err
        assert actual == status, captured.out + captured.err
        return captured.out

    def pending(self) -> bool:
        """Is a transaction under way?"""
        return "\npending\n" in "\n" + (self.root / "var/db/pkgin/pkgin.db").read_text()
