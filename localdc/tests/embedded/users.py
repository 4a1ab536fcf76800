"""A data center as an ordinary user has it, who is root only in a user namespace."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import starlette

from .center import SOURCES, Center
from .fixtures import STORE

USER = "localdc-test"


@pytest.fixture(scope="module")
def user() -> Iterator[str]:
    """An account with subordinate ids; made for the test, which needs root."""
    if os.geteuid() != 0:
        pytest.skip("runs as an ordinary user already")
    if not (shutil.which("newuidmap") and shutil.which("useradd") and shutil.which("runuser")):
        pytest.skip("newuidmap, useradd or runuser is not installed")
    subprocess.run(["useradd", "--create-home", "--user-group", USER], check=True)
    try:
        yield USER
    finally:
        subprocess.run(["userdel", "--remove", USER], check=False, capture_output=True)


@pytest.fixture(scope="module")
def unprivileged(able: None, user: str) -> Iterator[Center]:
    python = reachable_python(user)
    if python is None:
        pytest.skip("no Python 3.11 or newer that another user may execute")
    home = Path(pwd.getpwnam(user).pw_dir)
    made = Center(home / "dc", _store(user, python), ("runuser", "-u", user, "--"), python)
    made.variables = {"PYTHONPATH": python_path(), "HOME": str(home)}
    try:
        made.run("start")
        yield made
    finally:
        made.run("purge", check=False)


def _store(user: str, python: str) -> Path:
    """The user's own store; a copy of the shared one if that fits his interpreter."""
    home = Path(pwd.getpwnam(user).pw_dir)
    store = home / "pkgsrc"
    if STORE.is_dir() and python == sys.executable:
        shutil.copytree(STORE, store, symlinks=True)
        subprocess.run(["chown", "-R", f"{user}:", str(store)], check=True)
    return store


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
    inherited = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([inherited, str(SOURCES), str(Path(starlette.__file__).parents[1])])
