"""Failures are told apart and named by machine, and what the machines say is kept."""

from __future__ import annotations

from pathlib import Path

from ..cluster.playbooks import Cluster


def diagnosis(cluster: Cluster) -> tuple[str, Path]:
    directories = sorted(cluster.directory.glob("failure-*"))
    assert directories, "nothing was collected"
    return (directories[-1] / "diagnosis.txt").read_text(), directories[-1]


def test_packages_that_do_not_exist(scratch: Cluster) -> None:
    failed = scratch.play(
        "site.yml", engines=1, bootstrap="metadata", extra_packages="no-such-thing", check=False
    )
    assert failed.code
    text, directory = diagnosis(scratch)
    for name in (f"{scratch.name}-controller", f"{scratch.name}-engine-001"):
        line = next(line for line in text.splitlines() if line.startswith(f"{name}: "))
        assert line.startswith(f"{name}: packages failed: no-such-thing"), line
        assert name in scratch.machines
        assert (directory / f"{name}.txt").exists()
    assert directory.stat().st_mode & 0o077 == 0


def test_a_script_of_the_user_that_fails(scratch: Cluster) -> None:
    script = "#!/bin/sh\necho cannot mount the data\nexit 3\n"
    failed = scratch.play(
        "site.yml", engines=0, bootstrap="metadata", machine_user_script=script, check=False
    )
    assert failed.code
    text, _ = diagnosis(scratch)
    assert f"{scratch.name}-controller: boot script failed in step user-script" in text
    assert "cannot mount the data" in text


def test_an_engine_that_does_not_come(scratch: Cluster) -> None:
    scratch.play("site.yml", engines=2, bootstrap="metadata")
    one, two = (f"{scratch.name}-engine-00{index}" for index in (1, 2))
    addresses = {name: machine["primaryIp"] for name, machine in scratch.machines.items()}
    ssh = scratch.data_center.ssh
    ssh(addresses[one], "svcadm mark maintenance svc:/pkgsrc/ipyparallel:engine")
    ssh(
        addresses[two],
        "svccfg -s svc:/pkgsrc/ipyparallel:engine setprop config/url = astring: tcp://10.99.0.1:9; "
        "svcadm refresh ipyparallel:engine; svcadm restart ipyparallel:engine",
    )
    failed = scratch.play(
        "site.yml", engines=2, bootstrap="metadata", ready_timeout=15, check=False
    )
    assert failed.code
    text, _ = diagnosis(scratch)
    assert f"{one}: svc:/pkgsrc/ipyparallel:engine in maintenance" in text
    assert f"{two}: svc:/pkgsrc/ipyparallel:engine is running but not registered" in text


def test_a_machine_that_is_not_provisioned(scratch: Cluster) -> None:
    failed = scratch.play(
        "site.yml",
        engines=1,
        bootstrap="metadata",
        machine_networks="external,internal",
        controller_address="10.1.2.3",
        check=False,
    )
    assert failed.code
    text, _ = diagnosis(scratch)
    assert f"{scratch.name}-controller: not provisioned" in text
