"""Failures are told apart and named by machine, in both ways, and what the machines say is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smartdc import DataCenter as CloudAPI
from smartdc.config import resolve

from ..cluster.playbooks import REPOSITORY, Cluster, DataCenter, Recap, eventually

ENGINE = "svc:/pkgsrc/ipyparallel:engine"
WAYS = pytest.mark.parametrize("bootstrap", ["ssh", "metadata"])
Break = Callable[[str, str, set[int]], None]


def evidence(cluster: Cluster, failed: Recap) -> tuple[str, Path]:
    """The diagnosis and the directory that the message of the run names."""
    assert failed.code
    named = re.search(r"What the machines say is in (\S+/failure-\S+)\. ", failed.output)
    assert named, failed.output[-3000:]
    directory = Path(named[1])
    assert directory.parent == cluster.directory
    assert directory.stat().st_mode & 0o077 == 0
    text = (directory / "diagnosis.txt").read_text()
    assert text in failed.output
    return text, directory


def of_machine(text: str, name: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith(f"{name}: ")]
    assert len(lines) == 1, text
    return lines[0].removeprefix(f"{name}: ")


@pytest.fixture(scope="module")
def cloudapi(data_center: DataCenter) -> CloudAPI:
    return CloudAPI.of(resolve(env=data_center.env, cwd=REPOSITORY))


@pytest.fixture
def block(scratch: Cluster, cloudapi: CloudAPI) -> Iterator[Break]:
    """Firewall rules by which a machine does not get through to some ports of another."""
    rules = []
    base = set(range(20000, 20009))

    def allow(rule: str) -> None:
        rules.append(cloudapi.create_fwrule(rule)["id"])

    def block_ports(source: str, target: str, ports: set[int]) -> None:
        ids = {name: machine["id"] for name, machine in scratch.machines.items()}
        machine = cloudapi.machine(ids[target])
        allow(f"FROM any TO vm {ids[target]} ALLOW tcp PORT 22")
        left = " AND ".join(f"PORT {port}" for port in sorted(base - ports))
        allow(f"FROM vm {ids[source]} TO vm {ids[target]} ALLOW tcp ({left})")
        machine.enable_firewall()

    yield block_ports
    for rule in rules:
        cloudapi.delete_fwrule(rule)


@WAYS
def test_packages_that_do_not_exist(scratch: Cluster, bootstrap: str) -> None:
    failed = scratch.play(
        "site.yml", engines=1, bootstrap=bootstrap, extra_packages="no-such-thing", check=False
    )
    text, directory = evidence(scratch, failed)
    for name in (f"{scratch.name}-controller", f"{scratch.name}-engine-001"):
        problem = of_machine(text, name)
        assert problem.startswith("packages failed: "), text
        assert "no-such-thing" in problem
        assert name in scratch.machines
        assert "== packages" in (directory / f"{name}.txt").read_text()


@WAYS
def test_a_script_of_the_user_that_fails(scratch: Cluster, bootstrap: str) -> None:
    script = "#!/bin/sh\necho cannot mount the data\nexit 3\n"
    failed = scratch.play(
        "site.yml", engines=0, bootstrap=bootstrap, machine_user_script=script, check=False
    )
    text, _ = evidence(scratch, failed)
    problem = of_machine(text, f"{scratch.name}-controller")
    assert problem.startswith("boot script failed"), text
    assert "cannot mount the data" in problem


@WAYS
def test_engines_that_do_not_compute(scratch: Cluster, block: Break, bootstrap: str) -> None:
    wanted = {"engines": 3, "bootstrap": bootstrap}
    scratch.play("site.yml", **wanted)
    controller, silent, half, broken = (
        f"{scratch.name}-{end}" for end in ("controller", "engine-001", "engine-002", "engine-003")
    )
    address = {name: machine["primaryIp"] for name, machine in scratch.machines.items()}
    key = scratch.ssh("controller", "cat /opt/local/share/ipython/profile_default/security/*.json")
    block(silent, controller, {20005, 20006})
    block(half, controller, {20003})
    block(broken, controller, set())
    for name in (silent, half):
        scratch.data_center.ssh(address[name], f"svcadm restart {ENGINE}")
    text, _ = evidence(scratch, scratch.play("site.yml", **wanted, ready_timeout=20, check=False))
    assert of_machine(text, silent).startswith(f"{ENGINE} is running but not registered"), text
    assert of_machine(text, half) == f"{ENGINE} is registered, but blocked for: task", text
    assert broken not in text
    assert controller not in text

    scratch.data_center.ssh(address[broken], f"svcadm mark maintenance {ENGINE}")
    eventually(
        "maintenance",
        lambda: (
            "maintenance" in scratch.data_center.ssh(address[broken], f"svcs -H -o state {ENGINE}")
        ),
    )
    text, _ = evidence(scratch, scratch.play("site.yml", **wanted, ready_timeout=20, check=False))
    if bootstrap == "ssh":
        assert broken not in text, "the role clears what needs no more than that"
    else:
        problem = of_machine(text, broken)
        assert problem.startswith(f"{ENGINE} in maintenance: svc:/pkgsrc/ipyparallel:engine"), text
        assert "log: " in problem

    secret = re.search(r'"key": "([0-9a-f]{64})"', key)
    assert secret
    for file in scratch.directory.glob("failure-*/*"):
        assert secret[1] not in file.read_text(), file
        assert file.stat().st_mode & 0o077 == 0 or file.parent.stat().st_mode & 0o077 == 0
    assert set(scratch.machines) == set(address), "the machines were not kept"


@WAYS
def test_a_machine_that_is_not_provisioned(scratch: Cluster, bootstrap: str) -> None:
    name = f"{scratch.name}-engine-001"
    scratch.data_center.admin(
        "faults", {"kind": "provision_failure", "machine": name, "reason": "no server with room"}
    )
    failed = scratch.play("site.yml", engines=2, bootstrap=bootstrap, check=False)
    text, _ = evidence(scratch, failed)
    problem = of_machine(text, name)
    assert problem.startswith("not provisioned: "), text
    assert "the data center does not say why" in problem
    assert "no server with room" not in text, "CloudAPI's audit has no reason"
    again = scratch.play("site.yml", engines=2, bootstrap=bootstrap)
    assert "2 engine(s) ready" in again.output


def test_a_machine_that_ssh_does_not_reach(scratch: Cluster) -> None:
    scratch.play("site.yml", engines=1)
    # also the connection that Ansible keeps open, which outlives the service
    scratch.ssh("engine", "svcadm disable -s ssh; pkill sshd", check=False)
    failed = scratch.play("site.yml", engines=1, sdc_cluster_timeout=5, check=False)
    text, _ = evidence(scratch, failed)
    assert of_machine(text, f"{scratch.name}-engine-001").startswith("not reachable by ssh"), text
