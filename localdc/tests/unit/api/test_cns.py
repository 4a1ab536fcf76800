"""CNS: what the API says of names, and what the name server answers over its sockets."""

from __future__ import annotations

import socket
import time

import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from localdc.daemon.nameserver import NameServer

PUBLIC = "localdc.triton.local"
PRIVATE = "localdc.cns.local"


class Resolver:
    """Asks the name server of a data center."""

    def __init__(self, dc):
        self.dc = dc
        self.server = NameServer(dc.app.state.center.cns)
        dc.run(self.server.open(["127.0.0.1"], 0))
        self.port = self.server.port

    def close(self):
        self.dc.loop.call_soon_threadsafe(self.server.close)

    def ask(self, name, kind="A", over=dns.query.udp, **options):
        query = dns.message.make_query(name, kind, **options)
        return over(query, "127.0.0.1", timeout=5, port=self.port)

    def addresses(self, name):
        answer = self.ask(name)
        return sorted(item.address for rrset in answer.answer for item in rrset)


@pytest.fixture
def resolver(dc):
    resolver = Resolver(dc)
    yield resolver
    resolver.close()


def test_cns_decides_the_host_name_when_a_machine_is_made(dc):
    """sdc-cloudapi, lib/machines.js, createMachine: dnsify(alias) and the first inst. suffix."""
    web = dc.create("Web_.1")
    dc.post("/my", json={"triton_cns_enabled": False})
    plain = dc.create("plain")
    zones = dc.compute.zones
    assert zones[web].hostname == "web-1"
    assert zones[web].dns_domain == f"inst.acme.{PUBLIC}"
    assert (zones[plain].hostname, zones[plain].dns_domain) == (None, "local")
    # renaming changes the alias only
    dc.post("/my", json={"triton_cns_enabled": True})
    dc.act(web, "rename", name="other")
    assert (zones[web].alias, zones[web].hostname) == ("other", "web-1")


def test_names_of_a_machine_follow_the_records(dc, resolver):
    web = dc.create("Web_1", **{"tag.triton.cns.services": "www:80:priority=5,www:81,api:port=8"})
    account = dc.get("/my").json()["id"]
    machine = dc.machine(web)
    for label in (web, "web-1", "WEB-1"):
        for owner in (account, "acme"):
            assert resolver.addresses(f"{label}.inst.{owner}.{PUBLIC}") == [machine["ips"][0]]
            assert resolver.addresses(f"{label}.inst.{owner}.{PRIVATE}") == [machine["ips"][1]]
    names = set(machine["dns_names"])
    assert {f"web-1.inst.acme.{PUBLIC}", f"www.svc.{account}.{PRIVATE}"} <= names
    assert len(names) == 2 * (4 + 2 * 2)
    for name in names:
        assert len(resolver.addresses(name)) == 1, name
    answer = resolver.ask(f"www.svc.acme.{PRIVATE}", "SRV").answer[0]
    target = f"web-1.inst.acme.{PRIVATE}."
    assert {(item.port, item.target.to_text()) for item in answer} == {(80, target), (81, target)}
    assert answer.ttl == 30
    assert web in resolver.ask(f"web-1.inst.acme.{PUBLIC}", "TXT").answer[0].to_text()

    dc.act(web, "rename", name="shop")
    assert resolver.addresses(f"shop.inst.acme.{PUBLIC}") == [machine["ips"][0]]
    assert resolver.ask(f"web-1.inst.acme.{PUBLIC}").rcode() == dns.rcode.NXDOMAIN
    dc.delete(f"/my/machines/{web}")
    dc.settle()
    assert resolver.ask(f"shop.inst.acme.{PUBLIC}").rcode() == dns.rcode.NXDOMAIN


