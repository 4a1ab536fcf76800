"""Fabrics, their way out, and the NICs of machines."""

from dataclasses import replace

import pytest
import requests

from localdc.api.catalogue import Package, networks, packages
from localdc.api.compute import WayOut

from .harness import BASE64, error
from .signer import Key, Signer

EXTERNAL, INTERNAL = networks()
VLANS = "/my/fabrics/default/vlans"


@pytest.fixture
def dc(start):
    """Without the fabric that a new account has."""
    return start(fabrics=False)


def fabric(number=5, **more):
    """What makes a network of 192.168.NUMBER.0/24; a field that is None is left out."""
    body = {
        "name": f"n{number}",
        "subnet": f"192.168.{number}.0/24",
        "provision_start_ip": f"192.168.{number}.10",
        "provision_end_ip": f"192.168.{number}.20",
        "gateway": f"192.168.{number}.1",
        **more,
    }
    return {name: value for name, value in body.items() if value is not None}


def make_fabric(dc, vlan, number=5, **more):
    dc.post(VLANS, json={"vlan_id": vlan, "name": f"v{vlan}"})
    path = f"{VLANS}/{vlan}/networks"
    return path, dc.post(path, json=fabric(number, **more))


def test_fabric_networks_and_machines_on_them(start):
    dc = start(fabrics=False)
    made = dc.post(VLANS, json={"vlan_id": 7, "name": "seven"})
    assert made.json() == {"vlan_id": 7, "name": "seven"}
    assert dc.put(f"{VLANS}/7", json={"name": "lucky"}).status_code == 202
    made = dc.post(f"{VLANS}/7/networks", json=fabric())
    network = made.json()
    assert made.status_code == 201 and network["fabric"] and network["vlan_id"] == 7
    listed = dc.get("/my/networks?fabric=true").json()
    assert [n["id"] for n in listed] == [network["id"]]
    assert dc.get(f"/my/networks/{network['id']}").json() == listed[0]
    refusal = (409, "InvalidArgument", f'In use by network "{network["id"]}"')
    assert error(dc.delete(f"{VLANS}/7")) == refusal

    uuid = dc.create("inside", networks=[network["id"]])
    assert dc.machine(uuid)["ips"] == ["192.168.5.10"]
    (nic,) = dc.compute.zones[uuid].nics
    assert (nic.nic_tag, nic.network_id) == ("fabric", network["id"])
    place = f"{VLANS}/7/networks/{network['id']}"
    assert error(dc.delete(place))[0] == 409
    assert dc.put(place, json={"name": "renamed"}).json()["name"] == "renamed"
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
    assert dc.delete(place).status_code == 204 and dc.delete(f"{VLANS}/7").status_code == 204
    assert dc.get("/my/networks?fabric=true").json() == []


LONG = "a" * 256


@pytest.mark.parametrize(
    ("vlan_id", "problem"),
    [
        (2, None),
        (4094, None),
        ("0", None),
        ("1", None),
        ("4094", None),
        (0, "must have a minimum value of 2"),
        (1, "must have a minimum value of 2"),
        (4095, "VLAN ID must be a number between 0 and 4094, and not 1"),
        ("4095", "VLAN ID must be a number between 0 and 4094, and not 1"),
        (4096, "must have a maximum value of 4095"),
        (1.5, "1.5 - a integer is required"),
        ("x", "'x' - a integer is required"),
        (True, "True - a integer is required"),
        (None, "NoneType - a integer is required"),
    ],
)
def test_numbers_of_vlans(dc, vlan_id, problem):
    """joyent-schemas, lib/primitive.js, then sdc-napi, lib/util/validate.js, validateVLAN."""
    answer = dc.post(VLANS, json={"vlan_id": vlan_id, "name": "some"})
    if problem is None:
        assert answer.json() == {"vlan_id": int(vlan_id), "name": "some"}
        assert dc.get(f"{VLANS}/{vlan_id}").json() == answer.json()
    else:
        assert error(answer) == (409, "InvalidArgument", f'property "vlan_id": {problem}')
        assert dc.get(VLANS).json() == []


