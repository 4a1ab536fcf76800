"""The program of engines, with a real controller and the real ipyparallel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ..modules.ipp_cluster import Ipp
from .conftest import ROLE

PROGRAM = ROLE / "files" / "engine.py"
# one line by Python, one by a child, one by a child of a child, and one on the other stream
PRINT = """
import os, subprocess
print("python")
os.system("echo system")
subprocess.run(["sh", "-c", "echo subprocess; (echo error >&2)"])
"""


@pytest.fixture
def ipp(tmp_path: Path) -> Iterator[Ipp]:
    running = Ipp(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def view(ipp: Ipp) -> Iterator[Any]:
    """A view of one engine, which was started as its service starts it.

    PYTEST_CURRENT_TEST in its environment does to ipykernel what an operating system does that is
    neither Linux nor macOS: it takes no output of descriptors (ipykernel/iostream.py, OutStream).
    """
    # written by the controller, waited for here
    assert ipp.info
    engine = subprocess.Popen(
        [
            *(sys.executable, str(PROGRAM), f"--ipython-dir={ipp.directory}"),
            *("--profile=default", f"--IPEngine.url_file={ipp.security}/ipcontroller-engine.json"),
            *("--timeout=20", "--IPEngine.max_heartbeat_misses=87"),
        ],
        env={**ipp.env, "PYTEST_CURRENT_TEST": "as on SunOS"},
        cwd=ipp.directory,
        stdin=subprocess.DEVNULL,
        stdout=(ipp.directory / "log").open("ab"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    ipp.engines.append(engine)
    with ipp.client() as client:
        client.wait_for_engines(1, timeout=60)
        yield client[:]


def test_what_child_processes_print_reaches_the_client(view: Any) -> None:
    result = view.execute(PRINT, block=True)
    result.wait_for_output(20)
    assert sorted(result.stdout[0].split()) == ["python", "subprocess", "system"]
    assert result.stderr[0].split() == ["error"]


def test_options_are_those_of_ipengine(view: Any) -> None:
    app = "__import__('ipyparallel.engine.app').engine.app.IPEngine.instance()"
    view.execute(f"app = {app}", block=True)
    assert view.pull("app.max_heartbeat_misses", block=True) == [87]
    assert view.pull("type(app).__mro__[1].__module__", block=True) == ["ipyparallel.engine.app"]


def test_modules_are_found_as_with_python_m(view: Any, ipp: Ipp) -> None:
    (ipp.directory / "users_own.py").touch()
    view.execute("import sys, users_own", block=True)
    assert str(PROGRAM.parent) not in view.pull("sys.path", block=True)[0]


def test_the_nanny_is_the_first_child(view: Any, ipp: Ipp) -> None:
    """The stop method finds it by that."""
    view.execute("import subprocess; own = subprocess.Popen(['sleep', '60'])", block=True)
    (engine,) = ipp.engines
    children = ["pgrep", "-P", str(engine.pid)]
    nanny, own = subprocess.check_output(children, text=True).split()
    assert view.pull("own.pid", block=True) == [int(own)]
    assert subprocess.check_output([*children, "-o"], text=True).split() == [nanny]
    assert "ipyparallel.engine.nanny" in psutil.Process(int(nanny)).cmdline()
