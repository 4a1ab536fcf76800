"""Fabrics, their way out, and the NICs of machines."""

import requests

from localdc.api.catalogue import Package, networks, packages
from localdc.api.compute import WayOut

from .harness import BASE64, error
from .signer import Key, Signer

EXTERNAL, INTERNAL = networks()
FABRIC = {
    "name": "lab",
    "subnet": "192.168.5.0/24",
    "provision_start_ip": "192.168.5.10",
    "provision_end_ip": "192.168.5.20",
    "gateway": "192.168.5.1",
}


def make_fabric(dc, vlan, **more):
    vlans = "/my/fabrics/default/vlans"
    dc.post(vlans, json={"vlan_id": vlan, "name": f"v{vlan}"})
    body = {**FABRIC, "name": f"n{vlan}", **more}
    return f"{vlans}/{vlan}/networks", dc.post(f"{vlans}/{vlan}/networks", json=body)


def test_fabric_networks_and_machines_on_them(start):
    dc = start(fabrics=False)
    vlans = "/my/fabrics/default/vlans"
    assert dc.post(vlans, json={"vlan_id": 7, "name": "seven"}).json() == {
        "vlan_id": 7,
        "name": "seven",
    }
    assert error(dc.post(vlans, json={"vlan_id": 7, "name": "x"}))[:2] == (409, "InvalidArgument")
    assert error(dc.post(vlans, json={"vlan_id": 5000, "name": "x"}))[2].startswith(
        'property "vlan_id":'
    )
    assert dc.put(f"{vlans}/7", json={"name": "7"}).status_code == 202
    made = dc.post(f"{vlans}/7/networks", json=FABRIC)
    network = made.json()
    assert made.status_code == 201 and network["fabric"] and network["vlan_id"] == 7
    assert error(dc.post(f"{vlans}/7/networks", json={**FABRIC, "name": "b"}))[2].startswith(
        'property "subnet": overlaps'
    )
    bad = {**FABRIC, "name": "c", "subnet": "192.168.6.0/24"}
    assert error(dc.post(f"{vlans}/7/networks", json=bad))[:2] == (409, "InvalidArgument")
    listed = dc.get("/my/networks?fabric=true").json()
    assert [n["id"] for n in listed] == [network["id"]]
    assert dc.get(f"/my/networks/{network['id']}").json() == listed[0]
    assert error(dc.delete(f"{vlans}/7"))[0] == 409

    uuid = dc.create("inside", networks=[network["id"]])
    assert dc.machine(uuid)["ips"] == ["192.168.5.10"]
    (nic,) = dc.compute.zones[uuid].nics
    assert (nic.nic_tag, nic.network_id) == ("fabric", network["id"])
    place = f"{vlans}/7/networks/{network['id']}"
    assert error(dc.delete(place))[0] == 409
    assert dc.put(place, json={"name": "renamed"}).json()["name"] == "renamed"
    assert dc.put(place, json={**FABRIC, "name": "renamed"}).status_code == 200
    for fixed in ({"subnet": "10.0.0.0/24"}, {"gateway": "192.168.5.2"}, {"internet_nat": False}):
        status, _, message = error(dc.put(place, json=fixed))
        assert status == 409 and f'"{min(fixed)}": cannot be changed' in message
    ip = dc.put(f"/my/networks/{network['id']}/ips/192.168.5.11", json={"reserved": True}).json()
    assert ip["reserved"] is True
    other = dc.create("second", networks=[network["id"]])
    assert dc.machine(other)["ips"] == ["192.168.5.12"]
    for machine in (uuid, other):
        dc.delete(f"/my/machines/{machine}")
    dc.settle()
    dc.put("/my/config", json={"default_network": network["id"]})
    assert error(dc.delete(place))[2] == "cannot delete default network"
    dc.put("/my/config", json={"default_network": INTERNAL.id})
    assert dc.delete(place).status_code == 204 and dc.delete(f"{vlans}/7").status_code == 204
    assert dc.get("/my/networks?fabric=true").json() == []


def networks_of(dc, uuid):
    return dc.machine(uuid)["networks"]


def test_default_networks_are_the_first_of_each_kind(dc):
    """sdc-cloudapi, lib/machines.js: getCreateOptions knows no default_network of /config."""
    _, made = make_fabric(dc, 7)
    dc.put("/my/config", json={"default_network": made.json()["id"]})
    assert networks_of(dc, dc.create()) == [EXTERNAL.id, INTERNAL.id]


