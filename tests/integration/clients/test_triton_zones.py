"""`triton` and zones: what the commands do to what really runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..localdc.center import eventually
from .clients import Clients, Refused

LAB = "-x -s 192.168.5.0/24 -S 192.168.5.10 -E 192.168.5.100"
KNOCK = "timeout 2 bash -c '</dev/tcp/{}/{}'"


@pytest.fixture(scope="module")
def web(zones: Clients, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    script = tmp_path_factory.mktemp("script") / "boot.sh"
    script.write_text("#!/bin/sh\necho run >> /root/boots\n")
    yield zones.create("web", f"-t role=web -m color=blue --script {script}")
    zones.triton("inst delete -w -f web")


@pytest.fixture(scope="module")
def db(zones: Clients) -> Iterator[str]:
    yield zones.create("db", "-t role=db")
    zones.triton("inst delete -w -f db")


def can_reach(zones: Clients, name: str, address: str, port: int = 22) -> bool:
    try:
        zones.ssh(name, KNOCK.format(address, port))
    except Refused:
        return False
    return True


def test_script_metadata_and_tags_inside(zones: Clients, web: str) -> None:
    assert zones.ssh("web", "cat /root/boots; mdata-get color; hostname") == "run\nblue\nweb"
    zones.triton("inst metadata set -w web color=red")
    assert eventually(lambda: zones.ssh("web", "mdata-get color") == "red")
    zones.triton("inst reboot -w web")
    assert eventually(lambda: zones.ssh("web", "cat /root/boots") == "run\nrun")
    with pytest.raises(Refused):
        zones.ssh("web", "false")
    assert "no instance" in zones.refused("ssh nothing true", code=3)


def test_firewall_is_enforced_and_follows_tags(zones: Clients, web: str, db: str) -> None:
    address = zones.triton("inst ip web").strip()
    assert can_reach(zones, "db", address)
    zones.triton("inst enable-firewall -w web")
    assert not can_reach(zones, "db", address)
    said = zones.triton("fwrule create", "FROM tag role=db TO tag role=web ALLOW tcp PORT 22")
    rule = re.search(r"[0-9a-f-]{36}", said)[0]  # type: ignore[index]
    assert eventually(lambda: can_reach(zones, "db", address))
    assert not can_reach(zones, "db", address, 80)
    zones.triton("inst reboot -w web")
    assert eventually(lambda: can_reach(zones, "db", address))
    zones.triton("inst tag set -w db role=other")
    assert eventually(lambda: not can_reach(zones, "db", address))
    zones.triton("inst tag set -w db role=db")
    assert eventually(lambda: can_reach(zones, "db", address))
    zones.triton(f"fwrule disable {rule}")
    assert eventually(lambda: not can_reach(zones, "db", address))
    zones.triton("inst disable-firewall -w web")
    assert can_reach(zones, "db", address)
    zones.triton("inst enable-firewall -w web")
    assert not can_reach(zones, "db", address)
    zones.triton("inst disable-firewall -w web")
    zones.triton(f"fwrule delete -f {rule}")


def test_outgoing_traffic_can_be_blocked(zones: Clients, web: str, db: str) -> None:
    address = zones.triton("inst ip web").strip()
    rule = f"FROM vm {db} TO ip {address} BLOCK tcp PORT 22"
    zones.triton("fwrule create", rule)
    zones.triton("fwrule create", "FROM any TO tag role=db ALLOW tcp PORT 22")
    zones.triton("inst enable-firewall -w db")
    assert not can_reach(zones, "db", address)
    for known in zones.rows("fwrule list -j"):
        zones.triton(f"fwrule delete -f {known['id']}")
    zones.triton("inst disable-firewall -w db")
    assert can_reach(zones, "db", address)


def test_snapshot_and_rollback(zones: Clients, db: str) -> None:
    zones.ssh("db", "echo before > /root/file")
    zones.triton("inst snapshot create -w -n one db")
    assert zones.json("inst snapshot get -j db one")["size"] > 0
    zones.ssh("db", "echo after > /root/file; touch /root/other")
    assert "already exists" in zones.refused("inst snapshot create -n one db")
    zones.triton("inst start --snapshot=one -w db")
    assert eventually(lambda: zones.ssh("db", "cat /root/file; ls /root") == "before\nfile")
    zones.triton("inst snapshot delete -w -f db one")
    assert zones.rows("inst snapshot list -j db") == []
    assert "not found" in zones.refused("inst snapshot get db one")


def test_nics_come_and_go(zones: Clients) -> None:
    zones.create("nics", "--network external")
    said = zones.triton("inst nic create -w nics internal")
    mac = re.search(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", said)[0]  # type: ignore[index]
    address = next(n["ip"] for n in zones.rows("inst nic list -j nics") if n["mac"] == mac)
    assert eventually(lambda: address in zones.ssh("nics", "ifconfig net1"))
    assert "network" in zones.refused("inst nic create nics nowhere", code=3)
    zones.triton(f"inst nic delete -f nics {mac}")
    assert eventually(lambda: address not in zones.ssh("nics", "ifconfig -a"))
    assert "not found" in zones.refused(f"inst nic get nics {mac}")
    zones.triton("inst delete -w -f nics")


def test_fabric_networks_are_apart_and_entered_through_a_bastion(zones: Clients) -> None:
    for name, vlan in (("lab", 7), ("lab2", 8)):
        zones.triton(f"vlan create -n {name} {vlan}")
        zones.triton(f"network create -n {name} {LAB} {vlan}")
    assert {n["name"] for n in zones.rows("network list -j public=false")} >= {"lab", "lab2"}
    zones.create("bastion", "--network external --network lab")
    zones.create("inside", "--network lab -t tritoncli.ssh.proxy=bastion")
    zones.create("apart", "--network lab2")
    inside = zones.triton("inst ip inside").strip()
    assert zones.ssh("inside", "hostname") == "inside"
    assert can_reach(zones, "bastion", inside)
    assert not can_reach(zones, "bastion", "192.168.5.77")
    # Same subnet on another VLAN: what answers on `lab` is not what is on `lab2`.
    apart = zones.json("inst get apart")["nics"][0]
    assert zones.json("inst get inside")["nics"][0]["mac"] != apart["mac"]
    table = zones.ssh("bastion", "cat /proc/net/arp")
    assert apart["mac"] not in table
    done = zones.center.run("connect", "inside", "22", check=False)
    assert done.returncode and "fabric networks only" in done.stderr
    assert "NICs" in zones.refused("network delete lab")
    zones.triton("inst delete -w -f bastion inside apart")
    zones.triton("network delete lab lab2")
    zones.triton("vlan delete 7 8")


def test_volumes(zones: Clients) -> None:
    zones.triton("volume create -w -n data --size 10G")
    assert zones.json("volume get data")["state"] == "ready"
    assert "already exists" in zones.refused("volume create -n data")
    zones.create("writer", "-v data:/data")
    zones.create("reader", "-v data:/data:ro")
    zones.ssh("writer", "echo hello > /data/x")
    assert zones.ssh("reader", "cat /data/x") == "hello"
    with pytest.raises(Refused, match="Read-only"):
        zones.ssh("reader", "echo no > /data/x")
    assert "used" in zones.refused("volume delete -y data")
    zones.triton("inst reboot -w reader")
    assert eventually(lambda: zones.ssh("reader", "cat /data/x") == "hello")
    zones.triton("inst delete -w -f writer reader")
    zones.triton("volume delete -y -w data")
    assert zones.rows("volume list -j") == []
    zones.refused("volume get data", code=3)


def test_everything_is_gone_with_the_machine(zones: Clients) -> None:
    uuid = zones.create("brief")
    zones.triton("inst snapshot create -w -n one brief")
    place = Path(zones.center.state) / "zones" / uuid
    assert (place / "snapshots" / "one").is_dir()
    zones.triton("inst delete -w -f brief")
    assert eventually(lambda: not place.exists())
