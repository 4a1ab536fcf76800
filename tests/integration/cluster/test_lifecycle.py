"""One cluster from nothing to nothing, as README tells a user to do it."""

from __future__ import annotations

import socket

from .playbooks import Cluster, eventually


def engine_pids(cluster: Cluster) -> dict[str, int]:
    """Process id of the engine on each machine, as its own startd knows it."""
    return {
        name: int(
            cluster.data_center.ssh(
                machine["primaryIp"], "svcprop -p restarter/start_pid pkgsrc/ipyparallel:engine"
            )
        )
        for name, machine in cluster.machines.items()
        if machine["tags"]["role"] == "engine"
    }


def hosts_that_compute(cluster: Cluster) -> set[str]:
    """Names of the machines; without CNS, what they call themselves is their id."""
    names = {machine["id"]: name for name, machine in cluster.machines.items()}
    with cluster.client() as client:
        return {names.get(host, host) for host in client[:].apply_sync(socket.gethostname)}


def test_check_mode_on_nothing_creates_nothing(scratch: Cluster) -> None:
    run = scratch.play("site.yml", "--check", "--diff", engines=2)
    assert f"{scratch.name}-controller" in run.output
    assert f"{scratch.name}-engine-002" in run.output
    assert scratch.machines == {}


def test_from_nothing_to_nothing(scratch: Cluster) -> None:
    first = scratch.play("site.yml", engines=2)
    assert first.total("failed") == first.total("unreachable") == 0
    assert set(scratch.machines) == {
        f"{scratch.name}-controller",
        f"{scratch.name}-engine-001",
        f"{scratch.name}-engine-002",
    }
    assert hosts_that_compute(scratch) == {
        f"{scratch.name}-engine-001",
        f"{scratch.name}-engine-002",
    }
    pids = engine_pids(scratch)

    again = scratch.play("site.yml", engines=2)
    assert again.total("changed") == 0, again.output
    assert engine_pids(scratch) == pids

    checked = scratch.play("site.yml", "--check", "--diff", engines=2)
    assert checked.total("changed") == 0, checked.output

    scratch.play("site.yml", engines=4)
    grown = engine_pids(scratch)
    assert {name: grown[name] for name in pids} == pids, "growing touched engines that worked"
    assert len(hosts_that_compute(scratch)) == 4

    scratch.play("site.yml", engines=1)
    assert engine_pids(scratch) == {
        f"{scratch.name}-engine-001": pids[f"{scratch.name}-engine-001"]
    }
    eventually(
        "the controller forgets the engines that are gone",
        lambda: hosts_that_compute(scratch) == {f"{scratch.name}-engine-001"},
    )

    scratch.play("teardown.yml")
    assert scratch.machines == {}
    assert not scratch.directory.exists(), list(scratch.directory.iterdir())
    assert scratch.play("teardown.yml").total("changed") == 0


def test_machines_that_configure_themselves_without_names(scratch: Cluster) -> None:
    """Their host names are their ids here; a later run need not say how they were made."""
    made = scratch.play("site.yml", engines=1, bootstrap="metadata")
    assert "1 engine(s) ready" in made.output
    assert hosts_that_compute(scratch) == {f"{scratch.name}-engine-001"}
    again = scratch.play("site.yml")
    assert again.total("changed") == 0, again.output
    assert "1 engine(s) ready" in again.output
    grown = scratch.play("site.yml", engines=2)
    assert "2 engine(s) ready" in grown.output


def test_a_run_that_failed_half_way_is_continued(scratch: Cluster) -> None:
    failed = scratch.play("site.yml", engines=2, machine_image="base-64-lst", check=False)
    assert failed.code
    scratch.play("site.yml", "--tags", "machines", engines=1, check=False)
    before = {name: machine["id"] for name, machine in scratch.machines.items()}
    assert before, "the first part of site.yml made no machine"
    scratch.play("site.yml", engines=2)
    after = {name: machine["id"] for name, machine in scratch.machines.items()}
    assert len(after) == 3
    assert before.items() <= after.items(), "the second run did not adopt the machines"


def test_an_engine_gets_few_ssh_tasks(cluster: Cluster) -> None:
    run = cluster.play("site.yml", engines=2)
    recap = next(
        line
        for line in run.output.splitlines()
        if line.startswith(f"{cluster.name}-engine-001") and "ok=" in line
    )
    tasks = int(recap.split("ok=")[1].split()[0]) + int(recap.split("skipped=")[1].split()[0])
    assert tasks <= 8, recap