def test_names_of_vlans_need_not_be_unique_and_their_numbers_must(dc):
    """sdc-napi, lib/models/vlan.js: the key of a VLAN is its owner and number."""
    for number in (3, 4):
        assert dc.post(VLANS, json={"vlan_id": number, "name": "same"}).status_code == 201
    assert [vlan["name"] for vlan in dc.get(VLANS).json()] == ["same", "same"]
    again = error(dc.post(VLANS, json={"vlan_id": 3, "name": "other"}))
    assert again == (409, "InvalidArgument", 'property "vlan_id": VLAN ID is already in use')


@pytest.mark.parametrize("name", ["a", "", "1st", "a b", "\xe4b", f"{LONG}a", 5, None, ["ab"]])
@pytest.mark.parametrize("what", ["vlan", "network"])
def test_names_of_fabrics(dc, what, name):
    """joyent-schemas, lib/primitive.js, netname_re."""
    dc.post(VLANS, json={"vlan_id": 7, "name": LONG})
    path, body = (VLANS, {"vlan_id": 8}) if what == "vlan" else (f"{VLANS}/7/networks", fabric())
    status, code, message = error(dc.post(path, json={**body, "name": name}))
    assert (status, code) == (409, "InvalidArgument") and message.startswith('property "name": ')
    assert dc.put(f"{VLANS}/7", json={"name": name}).status_code == 409
    assert dc.get(VLANS).json() == [{"vlan_id": 7, "name": LONG}]
    assert dc.get(f"{VLANS}/7/networks").json() == []


def test_names_of_networks_are_unique_in_a_fabric_alone(dc):
    """sdc-napi, lib/models/network.js, nameStr."""
    assert make_fabric(dc, 2, 5, name=EXTERNAL.name)[1].status_code == 201
    taken = error(make_fabric(dc, 3, 6, name=EXTERNAL.name)[1])
    assert taken == (409, "InvalidArgument", 'property "name": Already exists')
    path, made = make_fabric(dc, 3, 6)
    place = f"{path}/{made.json()['id']}"
    assert error(dc.put(place, json={"name": EXTERNAL.name})) == taken
    assert dc.put(place, json={"name": made.json()["name"]}).status_code == 200


@pytest.mark.parametrize(
    ("change", "name", "problem"),
    [
        ({"subnet": "192.168.5.0"}, "subnet", "Subnet must be in CIDR form"),
        ({"subnet": "x/24"}, "subnet", "Subnet IP invalid"),
        ({"subnet": "192.168.5.0/33"}, "subnet", "Subnet bits invalid"),
        ({"subnet": "10.0.0.0/7"}, "subnet", "Subnet bits invalid"),
        ({"subnet": "192.168.5.1/24"}, "subnet", "invalid CIDR format"),
        ({"subnet": "100.64.0.0/24"}, "subnet", "subnet must be within private ranges"),
        ({"subnet": 5}, "subnet", "5 - a string is required"),
        ({"subnet": None}, "subnet", "is missing and it is required"),
        ({"provision_end_ip": None}, "provision_end_ip", "is missing and it is required"),
        ({"provision_end_ip": "192.168.6.9"}, "provision_end_ip", "cannot be outside subnet"),
        ({"provision_end_ip": "192.168.5.255"}, "provision_end_ip", "the broadcast address"),
        ({"provision_end_ip": "192.168.5.10"}, "provision_end_ip", "must be before"),
        ({"provision_start_ip": "192.168.5.30"}, "provision_end_ip", "must be before"),
        ({"provision_start_ip": "192.168.5"}, "provision_start_ip", "must be an IPv4 address"),
        ({"provision_start_ip": 7}, "provision_start_ip", "7 - a string is required"),
        ({"gateway": ""}, "gateway", "must be an IPv4 address"),
        ({"gateway": "192.168.6.1"}, "gateway", "gateway cannot be outside subnet"),
        ({"resolvers": "8.8.8.8"}, "resolvers", "'8.8.8.8' - a array is required"),
        ({"resolvers": ["8.8.8.8", "x"]}, "resolvers[1]", "must be an IPv4 address"),
        ({"resolvers": [f"8.8.8.{n}" for n in range(5)]}, "resolvers", "maximum of 4 resolvers"),
        ({"routes": "x"}, "routes", "must be an object"),
        ({"routes": {"10.0.0.0/8": 1}}, "routes", "invalid route"),
        ({"internet_nat": "maybe"}, "internet_nat", "must be a boolean value"),
        ({"internet_nat": 1}, "internet_nat", "must be a boolean value"),
        ({"description": 5}, "description", "5 - a string is required"),
        ({"mtu": 1500}, "mtu", "unsupported property"),
    ],
)
def test_what_networks_of_a_fabric_may_be(dc, change, name, problem):
    """joyent-schemas, lib/cloudapi/networks.js, and sdc-napi, lib/models/network.js."""
    path, made = make_fabric(dc, 2, **change)
    status, code, message = error(made)
    assert (status, code) == (409, "InvalidArgument")
    assert message.startswith(f'property "{name}": ') and problem in message
    assert dc.get(path).json() == []


