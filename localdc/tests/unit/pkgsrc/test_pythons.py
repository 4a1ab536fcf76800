"""The Python that machines are made for is chosen once, and holds for whoever comes later."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from embedded.pythons import other_python
from localdc import LocalDCError
from localdc.commands import packages
from localdc.paths import StateDir
from localdc.pkgsrc import interpreter, pythons

from .support import DIGITS

VARIABLE = "LOCALDC_PYTHON"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.setenv(VARIABLE, "")
    made = StateDir(tmp_path / "state", tmp_path / "packages")
    made.prepare()
    return made


def test_packages_are_fetched_for_the_python_of_the_last_start(
    paths: StateDir,
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = other_python()
    monkeypatch.setenv(VARIABLE, str(other.executable))
    pythons.keep(paths)
    monkeypatch.setenv(VARIABLE, "")
    said: list[str] = []
    here = StateDir(paths.root, small)
    digits = other.version.replace(".", "")
    assert packages.fetch(here, ["three"], False, said.append) == [f"py{digits}-three-3.0"]
    assert f"machines are made for {paths.python.read_text().strip()}, as before" in said[0]
    # one that is set wins
    monkeypatch.setenv(VARIABLE, sys.executable)
    said.clear()
    assert packages.fetch(here, ["three"], False, said.append) == [f"py{DIGITS}-three-3.0"]
    assert not [text for text in said if "as before" in text]


def test_a_running_data_center_keeps_its_python(
    paths: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = other_python()
    pythons.check_running(paths)
    monkeypatch.setenv(VARIABLE, sys.executable)
    pythons.check_running(paths)
    monkeypatch.setenv(VARIABLE, str(other.executable))
    with pytest.raises(LocalDCError, match=f"for {interpreter.current().executable}, not for .*"):
        pythons.check_running(paths)
    pythons.keep(paths)
    pythons.check_running(paths)


def test_a_python_that_is_gone(paths: StateDir) -> None:
    paths.python.write_text("/nowhere/python3.99\n")
    with pytest.raises(LocalDCError, match=r"/nowhere/python3\.99, which .* LOCALDC_PYTHON="):
        pythons.use_kept(paths, print)


@pytest.mark.parametrize("wanted", ["/bin/true", "/nowhere/python3"])
def test_no_python_is_remembered_that_is_none(
    paths: StateDir, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv(VARIABLE, wanted)
    with pytest.raises(LocalDCError, match=f"{VARIABLE}={wanted} is no Python"):
        pythons.keep(paths)
    assert not paths.python.exists()
