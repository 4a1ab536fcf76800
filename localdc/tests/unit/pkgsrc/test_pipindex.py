"""What pip of a machine is offered: real pip, an index that is a directory, and no compiler."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging import tags

from embedded.wheels import make_wheel
from localdc.pkgsrc import catalogue, interpreter, pipindex
from localdc.pkgsrc.catalogue import Entry

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "1.0"
"""
# As setuptools does: what is optional is left out when the compiler fails, or is not there.
BACKEND = """
import os, subprocess, zipfile
def build_wheel(directory, *_):
    if subprocess.run(os.environ.get("CC", "true"), shell=True).returncode and not {optional}:
        raise SystemExit("error: command 'cc' failed")
    wheel = "{name}-1.0-py3-none-any.whl"
    about = "{name}-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(directory, wheel), "w") as archive:
        archive.writestr("{name}.py", "")
        archive.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: {name}\\n"
                         "Version: 1.0\\n")
        archive.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        archive.writestr(about + "RECORD", "")
    return wheel
"""


def compiled_wheel(index: Path, name: str, requires: tuple[str, ...] = ()) -> None:
    """A wheel for the Linux of this machine, with a library in it."""
    made = make_wheel(index, name, "1.0", {f"{name}.py": "", f"_{name}.so": "x"}, requires=requires)
    platform = next(tags.platform_tags())
    Path(made).rename(index / f"{name}-1.0-py3-none-{platform}.whl")


def source(index: Path, directory: Path, name: str, *, optional: bool) -> None:
    root = directory / f"{name}-1.0"
    root.mkdir()
    (root / "pyproject.toml").write_text(PROJECT.format(name=name))
    (root / "backend.py").write_text(BACKEND.format(name=name, optional=optional))
    (root / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    with tarfile.open(index / f"{name}-1.0.tar.gz", "w:gz") as archive:
        archive.add(root, root.name)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "index"
    place.mkdir()
    for name, value in {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(place),
    }.items():
        monkeypatch.setenv(name, value)
    return place


def find(tmp_path: Path, *names: str, **more: object) -> pipindex.Found:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    known = [Entry("devel/py-known", "known", "1.0")]
    return pipindex.find(interpreter.current(), names, scratch, known, **more)


def names(found: pipindex.Found) -> list[str]:
    return sorted(wheel.name.split("-")[0] for wheel in found.wheels)


def test_compiled_wheels_are_not_for_machines(tmp_path: Path, index: Path) -> None:
    make_wheel(index, "plain", "1.0", {"plain.py": ""}, requires=("known", "hard"))
    compiled_wheel(index, "known")
    compiled_wheel(index, "hard")
    source(index, tmp_path, "hard", optional=False)
    found = find(tmp_path, "plain")
    assert names(found) == ["plain"]
    assert [entry.distribution for entry in found.packages] == ["known"]
    assert found.impossible == ("hard==1.0",)


def test_a_source_that_builds_without_a_compiler_is(tmp_path: Path, index: Path) -> None:
    """As that of tornado does: setuptools, Extension(optional=True)."""
    compiled_wheel(index, "soft")
    source(index, tmp_path, "soft", optional=True)
    found = find(tmp_path, "soft")
    (wheel,) = found.wheels
    with zipfile.ZipFile(wheel) as archive:
        assert [name for name in archive.namelist() if name.startswith(("soft.", "_soft"))] == [
            "soft.py"
        ]


def test_a_wheel_for_every_platform_is_taken_instead(tmp_path: Path, index: Path) -> None:
    compiled_wheel(index, "both")
    make_wheel(index, "both", "1.0", {"both.py": ""})
    (wheel,) = find(tmp_path, "both").wheels
    assert wheel.name == "both-1.0-py3-none-any.whl"


def test_compiled_wheels_for_those_who_insist(tmp_path: Path, index: Path) -> None:
    compiled_wheel(index, "hard", requires=("known",))
    compiled_wheel(index, "known")
    found = find(tmp_path, "hard", compiled=True)
    assert names(found) == ["hard", "known"]
    assert found.packages == found.impossible == ()


def test_pip_says_what_it_cannot_find(tmp_path: Path, index: Path) -> None:
    with pytest.raises(pipindex.PipError, match="No matching distribution found for nosuch"):
        find(tmp_path, "nosuch")


def test_the_catalogue_names_packages_for_pip() -> None:
    assert catalogue.for_pip() <= {entry.distribution for entry in catalogue.load()}
