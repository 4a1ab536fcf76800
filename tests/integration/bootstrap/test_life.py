"""Machines that configure themselves over time: check mode, boots, growth, another controller.

Two engines on each machine; the address of the controller is told when it has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from smartdc import DataCenter as CloudAPI
from smartdc.config import resolve

from ..cluster.conftest import cluster_of
from ..cluster.playbooks import REPOSITORY, Cluster, DataCenter, Recap, eventually

SERVICES = "svc:/pkgsrc/ipyparallel:*"
IDENTITY = (
    "cksum /opt/local/share/ipython/profile_*/security/*; cksum /opt/local/lib/svc/*/ipyparallel*"
)
BOOT = "svc:/pkgsrc/ipyparallel-boot:default"
LAST_BOOT = (
    r"sed -n 'H;/Executing start method/h;${x;p}' /var/svc/log/pkgsrc-ipyparallel-boot:default.log"
)


class Several:
    def __init__(self, cluster: Cluster, cloudapi: CloudAPI) -> None:
        self.cluster = cluster
        self.cloudapi = cloudapi

    def play(self, *options: str, engines: int = 2, **variables: object) -> Recap:
        wanted: dict[str, Any] = {
            "engines": engines,
            "engines_per_machine": 2,
            "bootstrap": "metadata",
            "controller_address": "later",
        }
        return self.cluster.play("site.yml", *options, **{**wanted, **variables})

    def machine(self, end: str) -> Any:
        return self.cloudapi.machine(self.cluster.machines[f"{self.cluster.name}-{end}"]["id"])

    def ssh(self, end: str, command: str) -> str:
        address = self.cluster.machines[f"{self.cluster.name}-{end}"]["primaryIp"]
        return self.cluster.data_center.ssh(address, command)

    def pids(self, end: str) -> list[str]:
        """Of the engines, or of the controller, of a machine."""
        return self.ssh(end, "pgrep -f '[i]pyparallel.(engine|controller)'").split()

    def computing(self, count: int) -> list[int]:
        """The ids, once there are so many and all of them compute."""

        def probe() -> list[int] | None:
            with self.cluster.client() as client:
                ids = list(client.ids)
                if len(ids) != count:
                    return None
                answers = client[ids].apply_async(sum, [1, 2]).get(timeout=10)
                return ids if answers == [3] * count else None

        return eventually(f"{count} engines compute", probe)


@pytest.fixture(scope="module")
def several(data_center: DataCenter) -> Iterator[Several]:
    cloudapi = CloudAPI.of(resolve(env=data_center.env, cwd=REPOSITORY))
    for made in cluster_of(data_center, "several"):
        several = Several(made, cloudapi)
        run = several.play()
        assert "4 engine(s) ready" in run.output
        yield several


def test_check_mode_makes_nothing_of_nothing(scratch: Cluster) -> None:
    wanted = {"engines": 17, "bootstrap": "metadata"}
    run = scratch.play("site.yml", "--check", "--diff", **wanted)
    for end in ("controller", "engine-001", "engine-017"):
        assert f"{scratch.name}-{end}" in run.output
    assert "Machines      18: 18 created" in run.output
    assert scratch.machines == {}
    assert not scratch.directory.exists()
    assert not re.search("[0-9a-f]{64}", run.output), "a key"
    other = scratch.play("site.yml", "--check", engines=17).output
    assert "-e bootstrap=metadata" in other
    assert "-e bootstrap=metadata" not in scratch.play("site.yml", "--check", engines=16).output


def test_check_mode_on_a_running_cluster(several: Several) -> None:
    before = several.cluster.machines
    run = several.play("--check", "--diff", engines=3)
    assert f"{several.cluster.name}-engine-003" in run.output
    assert "Machines      4: 1 created, 3 kept, 0 deleted" in run.output
    assert several.cluster.machines == before
    run = several.play("--check", "--diff", engines=1)
    assert "Machines      2: 0 created, 2 kept, 1 deleted" in run.output
    assert several.cluster.machines == before
    run = several.play("--check", "--diff")
    assert run.total("changed") == 0
    assert before["several-engine-001"]["metadata"]["ipython.key"] not in run.output


def test_a_second_run_changes_nothing(several: Several) -> None:
    pids = several.pids("engine-001"), several.pids("controller")
    assert several.play().total("changed") == 0
    assert (several.pids("engine-001"), several.pids("controller")) == pids


def test_another_number_of_engines_per_machine_is_refused(several: Several) -> None:
    before = several.cluster.machines
    refused = several.play(engines_per_machine=1, check=False)
    assert refused.code
    assert "Keep engines_per_machine=2" in " ".join(refused.output.split())
    assert several.cluster.machines == before


def test_the_script_leaves_a_healthy_service_alone(several: Several) -> None:
    for end in ("controller", "engine-001"):
        before = several.pids(end), several.ssh(end, IDENTITY)
        said = several.ssh(end, "/var/svc/mdata-user-script work")
        assert "boot script: done" in said
        assert "changed" not in said
        assert (several.pids(end), several.ssh(end, IDENTITY)) == before


def test_an_engine_machine_that_boots(several: Several) -> None:
    before = several.ssh("engine-001", IDENTITY)
    old = several.computing(4)
    several.machine("engine-001").reboot()
    eventually("new ids", lambda: max(several.computing(4)) > max(old))
    assert several.ssh("engine-001", IDENTITY) == before
    last = several.ssh("engine-001", LAST_BOOT)
    assert "boot script: done" in last
    assert "changed" not in last


SLOW = """PATH=/opt/local/bin:/opt/local/sbin:$PATH
rm /opt/local/bin/pkgin
cat >/opt/local/bin/pkgin <<'END'
#!/bin/sh
case "$*" in *install*) sleep 30 ;; esac
exec /usr/lib/localdc/bin/pkgin "$@"
END
chmod 755 /opt/local/bin/pkgin
svccfg -s mdata:execute setprop start/timeout_seconds = count: 12
svcadm refresh mdata:execute
pkgin -y remove $(pkg_info | sed -n 's/^\\(py3[0-9]*-numpy\\)-[0-9].*/\\1/p')
"""


def test_a_download_that_takes_longer_than_mdata_execute_may(several: Several) -> None:
    several.ssh("engine-002", SLOW)
    assert "numpy" not in several.ssh("engine-002", "/opt/local/sbin/pkg_info")
    several.machine("engine-002").reboot()
    eventually(
        "numpy",
        lambda: "numpy" in several.ssh("engine-002", "/opt/local/sbin/pkg_info"),
        timeout=180,
    )
    eventually("done", lambda: "boot script: done" in several.ssh("engine-002", LAST_BOOT))
    states = several.ssh("engine-002", f"svcs -H -o sta svc:/smartdc/mdata:execute {BOOT}")
    assert states.split() == ["ON", "ON"]
    assert several.computing(4)


def test_a_controller_that_boots(several: Several) -> None:
    before = several.ssh("controller", IDENTITY)
    pids = several.pids("engine-001"), several.pids("engine-002")
    old = several.computing(4)
    several.machine("controller").reboot()
    eventually("it runs", lambda: several.pids("controller"))
    run = several.play()
    assert "4 engine(s) ready" in run.output
    assert several.computing(4) == old
    assert (several.pids("engine-001"), several.pids("engine-002")) == pids
    assert several.ssh("controller", IDENTITY) == before


def test_a_machine_that_was_stopped_is_started(several: Several) -> None:
    address = several.cluster.machines["several-engine-002"]["ips"]
    machine = several.machine("engine-002")
    machine.stop()
    machine.poll_until("stopped")
    run = several.play()
    assert "4 engine(s) ready" in run.output
    assert several.cluster.machines["several-engine-002"]["ips"] == address
    assert several.play().total("changed") == 0


def test_growing_leaves_engines_alone(several: Several) -> None:
    pids = several.pids("engine-001"), several.pids("engine-002")
    assert "6 engine(s) ready" in several.play(engines=3).output
    assert (several.pids("engine-001"), several.pids("engine-002")) == pids
    assert "4 engine(s) ready" in several.play(engines=2).output
    assert (several.pids("engine-001"), several.pids("engine-002")) == pids
    assert len(several.cluster.machines) == 3


def test_engines_of_a_controller_that_is_gone_join_the_next(several: Several) -> None:
    old = several.cluster.machines["several-controller"]
    key = several.ssh("controller", "mdata-get ipython.key")
    several.machine("controller").delete()
    run = several.play()
    assert "4 engine(s) ready" in run.output
    assert several.cluster.machines["several-controller"]["id"] != old["id"]
    assert several.ssh("controller", "mdata-get ipython.key") == key
    assert several.play().total("changed") == 0
