"""Firewall rules, fabrics and NICs by the `triton` command, and what they do to the machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from .shell import IMAGE, PACKAGE, Shell, created_id, eventually

UNKNOWN = "00000000-1111-4222-8333-444444444444"
# bash opens the connection, and prints the first bytes of what the sshd there says
GREETING = "timeout 1 bash -c 'exec 3<>/dev/tcp/{}/22; head -c 4 <&3'; true"


@pytest.fixture(scope="module")
def fortress(shell: Shell) -> Iterator[str]:
    """The id of a machine that was created behind a firewall."""
    options = ["-w", "-n", "fortress", "--firewall", IMAGE, PACKAGE]
    machine = created_id(shell.triton("instance", "create", *options))
    yield machine
    shell.triton("instance", "delete", "-f", "-w", machine)


Greeting = Callable[[str], str]


@pytest.fixture(scope="module")
def greeting(shell: Shell, web: str) -> Greeting:
    """What `web` gets from the ssh port of an address."""
    front = shell.triton("ip", "web").strip()
    return lambda address: shell.run("ssh", f"root@{front}", GREETING.format(address)).stdout


def test_what_no_rule_allows_is_dropped(shell: Shell, fortress: str, greeting: Greeting) -> None:
    address = shell.triton("ip", "fortress").strip()
    assert greeting(address) == ""
    text = f"FROM any TO vm {fortress} ALLOW tcp PORT 22"
    rule = created_rule(shell.triton("fwrule", "create", "-D", "door", text))
    assert eventually(lambda: greeting(address)) == "SSH-"
    assert shell.triton_json("fwrule", "get", rule) == {
        "id": rule, "rule": text, "enabled": True, "log": False, "description": "door",
    }  # fmt: skip
    assert "fortress" in shell.triton("fwrule", "instances", rule)
    assert rule in shell.triton("instance", "fwrule", "list", fortress)
    shell.triton("fwrule", "disable", rule)
    eventually(lambda: greeting(address) == "")
    shell.triton("fwrule", "enable", rule)
    eventually(lambda: greeting(address))
    shell.triton("fwrule", "delete", "-f", rule)
    eventually(lambda: greeting(address) == "")


def test_tag_rules_follow_the_machines(shell: Shell, fortress: str, greeting: Greeting) -> None:
    address = shell.triton("ip", "fortress").strip()
    text = f"FROM tag guest = yes TO vm {fortress} ALLOW tcp PORT 22"
    rule = created_rule(shell.triton("fwrule", "create", text))
    assert greeting(address) == ""
    shell.triton("instance", "tag", "set", "-w", "web", "guest=yes")
    eventually(lambda: greeting(address))
    shell.triton("instance", "tag", "delete", "-w", "web", "guest")
    eventually(lambda: greeting(address) == "")
    shell.triton("fwrule", "update", rule, "rule=FROM any TO all vms ALLOW tcp PORT 22")
    eventually(lambda: greeting(address))
    shell.triton("fwrule", "delete", "-f", rule)


def test_firewall_off_and_on(shell: Shell, fortress: str, greeting: Greeting) -> None:
    address = shell.triton("ip", "fortress").strip()
    shell.triton("instance", "disable-firewall", "-w", "fortress")
    eventually(lambda: greeting(address))
    shell.triton("instance", "enable-firewall", "-w", "fortress")
    eventually(lambda: greeting(address) == "")
    message = shell.triton_fails(1, "instance", "enable-firewall", "nothing")
    assert 'no instance with name or short id "nothing" was found' in message


def test_rules_refused(shell: Shell) -> None:
    message = shell.triton_fails(1, "fwrule", "create", "FROM nonsense")
    assert "(InvalidParameters)" in message
    assert "rule: InvalidParameter" in message
    assert "(ResourceNotFound)" in shell.triton_fails(3, "fwrule", "get", UNKNOWN)
    assert "error" in shell.triton_fails(1, "fwrule", "delete", "-f", UNKNOWN)


def created_rule(output: str) -> str:
    found = re.search(r"Created firewall rule ([0-9a-f-]{36})", output)
    assert found, output
    return found[1]


@pytest.fixture(scope="module")
def fabrics(shell: Shell) -> Iterator[dict[str, str]]:
    """name -> id of two fabric networks, each on a VLAN of its own."""
    ids = {}
    for name, vlan in (("attic", "41"), ("vault", "42")):
        shell.triton("vlan", "create", "-n", name, vlan)
        subnet = f"192.168.{vlan}"
        addresses = ["-s", f"{subnet}.0/24", "-S", f"{subnet}.10", "-E", f"{subnet}.99"]
        output = shell.triton("network", "create", "-n", name, "-x", *addresses, vlan)
        found = re.search(r"\(([0-9a-f-]{36})\)", output)
        assert found, output
        ids[name] = found[1]
    yield ids
    for name, vlan in (("attic", "41"), ("vault", "42")):
        shell.triton("network", "delete", name)
        shell.triton("vlan", "delete", vlan)


def test_fabrics(shell: Shell, fabrics: dict[str, str]) -> None:
    network = shell.triton_json("network", "get", "attic")
    assert (network["id"], network["fabric"], network["vlan_id"]) == (fabrics["attic"], True, 41)
    assert "attic" in shell.triton("vlan", "networks", "41")
    assert shell.triton_json("vlan", "get", "attic")["vlan_id"] == 41
    # `triton vlan update` of 7.17.0 calls a function that it does not have.
    options = ["-X", "PUT", "/my/fabrics/default/vlans/41", "-d", '{"description": "dusty"}']
    shell.triton("cloudapi", *options)
    assert shell.triton_json("vlan", "get", "41")["description"] == "dusty"


def test_fabrics_refused(shell: Shell, fabrics: dict[str, str]) -> None:
    assert "already in use" in shell.triton_fails(1, "vlan", "create", "-n", "attic", "43")
    assert "must not have any networks" in shell.triton_fails(1, "vlan", "delete", "41")
    shell.triton_fails(3, "vlan", "get", "4000")
    addresses = ["-s", "192.168.41.0/99", "-S", "192.168.41.10", "-E", "192.168.41.99"]
    message = shell.triton_fails(1, "network", "create", "-n", "bad", "-x", *addresses, "41")
    assert "subnet" in message


def test_machine_of_a_fabric_is_reached_through_another(
    shell: Shell, greeting: Greeting, fabrics: dict[str, str]
) -> None:
    """The tag `tritoncli.ssh.proxy` names the machine in between; two fabrics are separate."""
    output = shell.triton("instance", "nic", "create", "-w", "web", "attic")
    mac = output.split()[-1]
    assert [nic["network"] for nic in nics(shell)].count(fabrics["attic"]) == 1
    assert "192.168.41.10" in shell.triton("ssh", "web", "ifconfig -a")
    tag = "tritoncli.ssh.proxy=web"
    for name in ("attic", "vault"):
        options = ["-w", "-n", f"in-{name}", "-t", tag, "-N", name, IMAGE, PACKAGE]
        shell.triton("instance", "create", *options)
    assert shell.triton("ssh", "in-attic", "uname -n") == "in-attic\n"
    assert greeting(shell.triton("ip", "in-attic").strip()) == "SSH-"
    assert greeting(shell.triton("ip", "in-vault").strip()) == ""
    shell.triton("instance", "delete", "-w", "-f", "in-attic", "in-vault")
    shell.triton("instance", "nic", "delete", "-f", "web", mac)
    eventually(lambda: shell.state("web") == "running" and len(nics(shell)) == 2)
    assert "(ResourceNotFound)" in shell.triton_fails(1, "instance", "nic", "get", "web", mac)


def test_nics(shell: Shell, web: str) -> None:
    before = nics(shell)
    # A NIC on that network exists: the answer is a redirection to it.
    shell.triton("instance", "nic", "create", "web", "external")
    assert nics(shell) == before
    mac = before[0]["mac"]
    assert shell.triton_json("instance", "nic", "get", "web", mac) == before[0]
    message = shell.triton_fails(3, "instance", "nic", "create", "web", "nothing")
    assert 'no network with name or short id "nothing"' in message


def nics(shell: Shell) -> list[dict[str, str]]:
    found: list[dict[str, str]] = shell.triton_json("instance", "get", "web")["nics"]
    return found
