"""Machines in network pools, in a data center with zones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.center import Center, eventually
from embedded.fixtures import STORE
from localdc.api.catalogue import networks

EXTERNAL, INTERNAL = networks()
POOLS = [
    {"name": "outside", "networks": [EXTERNAL.id]},
    {"name": "inside", "networks": [INTERNAL.id]},
]


@pytest.fixture
def pooled(able: None, tmp_path: Path) -> Iterator[Center]:
    """A data center whose networks, but those of fabrics, are pools."""
    file = tmp_path / "offers.json"
    file.write_text(json.dumps({"pools": POOLS}))
    center = Center(tmp_path / "dc", STORE)
    try:
        center.run("start", "--catalogue", str(file))
        yield center
    finally:
        center.run("purge", check=False)


def test_a_machine_and_its_nics(pooled: Center) -> None:
    api = pooled.api()
    listed = (network for network in api.list_networks() if not network.get("fabric"))
    pools = {str(network["name"]): str(network["id"]) for network in listed}
    assert pools.keys() == {"outside", "inside"}
    assert not {EXTERNAL.id, INTERNAL.id} & set(pools.values())
    (machine,) = pooled.create("web", networks=[pools["outside"]])
    assert machine.networks == [EXTERNAL.id]
    (address,) = machine.ips
    show = "mdata-get sdc:nics; ifconfig -a"
    assert EXTERNAL.id in pooled.ssh(address, show)
    order = {"kind": "reboot_delay", "machine": "web", "seconds": 2}
    pooled.admin("faults", order)
    nic = api.add_nic(machine.id, pools["inside"])
    assert nic is not None and nic["network"] == INTERNAL.id
    eventually(lambda: {n["state"] for n in api.nics(machine.id)} == {"running"})
    assert nic["ip"] not in pooled.ssh(address, show), "it has been rebooted already"
    eventually(lambda: api.audit(machine.id)[0]["action"] == "add_nics")
    shown = pooled.ssh(address, show)
    assert f"inet {nic['ip']} " in shown and INTERNAL.id in shown
    assert api.get_machine(machine.id)["networks"] == [EXTERNAL.id, INTERNAL.id]
    pooled.delete(machine)
