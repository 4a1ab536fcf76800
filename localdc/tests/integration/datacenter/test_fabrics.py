"""Fabric networks: their way out, what keeps them apart, and rules for what leaves a machine."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from smartdc import Machine
from smartdc.errors import InvalidArgument

from embedded.center import PACKAGE, Center, eventually

from .fabrics import SUBNET, Fabrics

OTHER = "neighbour"
PORT = 7000
LISTEN = f"""\
nohup perl -MIO::Socket::INET -e '
    my $server = IO::Socket::INET->new(LocalPort => {PORT}, Listen => 9, ReuseAddr => 1) or die;
    $| = 1;
    while (my $peer = $server->accept) {{ print $peer->peerhost, "\\n"; }}
' > /tmp/callers 2>&1 < /dev/null &
"""


@pytest.fixture
def fabrics(center: Center) -> Iterator[Fabrics]:
    made = Fabrics(center)
    yield made
    made.clear()


def callers(center: Center, machine: Machine) -> list[str]:
    return center.ssh(machine.public_ips[0], "cat /tmp/callers").split()


def test_nat_is_a_way_out_and_no_way_in(
    center: Center, pair: tuple[Machine, Machine], fabrics: Fabrics
) -> None:
    api, target = center.api(), pair[0]
    center.ssh(target.public_ips[0], LISTEN)
    outside = [f"{target.public_ips[0]}:{PORT}", f"{target.private_ips[0]}:{PORT}"]
    with_nat = fabrics.network(api, 61, internet_nat=True)
    without = fabrics.network(api, 62, "192.168.78", internet_nat=False)
    inner = fabrics.machine(api, "with-nat", with_nat, *outside)
    cut_off = fabrics.machine(api, "without-nat", without, *outside)
    # the internal network is no part of what lies outside
    assert fabrics.reached(inner) == ["yes", "no", target.public_ips[0]]
    assert fabrics.reached(cut_off) == ["no", "no"]
    (masked,) = callers(center, target)
    assert masked.startswith("100.64.") and masked != target.public_ips[0]
    listed, _ = api.request("GET", f"networks/{target.networks[0]}/ips/{masked}")
    assert isinstance(listed, dict) and listed["reserved"] is True

    knock = "/opt/local/gnu/bin/timeout 4 ssh-keyscan -T 3 {} 2>/dev/null; true"
    for address in (masked, inner.ips[0]):
        assert center.ssh(target.public_ips[0], knock.format(address)) == ""
    # the address belongs to the data center, and nobody can ask for one there
    network = {"ipv4_uuid": target.networks[0], "ipv4_ips": [masked]}
    wanted = {"name": "thief", "package": PACKAGE, "image": target.image, "networks": [network]}
    with pytest.raises(InvalidArgument, match="cannot specify IP on a public network"):
        api.request("POST", "machines", data=wanted)


def test_networks_that_look_the_same_stay_apart(center: Center, fabrics: Fabrics) -> None:
    line = (center.state / "keys" / "id_rsa.pub").read_text()
    center.admin("accounts", {"login": OTHER, "key": line})
    mine, theirs = center.api(), center.api(OTHER)
    first = fabrics.network(mine, 71)
    second = fabrics.network(mine, 72, "192.168.78")
    third = fabrics.network(theirs, 71)
    known = fabrics.machine(mine, "known", first)
    assert known.ips == [f"{SUBNET}.10"]
    probe = f"{known.ips[0]}:22"
    same = fabrics.machine(mine, "same-net", first, probe)
    assert fabrics.reached(same)[0] == "yes"
    for api, network in ((mine, second), (theirs, third)):
        first_there = fabrics.machine(api, f"first-{network[:8]}", network)
        if network == third:
            # its neighbour has the address that is asked for in its own network
            assert first_there.ips == known.ips
        first_there.stop()
        first_there.poll_until("stopped", interval=0.3, timeout=60)
        alone = fabrics.machine(api, f"alone-{network[:8]}", network, probe)
        assert fabrics.reached(alone)[0] == "no"


def test_what_a_rule_blocks_does_not_leave(center: Center, pair: tuple[Machine, Machine]) -> None:
    api, (source, target) = center.api(), pair
    scan = f"ssh-keyscan -T 3 -t ed25519 {target.private_ips[0]} 2>/dev/null; true"
    assert center.ssh(source.public_ips[0], scan)
    text = f"FROM vm {source.id} TO any BLOCK tcp PORT 22"
    allow = f"FROM any TO vm {source.id} ALLOW tcp PORT 22"
    rules = []
    try:
        for rule in (text, allow):
            made, _ = api.request("POST", "fwrules", data={"rule": rule, "enabled": True})
            assert isinstance(made, dict)
            rules.append(made["id"])
        source.enable_firewall()
        eventually(lambda: center.ssh(source.public_ips[0], scan) == "")
        # only what the rule names
        names = "getent hosts beta.inst.localdc.localdc.cns.local"
        assert target.private_ips[0] in center.ssh(source.public_ips[0], names)
        api.request("POST", f"fwrules/{rules[0]}/disable")
        eventually(lambda: center.ssh(source.public_ips[0], scan) != "")
    finally:
        source.disable_firewall()
        for rule in rules:
            api.request("DELETE", f"fwrules/{rule}")


def hexadecimal(address: str) -> str:
    return f"{struct.unpack('=I', socket.inet_aton(address))[0]:08X}"


def test_wires_go_with_the_last_machine(center: Center, fabrics: Fabrics) -> None:
    """Also the router, so that its address may be given to somebody else."""

    def bridges() -> set[str]:
        names = Path(f"/proc/{center.process()['pid']}/net/dev").read_text().splitlines()[2:]
        return {name for line in names if (name := line.split(":")[0].strip()).endswith("f")}

    before = bridges()
    routes = {"10.1.0.0/16": f"{SUBNET}.9"}
    machine = fabrics.machine(
        center.api(), "last", fabrics.network(center.api(), 81, routes=routes)
    )
    assert len(bridges() - before) == 1
    pids = {m["name"]: m["pid"] for m in center.status()["machines"]}
    # proc(5): destination and gateway as the machine's own words of hexadecimal digits
    table = Path(f"/proc/{pids['last']}/net/route").read_text()
    known = [line.split()[1:3] for line in table.splitlines()]
    assert [hexadecimal("10.1.0.0"), hexadecimal(f"{SUBNET}.9")] in known
    machine.stop()
    machine.poll_until("stopped", interval=0.3, timeout=60)
    eventually(lambda: bridges() == before)
    machine.start()
    machine.poll_until("running", interval=0.3, timeout=60)
    assert len(bridges() - before) == 1
