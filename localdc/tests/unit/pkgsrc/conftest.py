"""Fixtures of the package tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from embedded.wheels import make_wheel
from localdc.pkgsrc import build, catalogue, interpreter

from .support import DEPENDS, FILES, THREE, Repository, Zone


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    result = Repository(tmp_path / "store")
    for pkgname, files in FILES.items():
        result.add(pkgname, files, DEPENDS.get(pkgname, []))
    python = result.root / "packages/python311-3.11.7"
    (python / "+COPY").write_text("bin/python3.11\n")
    (python / "lib/python3.11/site-packages").symlink_to("/opt/local/lib/python3.11-site")
    return result


@pytest.fixture
def zone(
    tmp_path: Path,
    repository: Repository,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Zone:
    monkeypatch.delenv("PKG_REPOS", raising=False)
    root = tmp_path / "zone"
    configuration = root / "opt/local/etc/pkgin"
    configuration.mkdir(parents=True)
    (configuration / "repositories.conf").write_text(f"# repositories\n{repository.url}\n")
    (root / "opt/local/bin").mkdir()
    return Zone(root, capsys)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of two small wheels that 'pip' delivers, and a Python of one file."""
    wheels = tmp_path / "index"
    make_wheel(wheels, "one", "1.0", {"one.py": "x = 1\n"}, requires=("two>=2",))
    make_wheel(wheels, "two", "2.0", {"two.py": "x = 2\n"})
    make_wheel(wheels, "three", "3.0", {"three.py": "x = 3\n"}, scripts="three = three:main\n")
    text = '[packages]\n"devel/py-one" = "one==1.0"\n"devel/py-two" = "two==2.0"\n'
    (tmp_path / "catalogue.toml").write_text(text)

    def download(
        _: interpreter.Interpreter, pins: list[str], target: Path, begin: Callable[[int], None]
    ) -> None:
        target.mkdir()
        for number, pin in enumerate(pins):
            begin(number)
            source = next(wheels.glob(f"{pin.replace('==', '-')}-*"))
            (target / source.name).write_bytes(source.read_bytes())

    def copy(_: interpreter.Interpreter, tree: Path) -> list[str]:
        (tree / "bin").mkdir()
        (tree / "bin/python").write_text("")
        return ["bin/python"]

    monkeypatch.setattr(build, "_pip_download", download)
    monkeypatch.setattr(interpreter, "copy", copy)
    loaded = catalogue.load(tmp_path / "catalogue.toml")
    monkeypatch.setattr(catalogue, "load", lambda: loaded)
    monkeypatch.setattr(catalogue, "offers", lambda: [THREE])
    return tmp_path / "store"