def test_networks_of_a_fabric_overlap_on_no_vlan(dc):
    """The VLANs of an account are one fabric (sdc-napi, OVERLAP_FABRIC_NET_SQL)."""
    make_fabric(dc, 2)
    for vlan in (2, 3):
        refusal = error(make_fabric(dc, vlan, subnet="192.168.0.0/16", name="wide")[1])
        overlaps = 'property "subnet": subnet overlaps with another network'
        assert refusal == (409, "InvalidArgument", overlaps)


def test_small_networks(dc):
    """Down to those whose two addresses are theirs alone."""
    ends = {"provision_start_ip": "192.168.5.1", "provision_end_ip": "192.168.5.2"}
    _, made = make_fabric(dc, 2, subnet="192.168.5.0/30", gateway=None, **ends)
    assert dc.machine(dc.create(networks=[made.json()["id"]]))["ips"] == ["192.168.5.1"]


@pytest.mark.parametrize(
    "fixed",
    [{"subnet": "192.168.5.0/24"}, {"gateway": "192.168.5.1"}, {"internet_nat": True}],
)
def test_what_does_not_change_is_refused(dc, fixed):
    """Even where it would stay as it is: joyent-schemas, UpdateFabricNetwork."""
    path, made = make_fabric(dc, 2)
    place = f"{path}/{made.json()['id']}"
    (name,) = fixed
    refusal = (409, "InvalidArgument", f'property "{name}": unsupported property')
    assert error(dc.put(place, json={"name": "new", **fixed})) == refusal
    assert dc.get(place).json() == made.json()
    small = {"provision_end_ip": "192.168.5.5"}
    assert error(dc.put(place, json=small))[0] == 409 and dc.get(place).json() == made.json()


def test_ids_in_paths_of_fabrics(dc):
    path, made = make_fabric(dc, 2)
    assert error(dc.get(f"{VLANS}/x/networks"))[:2] == (409, "InvalidArgument")
    assert error(dc.get(f"{VLANS}/9"))[:2] == (404, "ResourceNotFound")
    assert error(dc.get(f"{path}/x"))[:2] == (409, "InvalidArgument")
    assert error(dc.get(f"{path}/{BASE64}"))[:2] == (404, "ResourceNotFound")
    assert error(dc.get(f"{path}/{made.json()['id'].upper()}"))[:2] == (409, "InvalidArgument")


def test_a_way_out_needs_a_gateway_and_gets_one(start):
    """sdc-napi, lib/models/network.js, createNetworkObject."""
    dc = start(firewall=True)
    _, made = make_fabric(dc, 2, gateway=None, internet_nat=True)
    assert made.json()["gateway"] == "192.168.5.10"
    uuid = dc.create("inside", networks=[made.json()["id"]])
    assert dc.machine(uuid)["ips"] == ["192.168.5.11"]


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
    first, _ = (make_fabric(dc, vlan, vlan)[1].json()["id"] for vlan in (8, 7))
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
    only = {"provision_start_ip": "192.168.5.8", "provision_end_ip": "192.168.5.9"}
    # the gateway may lie among them, and is nobody's
    _, made = make_fabric(dc, 2, internet_nat=False, gateway="192.168.5.8", **only)
    network = made.json()["id"]
    assert dc.machine(dc.create("first", networks=[network]))["ips"] == ["192.168.5.9"]
    second = dc.create("second")
    answer = dc.post(f"/my/machines/{second}/nics", json={"network": network})
    assert error(answer)[:2] == (507, "SubnetFull")


def external_ips(dc):
    return [ip["ip"] for ip in dc.get(f"/my/networks/{EXTERNAL.id}/ips").json()]


