"""ssh_tunnel with a real sshd and a real controller on loopback."""

from __future__ import annotations

import getpass
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from embedded.free_ports import free_block

from ..private_sshd import PROGRAM, make_key, private_sshd
from .ipp_cluster import Ipp
from .modules_support import run_module

PORTS = dict.fromkeys(("registration", "control", "mux", "task", "iopub", "notification"), 9)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="openssh-server is not installed")


def configured(home, port):
    """An ssh_config that leads to a private sshd."""
    config = home / "ssh_config"
    config.write_text(
        f"Host *\n  Port {port}\n  IdentityFile {home}/user\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {home}/known_hosts\n"
    )
    return config


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    """The ssh_config of a private sshd."""
    home = tmp_path_factory.mktemp("sshd")
    make_key(home / "user")
    with private_sshd(home, home / "user.pub") as port:
        yield configured(home, port)


@pytest.fixture(scope="module")
def ipp(tmp_path_factory):
    cluster = Ipp(tmp_path_factory.mktemp("ipython"))
    cluster.engine()
    assert cluster.info
    yield cluster
    cluster.stop()


@pytest.fixture
def tunnel(sshd, ipp, tmp_path):
    dest = tmp_path / ("long" * 30) / "cluster" / "ipcontroller-client.json"
    connection = json.loads((ipp.security / "ipcontroller-client.json").read_text())

    def run(check=False, expect="ok", **arguments):
        options = {
            "dest": str(dest),
            "host": "127.0.0.1",
            "ssh_user": getpass.getuser(),
            "ssh_config": str(sshd),
            "connection": connection,
            "timeout": 10,
        }
        return run_module("ssh_tunnel", check=check, expect=expect, **{**options, **arguments})

    run.dest = dest
    run.connection = connection
    yield run
    run(state="absent")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_tunnel_computes_and_stays(tunnel, ipp):
    from ipyparallel import Client

    assert tunnel(check=True)["changed"] and not tunnel.dest.exists()
    first = tunnel()
    assert first["changed"] and alive(first["pid"])
    assert tunnel.dest.stat().st_mode & 0o777 == 0o600
    written = json.loads(tunnel.dest.read_text())
    assert written["mux"] == first["ports"]["mux"] != tunnel.connection["mux"]
    with Client(str(tunnel.dest)) as client:
        client.wait_for_engines(1, timeout=20)
        assert client[:].apply_sync(os.getpid) == [ipp.engines[0].pid]
    again = tunnel()
    assert not again["changed"] and again["pid"] == first["pid"]
    assert tunnel.connection["key"] not in first["_text"] + again["_text"]


def test_absent_twice(tunnel):
    pid = tunnel()["pid"]
    assert tunnel(check=True, state="absent")["changed"] and alive(pid)
    assert tunnel(state="absent")["changed"]
    assert not alive(pid)
    assert not tunnel.dest.exists() and not (tunnel.dest.parent / "tunnel.sock").exists()
    assert not tunnel(state="absent")["changed"]


def test_dead_tunnel_and_stale_socket(tunnel):
    pid = tunnel()["pid"]
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tunnel.dest.parent / "tunnel.sock").exists()
    repaired = tunnel()
    assert repaired["changed"] and alive(repaired["pid"])


def test_changed_connection_makes_a_new_tunnel(tunnel):
    first = tunnel()
    second = tunnel(connection={**tunnel.connection, "task_scheme": "lru"})
    assert second["changed"] and second["pid"] != first["pid"] and not alive(first["pid"])
    tunnel.dest.chmod(0o644)
    assert tunnel(connection={**tunnel.connection, "task_scheme": "lru"})["changed"]
    assert tunnel.dest.stat().st_mode & 0o777 == 0o600


def test_concurrent_runs_end_in_one_tunnel(tunnel, sshd, tmp_path):
    arguments = {
        "dest": str(tunnel.dest),
        "host": "127.0.0.1",
        "ssh_user": getpass.getuser(),
        "ssh_config": str(sshd),
        "connection": tunnel.connection,
    }
    script = (
        "import json, sys\nfrom tests.unit.modules.modules_support import run_module\n"
        "result = run_module('ssh_tunnel', **json.load(sys.stdin))\nprint(result['pid'])\n"
    )
    said = []

    def one():
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps(arguments), capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        said.append((done.returncode, done.stdout, done.stderr))

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _, _ in said] == [0, 0, 0], said
    assert len({int(pid) for _, pid, _ in said}) == 1


def test_controller_that_is_not_there(tunnel):
    closed = free_block(1)
    failed = tunnel(expect="fail", connection={**tunnel.connection, "registration": closed})
    assert f"127.0.0.1:{closed}" in failed.msg and "controller" in failed.msg
    assert not tunnel.dest.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"connection": None}, "connection"),
        ({"connection": {"interface": "tcp://a"}}, "registration"),
        ({"connection": {**PORTS, "interface": "tcp://a", "broadcast": [7, 8]}}, "broadcast"),
        ({"ssh_args": "-o 'A=b"}, "ssh_args"),
        ({"ssh_user": "nobody-here"}, "Permission denied"),
        ({"ssh_config": "/nonexistent"}, "nonexistent"),
    ],
)
def test_wrong_input(tunnel, change, words):
    assert words in tunnel(expect="fail", **change).msg


def test_no_ssh(tunnel, monkeypatch, tmp_path):
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "openssh-client" in tunnel(expect="fail").msg
    monkeypatch.setenv("PATH", path)


def test_a_machine_that_forwards_nothing_says_so(tunnel, tmp_path):
    home = tmp_path / "sshd"
    home.mkdir()
    make_key(home / "user")
    with private_sshd(home, home / "user.pub", "AllowTcpForwarding no") as port:
        failed = tunnel(expect="fail", ssh_config=str(configured(home, port)))
    assert "administratively prohibited" in failed.msg
    assert "AllowTcpForwarding yes" in failed.msg and "sshd_config" in failed.msg
    assert not tunnel.dest.exists()
