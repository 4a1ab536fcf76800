"""The same data center as an ordinary user, who is root only in a user namespace."""

from __future__ import annotations

import pwd
from pathlib import Path

from embedded.center import Center, traces

from .fabrics import Fabrics


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