def test_one_zone_for_all_addresses(start):
    """A new Triton has one zone, for networks "*" (triton-cns, the template of its settings)."""
    dc = start(cns_private="triton.local")
    uuid = dc.create("web")
    names = dc.machine(uuid)["dns_names"]
    assert names == [
        f"{label}.inst.{owner}.{PUBLIC}"
        for owner in (dc.get("/my").json()["id"], "acme") for label in (uuid, "web")
    ]  # fmt: skip
    suffixes = [network["suffixes"] for network in dc.get("/my/networks").json()]
    assert suffixes[0] == suffixes[1] == [f"svc.acme.{PUBLIC}", f"inst.acme.{PUBLIC}"]
    resolver = Resolver(dc)
    try:
        found = resolver.addresses(f"web.inst.acme.{PUBLIC}")
    finally:
        resolver.close()
    assert sorted(found) == sorted(dc.machine(uuid)["ips"])


def test_only_running_machines_stand_behind_a_service(dc, resolver):
    tag = {"tag.triton.cns.services": "engines"}
    one, two, three = (dc.create(name, **tag) for name in ("one", "two", "three"))
    service = f"engines.svc.acme.{PRIVATE}"
    ips = [dc.machine(uuid)["ips"][1] for uuid in (one, two, three)]
    assert resolver.addresses(service) == sorted(ips)

    dc.act(one, "stop")
    assert resolver.addresses(service) == sorted(ips[1:])
    assert resolver.addresses(f"one.inst.acme.{PRIVATE}") == [ips[0]]
    assert not any(".svc." in name for name in dc.machine(one)["dns_names"])
    dc.post(f"/my/machines/{two}/metadata", json={"triton.cns.status": "down"})
    assert resolver.addresses(service) == [ips[2]]
    dc.post(f"/my/machines/{three}/tags", json={"triton.cns.disable": True})
    dc.settle()
    assert resolver.ask(service).rcode() == dns.rcode.NXDOMAIN
    assert resolver.ask(f"three.inst.acme.{PRIVATE}").rcode() == dns.rcode.NXDOMAIN
    assert dc.machine(three)["dns_names"] == []


def test_accounts_choose_and_are_apart(dc, resolver):
    dc.create("web")
    name = f"web.inst.acme.{PUBLIC}"
    assert resolver.addresses(name)
    assert resolver.ask(f"web.inst.other.{PUBLIC}").rcode() == dns.rcode.NXDOMAIN
    dc.post("/my", json={"triton_cns_enabled": False})
    assert resolver.ask(name).rcode() == dns.rcode.NXDOMAIN
    assert all("suffixes" not in network for network in dc.get("/my/networks").json())
    assert "dns_names" not in dc.machine(dc.get("/my/machines").json()[0]["id"])
    dc.post("/my", json={"triton_cns_enabled": True})
    assert resolver.addresses(name)


