"""The external network: which subnet it has, and how an older data center comes to another."""

from __future__ import annotations

import argparse
import ipaddress

import pytest

from localdc import LocalDCError
from localdc.api import catalogue
from localdc.daemon import options
from localdc.daemon.external import settle
from localdc.paths import StateDir

FORMER = str(catalogue.FORMER_EXTERNAL)


@pytest.fixture
def paths(tmp_path):
    paths = StateDir(tmp_path, tmp_path / "pkgsrc")
    said = []

    def again(wanted=None):
        said.clear()
        return str(settle(paths, wanted, said.append))

    return paths, again, said


@pytest.fixture
def run(start, paths):
    """The data center with an external network, which a fabric has a way out to."""

    def run(subnet):
        networks = catalogue.networks(ipaddress.IPv4Network(subnet))
        return start(paths[0].database, networks=networks, firewall=True)

    return run


def test_what_clients_take_for_public():
    """By the value of an address, as smartdc 0.2, libcloud and the standard library do it."""
    external, internal = catalogue.networks()
    former = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    for network, private in ((external, False), (internal, True)):
        subnet = ipaddress.IPv4Network(network.subnet)
        assert subnet.is_private == private
        assert any(subnet.overlaps(ipaddress.IPv4Network(n)) for n in former) == private
    assert not ipaddress.IPv4Network(external.subnet).is_global, "somebody might route it"
    assert (external.gateway, external.resolvers) == ("100.64.0.1", ("100.64.0.1",))
    assert (external.provision_start, external.provision_end) == ("100.64.0.5", "100.64.3.250")


def test_a_new_data_center(paths):
    state, again, said = paths
    assert again() == "100.64.0.0/22" == again() and not said
    assert again("203.0.113.0/24") == "203.0.113.0/24" == again()
    assert state.external_network.read_text() == "203.0.113.0/24\n"


def test_one_of_former_times_moves_when_nothing_is_on_it(paths, run):
    _, again, said = paths
    dc = run(FORMER)
    body = {"name": "lab", "subnet": "192.168.5.0/24", "provision_start_ip": "192.168.5.5",
            "provision_end_ip": "192.168.5.9", "gateway": "192.168.5.1"}  # fmt: skip
    dc.post("/my/fabrics/default/vlans", json={"vlan_id": 7, "name": "lab"})
    fabric = dc.post("/my/fabrics/default/vlans/7/networks", json=body).json()["id"]
    web = dc.create("web")
    assert dc.machine(web)["primaryIp"].startswith("10.88.0.")
    dc.stop()
    assert again() == FORMER and "still 10.88.0.0/22" in said[0] and "1 now" in said[0]
    with pytest.raises(LocalDCError, match=r"10.88.0.0/22 \(1\)\. Delete them first"):
        again("203.0.113.0/24")
    dc = run(again())
    assert dc.machine(web)["primaryIp"].startswith("10.88.0.")
    dc.delete(f"/my/machines/{web}")
    dc.settle()
    dc.stop()
    assert again() == "100.64.0.0/22" == again() and not said
    dc = run(again())
    dc.settle()
    assert dc.machine(dc.create("next"))["primaryIp"].startswith("100.64.0.")
    (nic,) = dc.compute.zones[dc.create("inner", networks=[fabric])].nics
    assert nic.way_out.ip.startswith("100.64.0.")


def test_a_file_that_was_damaged(paths):
    state, again, _ = paths
    for text in ("nonsense", "10.99.4.0/24"):
        state.external_network.write_text(text)
        with pytest.raises(LocalDCError, match=r"external_network: .*Write it anew"):
            again()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.99.0.0/24", "overlaps with 10.99.0.0/16"),
        ("10.0.0.0/8", "not of a size"),
        ("203.0.113.0/28", "not of a size"),
        ("203.0.113.1/24", "host bits"),
        ("127.5.0.0/16", "no machine can have"),
        ("224.0.0.0/24", "no machine can have"),
        ("fd00::/64", "Expected 4 octets"),
        ("somewhere", "Expected 4 octets"),
    ],
)
def test_subnets_that_cannot_be(text, words, capsys):
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--external-network", text])
    assert words in capsys.readouterr().err
    given = parser.parse_args(["--external-network", "203.0.113.0/27"])
    assert options.from_arguments(given).external_network == "203.0.113.0/27"
