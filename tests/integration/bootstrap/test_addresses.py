"""Where engines find their controller: known before there is a machine, or told later."""

from __future__ import annotations

import re
from datetime import datetime

from ..cluster.playbooks import Cluster

URL = "ipython.url"


def urls(cluster: Cluster) -> set[str]:
    return {
        machine["metadata"][URL]
        for machine in cluster.machines.values()
        if machine["tags"]["role"] == "engine"
    }


def test_the_name_of_the_container_name_service(by_metadata: Cluster) -> None:
    (url,) = urls(by_metadata)
    name = re.fullmatch(r"tcp://([a-z0-9-]+\.inst\.[a-z0-9-]+\.[a-z0-9.-]+):20000", url)
    assert name, url
    assert name[1].startswith(f"{by_metadata.name}-controller.inst.")
    controller = by_metadata.machines[f"{by_metadata.name}-controller"]
    resolved = by_metadata.ssh("engine", f"getent hosts {name[1]}").split()
    assert resolved[0] == controller["ips"][1]
    listens = by_metadata.ssh("controller", "svcs -H -o state ipyparallel:controller")
    assert listens == "online\n"


def test_controller_and_engine_are_created_together(by_metadata: Cluster) -> None:
    created = [
        datetime.fromisoformat(machine["created"]) for machine in by_metadata.machines.values()
    ]
    assert (max(created) - min(created)).total_seconds() < 1.0


def test_a_cluster_keeps_what_its_engines_were_told(scratch: Cluster) -> None:
    wanted = {"engines": 1, "bootstrap": "metadata"}
    made = scratch.play("site.yml", **wanted, controller_address="later")
    controller = scratch.machines[f"{scratch.name}-controller"]
    assert urls(scratch) == {f"tcp://{controller['ips'][1]}:20000"}
    assert f"tcp://{controller['ips'][1]}:20000" in made.output
    again = scratch.play("site.yml", **wanted)
    assert again.total("changed") == 0
    assert urls(scratch) == {f"tcp://{controller['ips'][1]}:20000"}


def test_an_address_that_is_asked_for(scratch: Cluster) -> None:
    address = "10.99.3.200"
    wanted = {
        "engines": 1,
        "bootstrap": "metadata",
        "machine_networks": "external,internal",
        "controller_address": address,
    }
    made = scratch.play("site.yml", **wanted)
    assert "1 engine(s) ready" in made.output
    assert "TASK [sdc_cluster : Address for the engines]" not in made.output
    assert address in scratch.machines[f"{scratch.name}-controller"]["ips"]
    assert urls(scratch) == {f"tcp://{address}:20000"}
    assert scratch.play("site.yml", **wanted).total("changed") == 0


def test_an_address_that_no_network_has(scratch: Cluster) -> None:
    failed = scratch.play(
        "site.yml",
        engines=1,
        bootstrap="metadata",
        machine_networks="external,internal",
        controller_address="10.1.2.3",
        check=False,
    )
    assert failed.code
    assert "10.1.2.3" in failed.output
    assert f"{scratch.name}-controller: not provisioned: " in failed.output
