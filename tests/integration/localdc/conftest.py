"""One data center for the tests that only use it, and fresh ones for those that break it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smartdc import Machine

from .center import DEFAULT_STORE, REPOSITORY, Center

STORE = Path(os.environ.get("LOCALDC_PKGSRC", DEFAULT_STORE))


@pytest.fixture(scope="session")
def able(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips, with the doctor's words, where the kernel has no namespaces for us."""
    doctor = Center(tmp_path_factory.mktemp("doctor") / "dc", STORE).run("doctor", check=False)
    if doctor.returncode:
        pytest.skip(f"no data center can run here:\n{doctor.stdout}")


@pytest.fixture(scope="session")
def center(able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """A running data center."""
    yield from running(Center(tmp_path_factory.mktemp("dc"), STORE))


@pytest.fixture
def fresh(able: None, tmp_path: Path) -> Iterator[Center]:
    """A running data center for one test."""
    yield from running(Center(tmp_path / "dc", STORE))


@pytest.fixture(scope="session")
def pair(center: Center) -> Iterator[tuple[Machine, Machine]]:
    """Two running machines of the shared data center."""
    first, second = center.create("alpha", "beta", tags={"role": "test"})
    yield first, second
    center.delete(first, second)


def running(center: Center) -> Iterator[Center]:
    try:
        center.run("start")
        yield center
    finally:
        center.run("purge", check=False)


def reachable_python(user: str) -> str | None:
    """An interpreter that `user` may execute and that finds the packages of this one."""
    for python in (sys.executable, "/usr/bin/python3"):
        probe = ["runuser", "-u", user, "--", python, "-c", "import localdc.zones.network"]
        env = {**os.environ, "PYTHONPATH": python_path()}
        if (
            subprocess.run(probe, env=env, cwd="/", capture_output=True, check=False).returncode
            == 0
        ):
            return python
    return None


def python_path() -> str:
    import starlette

    inherited = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([inherited, str(REPOSITORY), str(Path(starlette.__file__).parents[1])])
