"""`localdc start --records-only` by the `triton` command, as a user without any privilege."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.center import Center
from embedded.clients.install import Clients
from embedded.clients.shell import IMAGE, PACKAGE, Shell, created_id
from embedded.users import python_path, reachable_python

USER = "nobody"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that the user may reach, unlike those that pytest makes."""
    path = Path(tempfile.mkdtemp(prefix="localdc-records-"))
    if os.geteuid() == 0:
        shutil.chown(path, USER)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def records(place: Path) -> Iterator[Center]:
    center = Center(place / "dc", place / "no-packages-needed")
    if os.geteuid() == 0:
        python = reachable_python(USER)
        if python is None:
            pytest.skip(f"no Python 3.11 or newer that {USER} may execute")
        # unlike runuser it leaves HOME alone
        center.prefix = ("setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups")
        center.python = python
        center.variables = {"PYTHONPATH": python_path(), "HOME": str(place)}
    try:
        center.run("start", "--records-only")
        yield center
    finally:
        center.run("purge", check=False)


@pytest.fixture(scope="module")
def user(records: Center, clients: Clients, place: Path) -> Shell:
    return Shell.open(records, place, clients)


@pytest.fixture(scope="module")
def paper(user: Shell) -> str:
    """The id of the record `paper`."""
    return created_id(user.triton("instance", "create", "-w", "-n", "paper", IMAGE, PACKAGE))


def test_it_is_an_ordinary_process(records: Center) -> None:
    daemon = Path(f"/proc/{records.process()['pid']}")
    assert daemon.stat().st_uid != 0
    assert records.namespaces() == {"pid": set(), "mnt": set(), "net": set()}


def test_life_of_a_record(user: Shell) -> None:
    options = ["-n", "sheet", "-t", "role=web", "-m", "greeting=good day", IMAGE, PACKAGE]
    output = user.triton("instance", "create", "-w", *options)
    machine = created_id(output)
    assert "Created instance sheet" in output
    listed = user.triton("instance", "list", "-H", "-o", "id,state", "tag.role=web")
    assert listed.split() == [machine, "running"]
    user.triton("instance", "tag", "set", "-w", "sheet", "role=db")
    user.triton("instance", "stop", "-w", "sheet")
    user.triton("instance", "start", "-w", "sheet")
    user.triton("instance", "snapshot", "create", "-w", "-n", "first", "sheet")
    user.triton("instance", "rename", "-w", "sheet", "page")
    assert user.triton_json("instance", "get", machine)["tags"] == {"role": "db"}
    user.triton("instance", "delete", "-w", "-f", "page")
    assert machine not in user.triton("instance", "list", "-H", "-o", "id")
    assert "was deleted" in user.triton_fails(3, "instance", "get", machine)


def test_older_commands_see_it(user: Shell, paper: str) -> None:
    assert [machine["id"] for machine in user.sdc_json("listmachines")] == [paper]
    user.sdc("stopmachine", paper)
    assert user.sdc_json("getmachine", paper)["state"] in ("stopping", "stopped")


def test_record_is_refused_as_a_machine_is(user: Shell, paper: str) -> None:
    message = user.triton_fails(3, "instance", "create", IMAGE, "no-package")
    assert 'no package with name or short id "no-package"' in message
    message = user.triton_fails(1, "instance", "create", "-n", "paper", IMAGE, PACKAGE)
    assert "alias: Duplicate: Already exists" in message


def test_nobody_logs_in_to_a_record(records: Center, user: Shell, paper: str) -> None:
    """Nor to whatever has its address on the host's own network."""
    address = user.triton("ip", paper).strip()
    for host in (paper, address):
        done = records.run("connect", host, "22", check=False)
        assert done.returncode == 1
        assert "machines of this data center are records only" in done.stderr


def test_purge_leaves_nothing(records: Center) -> None:
    records.run("purge")
    assert not records.state.exists()