def test_default_networks_where_only_fabrics_are_internal(start):
    dc = start(networks=(EXTERNAL,), fabrics=False, fabric_package_prefixes=("g4-", "k4-"))
    assert networks_of(dc, dc.create("none")) == [EXTERNAL.id]
    first, _ = (make_fabric(dc, vlan)[1].json()["id"] for vlan in (8, 7))
    assert networks_of(dc, dc.create("a", package="g4-highcpu-512M")) == [EXTERNAL.id, first]
    assert networks_of(dc, dc.create("b", package="sample-512M")) == [EXTERNAL.id]


def test_a_package_may_exclude_fabrics_or_have_networks(start):
    """sdc-cloudapi, lib/machines.js: checkNetworks, and pkg.networks in getCreateOptions."""
    bound = Package("1b1a2c3d-0000-4000-8000-000000000001", "bound", 512, 10240, 1024,
                    networks=(INTERNAL.id,))  # fmt: skip
    dc = start(packages=(*packages(), bound), fabric_package_prefixes=("g4-", "k4-"))
    fabric = make_fabric(dc, 7)[1].json()["id"]
    body = {"name": "x", "image": BASE64, "package": "sample-512M", "networks": [fabric]}
    status, code, message = error(dc.post("/my/machines", json=body))
    assert (status, code) == (409, "InvalidFabricPackage")
    assert message.endswith("can be used with a fabric network: g4-, k4-")
    assert networks_of(dc, dc.create("a", package="g4-highcpu-512M", networks=[fabric])) == [fabric]
    assert networks_of(dc, dc.create("b", package="bound")) == [INTERNAL.id]
    assert networks_of(dc, dc.create("c", package="bound", networks=[EXTERNAL.id])) == [EXTERNAL.id]


def test_a_network_without_a_free_address(start):
    """napi, lib/util/errors.js, SubnetFullError: 507, which CloudAPI passes on."""
    dc = start()
    only = {"provision_start_ip": "192.168.5.9", "provision_end_ip": "192.168.5.9"}
    _, made = make_fabric(dc, 1, internet_nat=False, **only)
    network = made.json()["id"]
    dc.create("first", networks=[network])
    second = dc.create("second")
    answer = dc.post(f"/my/machines/{second}/nics", json={"network": network})
    assert error(answer)[:2] == (507, "SubnetFull")


def external_ips(dc):
    return [ip["ip"] for ip in dc.get(f"/my/networks/{EXTERNAL.id}/ips").json()]


def test_nat_takes_an_external_address(start):
    dc = start(firewall=True, fabrics=False)
    gateway = "192.168.5.1"
    place, made = make_fabric(dc, 1, gateway=gateway)
    assert made.json()["internet_nat"] is True and "nat_ip" not in made.json()
    assert external_ips(dc) == [EXTERNAL.gateway, "100.64.0.5"]
    make_fabric(dc, 2, gateway=gateway, internet_nat=False)
    make_fabric(dc, 3, gateway=None)
    assert len(external_ips(dc)) == 2
    uuid = dc.create("inside", networks=[made.json()["id"]])
    (nic,) = dc.compute.zones[uuid].nics
    assert nic.way_out == WayOut("external", "100.64.0.5", 22)
    assert dc.machine(dc.create("outside"))["ips"][0] == "100.64.0.6"
    network = {"ipv4_uuid": EXTERNAL.id, "ipv4_ips": ["100.64.0.5"]}
    assert dc.machine(dc.create("thief", networks=[network]))["state"] == "failed"
    dc.delete(f"/my/machines/{uuid}")
    dc.settle()
    assert dc.delete(f"{place}/{made.json()['id']}").status_code == 204
    assert external_ips(dc) == [EXTERNAL.gateway, "100.64.0.6"]


def test_nat_where_nothing_can_masquerade(start, tmp_path):
    dc = start(tmp_path / "state.db", fabrics=False)
    _, made = make_fabric(dc, 1, gateway="192.168.5.1", internet_nat=True)
    assert error(made)[:2] == (501, "NotImplementedError")
    place, made = make_fabric(dc, 1, gateway="192.168.5.1")
    assert made.status_code == 201
    assert external_ips(dc) == [EXTERNAL.gateway]
    dc.stop()
    # and with the next start, that finds it installed
    again = start(tmp_path / "state.db", firewall=True)
    assert external_ips(again) == [EXTERNAL.gateway, "100.64.0.5"]
    assert again.get(f"{place}/{made.json()['id']}").json() == made.json()


