"""The same data center as an ordinary user, who is root only in a user namespace."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .center import Center, traces
from .conftest import STORE, python_path, reachable_python
from .test_fabrics import Fabrics

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


def test_machines_work_without_privileges(unprivileged: Center) -> None:
    first, second = unprivileged.create("one", "two")
    where = first.public_ips[0]
    out = unprivileged.ssh(where, "id -un; zonename; hostname").split()
    assert out == ["root", first.id, "one"]
    script = (
        f"/opt/local/gnu/bin/timeout 5 ssh-keyscan -t ed25519 {second.private_ips[0]} 2>/dev/null"
    )
    assert second.private_ips[0] in unprivileged.ssh(where, script)
    owners = unprivileged.ssh(where, "touch /tmp/mine && chown daemon /tmp/mine && ls -l /tmp/mine")
    assert "daemon" in owners


def test_names_resolve_without_privileges(unprivileged: Center) -> None:
    machines = {m["name"]: m for m in unprivileged.status()["machines"]}
    name = "two.inst.localdc.localdc.cns.local"
    assert name in machines["two"]["dns_names"]
    out = unprivileged.ssh(machines["one"]["ips"][0], f"getent hosts {name}")
    assert out.split()[0] == machines["two"]["ips"][1]


def test_nat_without_privileges(unprivileged: Center) -> None:
    machines = {m["name"]: m for m in unprivileged.status()["machines"]}
    fabrics = Fabrics(unprivileged)
    try:
        network = fabrics.network(unprivileged.api(), 5)
        inner = fabrics.machine(
            unprivileged.api(), "in", network, f"{machines['two']['ips'][0]}:22"
        )
        assert fabrics.reached(inner)[0] == "yes"
    finally:
        fabrics.clear()


def test_daemon_is_not_root_outside(unprivileged: Center, user: str) -> None:
    pid = unprivileged.process()["pid"]
    assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam(user).pw_uid


def test_doctor_is_content(unprivileged: Center) -> None:
    assert "newuidmap" in unprivileged.run("doctor").stdout


def test_stop_leaves_nothing_and_start_brings_it_back(unprivileged: Center) -> None:
    namespaces = unprivileged.namespaces()
    unprivileged.run("stop")
    assert traces(unprivileged, namespaces) == []
    unprivileged.run("start")
    machines = {m["name"]: m for m in unprivileged.status()["machines"]}
    assert {m["state"] for m in machines.values()} == {"running"}
    assert unprivileged.ssh(machines["one"]["ips"][0], "ls /tmp") == "mine\n"


def test_purge_removes_files_of_mapped_users(unprivileged: Center) -> None:
    unprivileged.run("purge")
    assert not unprivileged.state.exists()