def test_nat_takes_an_external_address(start):
    dc = start(firewall=True, fabrics=False)
    place, made = make_fabric(dc, 2)
    assert made.json()["internet_nat"] is True and "nat_ip" not in made.json()
    assert external_ips(dc) == [EXTERNAL.gateway, "100.64.0.5"]
    make_fabric(dc, 3, 6, internet_nat=False)
    make_fabric(dc, 4, 7, gateway=None)
    assert len(external_ips(dc)) == 2
    uuid = dc.create("inside", networks=[made.json()["id"]])
    (nic,) = dc.compute.zones[uuid].nics
    assert nic.way_out == WayOut("external", "100.64.0.5", 22)
    assert dc.machine(dc.create("outside"))["ips"][0] == "100.64.0.6"
    # nor can anybody ask for it: sdc-cloudapi, lib/validation/networks.js
    network = {"ipv4_uuid": EXTERNAL.id, "ipv4_ips": ["100.64.0.5"]}
    thief = {"name": "thief", "image": BASE64, "package": "sample-512M", "networks": [network]}
    refusal = error(dc.post("/my/machines", json=thief))
    assert refusal[:2] == (409, "InvalidArgument")
    assert refusal[2].endswith("cannot specify IP on a public network")
    other = dc.create("inner", networks=[INTERNAL.id])
    assert error(dc.post(f"/my/machines/{other}/nics", json={"network": network})) == refusal
    dc.delete(f"/my/machines/{uuid}")
    dc.settle()
    assert dc.delete(f"{place}/{made.json()['id']}").status_code == 204
    assert external_ips(dc) == [EXTERNAL.gateway, "100.64.0.6"]


def test_nat_where_nothing_can_masquerade(start, tmp_path):
    dc = start(tmp_path / "state.db", fabrics=False)
    _, made = make_fabric(dc, 2, internet_nat=True)
    assert error(made)[:2] == (501, "NotImplementedError")
    place, made = make_fabric(dc, 2)
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
    _, made = make_fabric(dc, 2, routes={"10.1.0.0/16": "192.168.5.9"})
    uuid = dc.create("inside", networks=[made.json()["id"]])
    (nic,) = dc.compute.zones[uuid].nics
    assert nic.routes == (("10.1.0.0/16", "192.168.5.9"),)
    for routes in ({"10.1.0.0/16": "10.1.0.1"}, {"ten": "192.168.5.9"}, ["10.1.0.0/16"]):
        status, _, message = error(make_fabric(dc, 2, 6, routes=routes)[1])
        assert status == 409 and message.startswith('property "routes":')


def test_a_machine_has_one_public_network_at_most(start):
    """sdc-cloudapi, lib/machines.js, create; allow_multiple_public_networks is off by default."""
    second = replace(EXTERNAL, id="00000000-0000-4000-8000-00000000000e", name="second")
    dc = start(networks=(EXTERNAL, INTERNAL, second))
    body = {"name": "x", "image": BASE64, "package": "sample-512M"}
    answer = dc.post("/my/machines", json={**body, "networks": [EXTERNAL.id, second.id]})
    refusal = (409, "InvalidArgument", "Can specify a maximum of 1 public networks")
    assert error(answer) == refusal and dc.get("/my/machines").json() == []
    assert networks_of(dc, dc.create(networks=[INTERNAL.id, second.id])) == [INTERNAL.id, second.id]


def test_nics_come_and_go_with_a_reboot(dc):
    uuid = dc.create("web", networks=[EXTERNAL.id])
    nics = f"/my/machines/{uuid}/nics"
    made = dc.post(nics, json={"network": INTERNAL.id})
    nic = made.json()
    assert made.status_code == 201 and nic["state"] == "provisioning"
    dc.settle()
    assert [n["state"] for n in dc.get(nics).json()] == ["running", "running"]
    assert len(dc.compute.zones[uuid].nics) == 2 and dc.audit(uuid)[0]["action"] == "add_nics"
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
    assert error(dc.get(f"{nics}/last")) == (409, "InvalidArgument", "mac has invalid format")
    wanted = {"ipv4_uuid": INTERNAL.id, "ipv4_ips": ["10.99.0.77"]}
    assert dc.post(nics, json={"network": wanted, "primary": True}).json()["ip"] == "10.99.0.77"
    dc.settle()
    assert dc.machine(uuid)["primaryIp"] == "10.99.0.77"