def test_a_new_account_has_a_fabric(start, tmp_path):
    """sdc-cloudapi, test/fabrics.test.js; sdcadm, the default fabric network of its post-setup."""
    dc = start(tmp_path / "state.db", firewall=True)
    vlans = "/my/fabrics/default/vlans"
    assert dc.get(vlans).json() == [{"vlan_id": 2, "name": "My-Fabric-VLAN"}]
    (network,) = dc.get(f"{vlans}/2/networks").json()
    assert network == {
        "id": network["id"],
        "name": "My-Fabric-Network",
        "public": False,
        "fabric": True,
        "subnet": "192.168.128.0/22",
        "provision_start_ip": "192.168.128.5",
        "provision_end_ip": "192.168.131.250",
        "gateway": "192.168.128.1",
        "resolvers": [EXTERNAL.gateway],
        "internet_nat": True,
        "vlan_id": 2,
    }
    assert error(dc.delete(f"{vlans}/2/networks/{network['id']}"))[2] == (
        "cannot delete default network"
    )
    uuid = dc.create("inside", networks=[network["id"]])
    assert dc.machine(uuid)["ips"] == ["192.168.128.5"]
    assert dc.compute.zones[uuid].nics[0].way_out == WayOut("external", "100.64.0.5", 22)
    # and one that comes later, at once
    other = Key("rsa")
    body = {"login": "second", "key": other.line}
    assert dc.admin("POST", "accounts", json=body).status_code == 201
    assert external_ips(dc) == [EXTERNAL.gateway, "100.64.0.5", "100.64.0.6"]
    answer = requests.get(f"{dc.url}/my/networks?fabric=true", auth=Signer(other, "second"))
    (its,) = answer.json()
    assert its["name"] == network["name"] and its["id"] != network["id"]
    assert dc.get(f"/my/networks/{its['id']}").status_code == 404


def test_an_account_from_before_has_what_it_had(start, tmp_path):
    start(tmp_path / "state.db", fabrics=False).stop()
    assert start(tmp_path / "state.db").get("/my/fabrics/default/vlans").json() == []


def test_routes_of_a_network_reach_its_machines(dc):
    _, made = make_fabric(dc, 1, routes={"10.1.0.0/16": "192.168.5.9"})
    uuid = dc.create("inside", networks=[made.json()["id"]])
    (nic,) = dc.compute.zones[uuid].nics
    assert nic.routes == (("10.1.0.0/16", "192.168.5.9"),)
    for routes in ({"10.1.0.0/16": "10.1.0.1"}, {"ten": "192.168.5.9"}, ["10.1.0.0/16"]):
        status, _, message = error(make_fabric(dc, 2, routes=routes)[1])
        assert status == 409 and message.startswith('property "routes":')


def test_nics_come_and_go_with_a_reboot(dc):
    uuid = dc.create("web", networks=[EXTERNAL.id])
    nics = f"/my/machines/{uuid}/nics"
    made = dc.post(nics, json={"network": INTERNAL.id})
    nic = made.json()
    assert made.status_code == 201 and nic["state"] == "provisioning"
    dc.settle()
    assert [n["state"] for n in dc.get(nics).json()] == ["running", "running"]
    assert len(dc.compute.zones[uuid].nics) == 2 and dc.audit(uuid)[0]["action"] == "unknown"
    again = dc.post(nics, json={"network": INTERNAL.id}, allow_redirects=False)
    assert again.status_code == 302 and again.headers["Location"] == made.headers["Location"]
    mac = nic["mac"].replace(":", "")
    assert dc.delete(f"{nics}/{mac}").status_code == 204
    assert error(dc.get(f"{nics}/{mac}"))[:2] == (404, "ResourceNotFound")
    dc.settle()
    assert [n.network_id for n in dc.compute.zones[uuid].nics] == [EXTERNAL.id]
    assert dc.machine(uuid)["state"] == "running"
    last = dc.get(nics).json()[0]["mac"].replace(":", "")
    assert error(dc.delete(f"{nics}/{last}"))[:2] == (409, "InvalidArgument")
    wanted = {"ipv4_uuid": INTERNAL.id, "ipv4_ips": ["10.99.0.77"]}
    assert dc.post(nics, json={"network": wanted, "primary": True}).json()["ip"] == "10.99.0.77"
    dc.settle()
    assert dc.machine(uuid)["primaryIp"] == "10.99.0.77"
