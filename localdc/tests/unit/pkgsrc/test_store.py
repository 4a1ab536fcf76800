"""From wheels to the store: unpacking, naming, dependencies, and builds that are cut short."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from embedded.pythons import other_python
from embedded.wheels import make_wheel
from localdc.pkgsrc import build, catalogue, interpreter, store
from localdc.pkgsrc.store import StoreError, build_store
from localdc.pkgsrc.wheel import WheelError, unpack

from .support import DIGITS, PYTHON

REPOSITORY = Path(__file__).parents[4]


def test_unpack_puts_every_part_in_its_place(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path,
        "tool",
        "1.0",
        {
            "tool/__init__.py": "def main(): return 0\n",
            "tool-1.0.data/scripts/helper": "#!python\nprint()\n",
            "tool-1.0.data/data/share/tool/x.json": "{}",
            "tool-1.0.data/purelib/extra.py": "",
        },
        requires=("pyzmq>=25",),
        scripts="tool = tool:main\ntool3 = tool:main\n",
    )
    tree = tmp_path / "tree"
    about = unpack(wheel, tree, PYTHON)
    site = tree / f"lib/python{PYTHON}/site-packages"
    assert (about.summary, about.requires) == ("The tool distribution", ("pyzmq>=25",))
    assert (site / "tool/__init__.py").is_file() and (site / "extra.py").is_file()
    assert (tree / "share/tool/x.json").is_file()
    assert sorted(path.name for path in (tree / "bin").iterdir()) == [
        f"helper-{PYTHON}",
        f"tool-{PYTHON}",
    ]
    for name in ("helper", "tool"):
        script = tree / "bin" / f"{name}-{PYTHON}"
        assert script.read_text().startswith(f"#!/opt/local/bin/python{PYTHON}\n")
        assert os.access(script, os.X_OK)
    record = (site / "tool-1.0.dist-info/RECORD").read_text()
    assert f"../../../bin/tool-{PYTHON},sha256=" in record
    assert (site / "tool-1.0.dist-info/INSTALLER").read_text() == "pkgsrc\n"


def test_damaged_wheels_are_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "tool", "1.0", {"tool.py": "good\n"})
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("other.py", "not recorded\n")
    with pytest.raises(WheelError, match=r"other\.py is not in RECORD"):
        unpack(wheel, tmp_path / "tree", PYTHON)
    wheel.write_bytes(wheel.read_bytes()[:50])
    with pytest.raises(WheelError, match="damaged"):
        unpack(wheel, tmp_path / "tree2", PYTHON)


def test_paths_that_leave_the_package_are_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "tool", "1.0", {"../../evil.py": ""})
    with pytest.raises(WheelError, match="unsafe path"):
        unpack(wheel, tmp_path / "tree", PYTHON)


def test_catalogue_names() -> None:
    entry = catalogue.Entry("net/py-zmq", "pyzmq", "27.3.0")
    assert entry.pkgname("311") == "py311-zmq-27.3.0"
    names = {each.name("311") for each in catalogue.load()}
    wanted = (
        "ipyparallel zmq numpy ipykernel ipython tornado psutil jupyter_client traitlets decorator"
        " tqdm dateutil pip"
    )
    assert names >= {f"py311-{name}" for name in wanted.split()}


def test_catalogue_agrees_with_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    pins = {}
    for text in project["dependencies"]:
        match = re.match(r"([\w-]+)==([\w.]+)$", text)
        if match:
            pins[catalogue.canonical(match[1])] = match[2]
    offered = {entry.distribution: entry.version for entry in catalogue.load()}
    shared = pins.keys() & offered.keys()
    assert {"ipyparallel", "numpy"} <= shared
    assert {name: offered[name] for name in shared} == {name: pins[name] for name in shared}


def test_catalogue_is_closed_under_dependencies() -> None:
    entries = {entry.distribution: entry for entry in catalogue.load()}
    for name in ("ipyparallel", "ipykernel", "ipython", "numpy", "jupyter-client"):
        catalogue.depends(metadata.requires(name) or [], entries, DIGITS, {})


def test_depends_follow_markers_and_refuse_strangers() -> None:
    entries = {"pyzmq": catalogue.Entry("net/py-zmq", "pyzmq", "27.3.0")}
    needs = ["pyzmq>=25,!=26.0", "colorama; sys_platform == 'win32'", "x; extra == 'test'"]
    assert catalogue.depends(needs, entries, "311", {}) == ["py311-zmq>=25"]
    assert catalogue.depends(["pyzmq"], entries, "311", {}) == ["py311-zmq-[0-9]*"]
    with pytest.raises(catalogue.CatalogueError, match="stranger is needed"):
        catalogue.depends(["stranger"], entries, "311", {})
    with pytest.raises(catalogue.CatalogueError, match=r"27\.3\.0"):
        catalogue.depends(["pyzmq>=99"], entries, "311", {})


def test_interpreter_works_from_another_place(tmp_path: Path) -> None:
    """The copy is complete, and finds its own files first."""
    python = interpreter.current()
    copied = interpreter.copy(python, tmp_path / "opt")
    executable = tmp_path / "opt" / copied[0]
    library = tmp_path / "opt" / python.platlibdir
    script = "import sys, ssl, sqlite3, ctypes, json; print(sys.prefix); print(json.__file__)"
    result = subprocess.run(
        [executable, "-S", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"LD_LIBRARY_PATH": str(library)},
    )
    prefix, module = result.stdout.split()
    assert prefix == str(tmp_path / "opt")
    assert module.startswith(str(library))
    below = library / f"python{python.version}"
    assert not (below / "test").exists() and not (below / "idlelib").exists()


def test_store_is_built_once(small: Path) -> None:
    said: list[str] = []
    built = build_store(small, said.append)
    assert any("downloading 2 wheels" in line for line in said)
    summary = (built.directory / "All/pkg_summary").read_text()
    assert f"PKGNAME=py{DIGITS}-one-1.0\nDEPENDS=python{DIGITS}>={PYTHON}\n" in summary
    assert f"DEPENDS=py{DIGITS}-two>=2\n" in summary
    compiled = built.directory / f"packages/py{DIGITS}-one-1.0/lib/python{PYTHON}/site-packages"
    assert list(compiled.glob("__pycache__/one.*.pyc"))
    said.clear()
    assert build_store(small, said.append) == built
    assert said == []


def test_a_build_that_was_killed_is_taken_up_again(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = build.Builder._compile

    def dies(self: build.Builder, names: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build.Builder, "_compile", dies)
    with pytest.raises(KeyboardInterrupt):
        build_store(small)
    tag = next(path for path in small.iterdir() if path.is_dir())
    (tag / ".build-left").mkdir()
    assert not (tag / "complete").exists()
    assert len(list((tag / "wheels").iterdir())) == 2
    monkeypatch.setattr(build.Builder, "_compile", real)
    said: list[str] = []
    built = build_store(small, said.append)
    assert (built.directory / "complete").exists()
    assert not any("downloading" in line for line in said)
    assert not list(built.directory.glob(".build-*"))


def test_pip_failing_says_what_to_do(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(
        _: interpreter.Interpreter, pins: list[str], target: Path, begin: Callable[[int], None]
    ) -> None:
        raise build.BuildError("pip could not download")

    monkeypatch.setattr(build, "_pip_download", download)
    with pytest.raises(StoreError, match="pip could not download"):
        build_store(small)


def test_another_python_than_the_running_one(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = other_python()
    first = build_store(small)
    monkeypatch.setenv("LOCALDC_PYTHON", str(other.executable))
    built = build_store(small)
    digits = other.version.replace(".", "")
    summary = (built.offered / "All/pkg_summary").read_text()
    assert f"PKGNAME=py{digits}-one-1.0\nDEPENDS=python{digits}>={other.version}\n" in summary
    assert f"py{DIGITS}-" not in summary
    site = built.offered / f"packages/py{digits}-one-1.0/lib/python{other.version}/site-packages"
    assert list(site.glob(f"__pycache__/one.cpython-{digits}*.pyc"))
    # what zones themselves run on stays
    assert (built.directory, built.python_package) == (first.directory, first.python_package)
    assert build_store(small) == built
    monkeypatch.delenv("LOCALDC_PYTHON")
    assert build_store(small) == first


def test_a_store_that_begins_with_another_python(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALDC_PYTHON", str(other_python().executable))
    built = build_store(small)
    assert [path.name for path in (built.directory / "packages").iterdir()] == [
        built.python_package
    ]
    monkeypatch.delenv("LOCALDC_PYTHON")
    built = build_store(small)
    assert (built.offered / f"packages/py{DIGITS}-one-1.0").is_dir()


@pytest.mark.parametrize("wanted", ["/bin/true", "/nowhere/python3", "python2.7"])
def test_no_python_at_all(small: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv("LOCALDC_PYTHON", wanted)
    with pytest.raises(StoreError, match=f"LOCALDC_PYTHON={wanted} is"):
        build_store(small)


def test_requirements_follow_the_python_that_packages_are_for() -> None:
    needs = ["one; python_version < '3.12'", "two; python_version >= '3.12'"]
    assert catalogue.needed(needs, {"python_version": "3.13"}) == ["two"]
    assert catalogue.needed(needs, {"python_version": "3.11"}) == ["one"]


def test_a_second_builder_waits(small: Path) -> None:
    import fcntl
    import threading

    small.mkdir()
    said: list[str] = []
    with (small / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=build_store, args=(small, said.append))
        thread.start()
        while not said:
            thread.join(0.01)
        assert said == ["waiting for another process that is building the package store"]
    thread.join(30)
    assert not thread.is_alive()
    assert store.build_store(small).directory.is_dir()