def test_suffixes_tell_which_names_mean_which_network(dc, resolver):
    dc.post("/my/fabrics/default/vlans", json={"vlan_id": 2, "name": "two"})
    fabric = dc.post(
        "/my/fabrics/default/vlans/2/networks",
        json={
            "name": "Back-End",
            "subnet": "10.7.0.0/24",
            "provision_start_ip": "10.7.0.9",
            "provision_end_ip": "10.7.0.99",
        },
    ).json()
    networks = {network["name"]: network for network in dc.get("/my/networks").json()}
    assert networks["external"]["suffixes"] == [f"svc.acme.{PUBLIC}", f"inst.acme.{PUBLIC}"]
    for name in ("internal", "Back-End"):
        assert networks[name]["suffixes"] == [f"svc.acme.{PRIVATE}", f"inst.acme.{PRIVATE}"]
        assert dc.get(f"/my/networks/{networks[name]['id']}").json() == networks[name]
    web = dc.create("web", networks=[networks["internal"]["id"], fabric["id"]])
    ips = dc.machine(web)["ips"]
    assert resolver.addresses(f"web.inst.acme.{PRIVATE}") == sorted(ips)
    assert resolver.addresses(f"back-end.web.inst.acme.{PRIVATE}") == ["10.7.0.9"]
    assert f"back-end.web.inst.acme.{PRIVATE}" in dc.machine(web)["dns_names"]
    assert resolver.ask(f"internal.web.inst.acme.{PRIVATE}").rcode() == dns.rcode.NXDOMAIN
    assert resolver.ask(f"web.inst.acme.{PUBLIC}").rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize(
    ("name", "kind", "rcode", "authority"),
    [
        (f"web.inst.acme.{PUBLIC}", "AAAA", "NOERROR", "SOA"),
        (f"inst.acme.{PUBLIC}", "A", "NOERROR", "SOA"),
        (f"acme.{PUBLIC}", "A", "NOERROR", "SOA"),
        (PUBLIC, "A", "NOERROR", "SOA"),
        (f"nobody.inst.acme.{PUBLIC}", "A", "NXDOMAIN", "SOA"),
        (f"a.b.web.inst.acme.{PUBLIC}", "A", "NXDOMAIN", "SOA"),
        (f"web.other.acme.{PUBLIC}", "A", "NXDOMAIN", "SOA"),
        (f"x{PUBLIC}", "A", "SERVFAIL", None),
        ("example.com", "A", "SERVFAIL", None),
        ("web", "A", "SERVFAIL", None),
        (".", "NS", "SERVFAIL", None),
        (PUBLIC, "AXFR", "REFUSED", None),
    ],
)
def test_what_is_not_there(dc, resolver, name, kind, rcode, authority):
    dc.create("web")
    query = dns.message.make_query(name, kind)
    # sent once: whoever is silent first and answers a second query does not pass
    answer = dns.query.udp(query, "127.0.0.1", timeout=5, port=resolver.port)
    assert dns.rcode.to_text(answer.rcode()) == rcode
    assert answer.answer == []
    kinds = [dns.rdatatype.to_text(rrset.rdtype) for rrset in answer.authority]
    assert kinds == ([authority] if authority else [])
    assert bool(answer.flags & dns.flags.AA) == (authority is not None)


def test_the_zone_names_its_server(resolver):
    assert "SOA" in resolver.ask(PRIVATE, "SOA").answer[0].to_text()
    (server,) = resolver.ask(PRIVATE, "NS").answer[0]
    assert resolver.addresses(server.target.to_text()) == ["10.99.0.1"]


def test_what_udp_cannot_hold_goes_over_tcp(dc, resolver):
    for number in range(100):
        dc.create(f"e{number}", settle=False, **{"tag.triton.cns.services": "all"})
    dc.settle()
    name = f"all.svc.acme.{PUBLIC}"
    assert resolver.ask(name).flags & dns.flags.TC
    assert len(resolver.ask(name).to_wire()) <= 512
    answer = resolver.ask(name, over=dns.query.tcp)
    assert not answer.flags & dns.flags.TC
    assert len(answer.answer[0]) == 100
    with socket.create_connection(("127.0.0.1", resolver.port), 5) as connection:
        for _ in range(3):
            query = dns.message.make_query(name, "A")
            dns.query.send_tcp(connection, query)
            found, _ = dns.query.receive_tcp(connection, time.time() + 5)
            assert found.id == query.id and len(found.answer[0]) == 100


def test_nonsense_is_refused_and_does_no_harm(dc, resolver):
    dc.create("web")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(("127.0.0.1", resolver.port))
        client.send(b"x")
        client.send(b"\x12\x34" + b"\x00" * 2 + b"\xff" * 20)
        assert client.recv(512)[:2] == b"\x12\x34"
        answer = dns.message.make_response(dns.message.make_query("a.b", "A"))
        client.send(answer.to_wire())
        notify = dns.message.make_query(PUBLIC, "SOA")
        notify.set_opcode(dns.opcode.NOTIFY)
        client.send(notify.to_wire())
        found = dns.message.from_wire(client.recv(512))
        assert (found.id, found.rcode()) == (notify.id, dns.rcode.NOTIMP)
    with socket.create_connection(("127.0.0.1", resolver.port), 5) as connection:
        connection.sendall(b"\x00")
    assert resolver.addresses(f"web.inst.acme.{PUBLIC}")
