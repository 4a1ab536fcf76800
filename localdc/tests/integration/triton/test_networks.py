"""Firewall rules, fabrics and NICs by the `triton` command, and what they do to the machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from embedded.clients.shell import IMAGE, PACKAGE, Shell, created_id, eventually

UNKNOWN = "00000000-1111-4222-8333-444444444444"
# bash opens the connection, and prints the first bytes of what the sshd there says
GREETING = "/opt/local/gnu/bin/timeout 1 bash -c 'exec 3<>/dev/tcp/{}/22; head -c 4 <&3'; true"


@pytest.fixture(scope="module")
def fortress(shell: Shell) -> Iterator[str]:
    """The id of a machine that was created behind a firewall."""
    options = ["-w", "-n", "fortress", "--firewall", IMAGE, PACKAGE]
    machine = created_id(shell.triton("instance", "create", *options))
    yield machine
    shell.triton("instance", "delete", "-f", "-w", machine)


Greeting = Callable[..., str]


@pytest.fixture(scope="module")
def greeting(shell: Shell, web: str) -> Greeting:
    """What `web`, or a machine with another address, gets from the ssh port of an address."""
    web_address = shell.triton("ip", "web").strip()

    def get(address: str, of: str = web_address) -> str:
        return shell.run("ssh", f"root@{of}", GREETING.format(address)).stdout

    return get


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


def test_tag_rules_follow_new_and_deleted_machines(
    shell: Shell, fortress: str, greeting: Greeting
) -> None:
    """Whoever gets the address of a machine that was let in is not let in for that."""
    address = shell.triton("ip", "fortress").strip()
    text = f"FROM tag guest = yes TO vm {fortress} ALLOW tcp PORT 22"
    rule = created_rule(shell.triton("fwrule", "create", text))
    network = shell.triton_json("network", "get", "external")["id"]
    nic = f"ipv4_uuid={network},ipv4_ips=100.64.0.77"
    for name, tag in (("guest", "guest=yes"), ("stranger", "guest=no")):
        options = ["-w", "-n", name, "-t", tag, "--nic", nic, IMAGE, PACKAGE]
        shell.triton("instance", "create", *options)
        assert shell.triton("ip", name).strip() == "100.64.0.77"
        if name == "guest":
            eventually(lambda: greeting(address, of="100.64.0.77"))
            assert "guest" in shell.triton("fwrule", "instances", "-H", rule)
        else:
            assert greeting(address, of="100.64.0.77") == ""
        shell.triton("instance", "delete", "-w", "-f", name)
    shell.triton("fwrule", "delete", "-f", rule)


def test_rule_blocks_what_goes_out(shell: Shell, fortress: str, greeting: Greeting) -> None:
    """What a machine sends is let through until a rule blocks it."""
    address, front = (shell.triton("ip", name).strip() for name in ("fortress", "web"))
    door = f"FROM any TO vm {fortress} ALLOW tcp PORT 22"
    wall = f"FROM vm {fortress} TO tag role = web BLOCK tcp PORT 22"
    rules = [created_rule(shell.triton("fwrule", "create", door))]
    eventually(lambda: greeting(front, of=address))
    rules.append(created_rule(shell.triton("fwrule", "create", wall)))
    eventually(lambda: not greeting(front, of=address))
    assert shell.run("ssh", f"root@{address}", "uname -n").stdout == "fortress\n"
    shell.triton("fwrule", "delete", "-f", *rules)


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


@pytest.fixture(scope="module")
def inside(shell: Shell, web: str, fabrics: dict[str, str]) -> Iterator[str]:
    """The address of the machine `inside`, which is on the fabric network `attic` alone.

    `web` is on that network, too.
    """
    mac = shell.triton("instance", "nic", "create", "-w", "web", "attic").split()[-1]
    shell.triton("instance", "create", "-w", "-n", "inside", "-N", "attic", IMAGE, PACKAGE)
    yield shell.triton("ip", "inside").strip()
    shell.triton("instance", "delete", "-w", "-f", "inside")
    shell.triton("instance", "nic", "delete", "-f", "web", mac)
    eventually(lambda: shell.state("web") == "running" and mac not in str(nics(shell)))


def test_machine_of_a_fabric_is_reached_through_another(shell: Shell, inside: str) -> None:
    """By plain ssh, and by the tag `tritoncli.ssh.proxy`, which names the machine in between."""
    front = shell.triton("ip", "web").strip()
    for options in ([], ["-F", shell.environment["SDC_SSH_CONFIG"]]):
        command = ["ssh", *options, "-J", f"root@{front}", f"root@{inside}", "uname -n"]
        assert shell.run(*command).stdout == "inside\n"
    shell.triton("instance", "tag", "set", "-w", "inside", "tritoncli.ssh.proxy=web")
    assert shell.triton("ssh", "inside", "uname -n") == "inside\n"


def test_machine_of_a_fabric_is_not_reached_without(shell: Shell, inside: str) -> None:
    message = shell.run("ssh", f"root@{inside}", "true").stderr
    assert f"{inside} of inside is on a fabric network; go through a machine" in message
    assert f"ssh -J root@ITS_ADDRESS root@{inside}" in message
    shell.triton("instance", "tag", "set", "-w", "inside", "tritoncli.ssh.proxy=nothing")
    message = shell.triton_fails(3, "ssh", "inside", "true")
    assert 'no instance with name or short id "nothing" was found' in message


def test_fabrics_are_apart(shell: Shell, inside: str, greeting: Greeting) -> None:
    shell.triton("instance", "create", "-w", "-n", "apart", "-N", "vault", IMAGE, PACKAGE)
    assert greeting(inside) == "SSH-"
    assert greeting(shell.triton("ip", "apart").strip()) == ""
    shell.triton("instance", "delete", "-w", "-f", "apart")


def test_nics_come_and_go_in_the_zone(shell: Shell, web: str, fabrics: dict[str, str]) -> None:
    output = shell.triton("instance", "nic", "create", "-w", "web", "vault")
    mac = output.split()[-1]
    assert [nic["network"] for nic in nics(shell)].count(fabrics["vault"]) == 1
    address = shell.triton_json("instance", "nic", "get", "web", mac)["ip"]
    assert mac in shell.triton("instance", "nic", "list", "-H", "-o", "mac", "web").split()
    shown = shell.triton("ssh", "web", "ifconfig -a; ipadm show-addr -p -o addr")
    assert f"inet {address} " in shown
    assert f"{address}/24" in shown.splitlines()
    shell.triton("instance", "nic", "delete", "-f", "web", mac)
    eventually(lambda: shell.state("web") == "running" and mac not in str(nics(shell)))
    assert address not in shell.triton("ssh", "web", "ifconfig -a; ipadm show-addr")
    assert "(ResourceNotFound)" in shell.triton_fails(1, "instance", "nic", "get", "web", mac)
    assert "(ResourceNotFound)" in shell.triton_fails(
        1, "instance", "nic", "delete", "-f", "web", mac
    )


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
