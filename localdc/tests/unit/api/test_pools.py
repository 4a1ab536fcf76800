"""Network pools, by what Triton's sources say of them."""

import json
from dataclasses import replace

import pytest

from localdc.api.catalogue import Pool, networks, packages
from localdc.api.offers import read

from .harness import error

EXTERNAL, INTERNAL = networks()
# two addresses each, on the same wire; NAPI tries them in the order of their ids
FIRST = replace(EXTERNAL, id="1" + EXTERNAL.id[1:], name="first", provision_end="100.64.0.6")
SECOND = replace(
    EXTERNAL,
    id="2" + EXTERNAL.id[1:],
    name="second",
    subnet="100.64.4.0/24",
    provision_start="100.64.4.5",
    provision_end="100.64.4.6",
    gateway="100.64.4.1",
)
POOL = Pool("d" + EXTERNAL.id[1:], "Joyent-SDC-Public", (SECOND.id, FIRST.id), "Reached by all")
SETTINGS = {"networks": (FIRST, SECOND, INTERNAL), "pools": (POOL,)}


@pytest.fixture
def pooled(start):
    return start(**SETTINGS, fabrics=False)


def test_a_pool_looks_like_a_network_and_hides_its_own(pooled):
    """sdc-cloudapi, lib/middleware/networks.js, and lib/endpoints/networks.js, translateNetwork."""
    listed = pooled.get("/my/networks").json()
    assert [network["name"] for network in listed] == ["Joyent-SDC-Public", "internal"]
    pool = listed[0]
    suffixes = pool.pop("suffixes")
    assert pool == {
        "id": POOL.id, "name": POOL.name, "public": True, "description": POOL.description,
    }  # fmt: skip
    assert suffixes and suffixes != listed[1]["suffixes"]
    assert pooled.get(f"/my/networks/{POOL.id}").json() == {**pool, "suffixes": suffixes}
    for member in (FIRST, SECOND):
        refused = error(pooled.get(f"/my/networks/{member.id}"))
        assert refused == (404, "ResourceNotFound", f"{member.id} not found")
        assert error(pooled.get(f"/my/networks/{member.id}/ips"))[0] == 404
        assert error(pooled.put("/my/config", json={"default_network": member.id}))[0] == 409
    assert pooled.put("/my/config", json={"default_network": POOL.id}).status_code == 200
    assert pooled.get("/my/config").json() == {"default_network": POOL.id}


def test_addresses_of_a_pool_are_not_told(pooled):
    """validateNetworkForIps."""
    words = (409, "InvalidArgument", f"cannot get IPs in a network pool: {POOL.id}")
    assert error(pooled.get(f"/my/networks/{POOL.id}/ips")) == words
    assert error(pooled.get(f"/my/networks/{POOL.id}/ips/100.64.0.5")) == words
    reserve = pooled.put(f"/my/networks/{POOL.id}/ips/100.64.0.5", json={"reserved": True})
    assert error(reserve) == words


def test_machines_get_the_first_network_with_room(pooled):
    """sdc-napi, lib/models/nic/provision.js, NetworkPoolProvision."""
    uuids = [pooled.create(f"m{number}", networks=[POOL.id]) for number in range(5)]
    machines = [pooled.machine(uuid) for uuid in uuids]
    assert [machine["networks"] for machine in machines[:4]] == [
        [FIRST.id], [FIRST.id], [SECOND.id], [SECOND.id],
    ]  # fmt: skip
    assert machines[2]["ips"] == ["100.64.4.5"]
    (nic,) = machines[2]["nics"]
    assert (nic["network"], nic["gateway"]) == (SECOND.id, "100.64.4.1")
    (plugged,) = pooled.compute.zones[uuids[2]].nics
    assert (plugged.network_id, plugged.nic_tag) == (SECOND.id, "external")
    assert machines[4]["state"] == "failed"
    assert pooled.why(uuids[4]) == f"All networks in pool {POOL.id} are full"
    pooled.delete(f"/my/machines/{uuids[0]}")
    pooled.settle()
    assert pooled.machine(pooled.create("again", networks=[POOL.id]))["networks"] == [FIRST.id]


def test_a_pool_is_asked_for_without_an_address(pooled):
    """sdc-cloudapi, lib/validation/networks.js, validateNetworkObject."""
    asked = {"ipv4_uuid": POOL.id, "ipv4_ips": ["100.64.0.5"]}
    body = {"name": "m", "image": "x", "package": "sample-512M"}
    body["image"] = pooled.get("/my/images").json()[0]["id"]
    words = (409, "InvalidArgument", f"ipv4_uuid: {POOL.id} cannot specify IP on a network pool")
    assert error(pooled.post("/my/machines", json={**body, "networks": [asked]})) == words
    uuid = pooled.create("m", networks=[{"ipv4_uuid": INTERNAL.id}])
    nics = f"/my/machines/{uuid}/nics"
    assert error(pooled.post(nics, json={"network": asked})) == words
    of_member = {"ipv4_uuid": FIRST.id, "ipv4_ips": ["100.64.0.5"]}
    assert error(pooled.post(nics, json={"network": of_member}))[0] == 404
    for wanted in ([FIRST.id], [{"ipv4_uuid": FIRST.id}], ["e" + POOL.id[1:]]):
        refused = pooled.post("/my/machines", json={**body, "name": "n", "networks": wanted})
        assert error(refused) == (409, "InvalidArgument", "Invalid Networks")
    assert len(pooled.get("/my/machines").json()) == 1 and len(pooled.get(nics).json()) == 1


def test_a_nic_in_a_pool_is_added_at_every_call(pooled):
    """sdc-cloudapi, lib/nics.js, checkNicDoesntExist: no NIC shows the id of the pool."""
    uuid = pooled.create("m", networks=[INTERNAL.id])
    nics = f"/my/machines/{uuid}/nics"
    added = []
    for expected in (FIRST, FIRST, SECOND, SECOND):
        answer = pooled.post(nics, json={"network": POOL.id})
        assert answer.status_code == 201 and answer.json()["network"] == expected.id
        pooled.settle()
        added.append(answer.json())
    full = pooled.post(nics, json={"network": POOL.id})
    assert error(full) == (422, "InvalidParameters", "Invalid parameters")
    assert full.json()["errors"] == [
        {
            "field": "network_uuid",
            "code": "InvalidParameter",
            "message": f"All networks in pool {POOL.id} are full",
        }
    ]
    # its networks may be asked for by id, and then what is there is there
    assert pooled.post(nics, json={"network": FIRST.id}, allow_redirects=False).status_code == 302
    mac = added[0]["mac"].replace(":", "")
    assert pooled.delete(f"{nics}/{mac}").status_code == 204
    pooled.settle()
    assert [nic["network"] for nic in pooled.get(nics).json()] == [
        INTERNAL.id, FIRST.id, SECOND.id, SECOND.id,
    ]  # fmt: skip
    assert pooled.audit(uuid)[0]["action"] == "remove_nics"


def test_the_pool_is_the_default_and_its_address_primary(pooled):
    machine = pooled.machine(pooled.create("m"))
    assert machine["networks"] == [FIRST.id, INTERNAL.id]
    turned = pooled.machine(pooled.create("n", networks=[INTERNAL.id, POOL.id]))
    assert turned["networks"] == [INTERNAL.id, FIRST.id]
    assert turned["primaryIp"] == turned["ips"][1]


def test_names_of_machines_in_a_pool(pooled):
    account = pooled.post("/my", json={"triton_cns_enabled": True}).json()
    machine = pooled.machine(pooled.create("m", networks=[POOL.id]))
    suffix = pooled.get(f"/my/networks/{POOL.id}").json()["suffixes"][1]
    assert f"m.{suffix}".replace(account["login"], account["id"]) in machine["dns_names"]


def test_a_machine_of_an_account_that_has_fabrics(pooled):
    vlans = "/my/fabrics/default/vlans"
    pooled.post(vlans, json={"vlan_id": 7, "name": "seven"})
    fabric = {
        "name": "lab", "subnet": "192.168.5.0/24",
        "provision_start_ip": "192.168.5.10", "provision_end_ip": "192.168.5.20",
    }  # fmt: skip
    made = pooled.post(f"{vlans}/7/networks", json=fabric).json()
    assert pooled.get("/my/networks?fabric=true").json()[0]["id"] == made["id"]
    machine = pooled.machine(pooled.create("m", networks=[made["id"], POOL.id]))
    assert machine["networks"] == [made["id"], FIRST.id]


def test_a_catalogue_offers_pools(start):
    text = json.dumps({"pools": [{"name": "public", "networks": [EXTERNAL.id]}]})
    offers = read(text)
    assert read(text) == offers, "a name has the same id in every data center"
    (pool,) = offers["pools"]
    size = replace(packages()[0], networks=(pool.id,))
    dc = start(**offers, packages=(size,), fabrics=False)
    listed = dc.get("/my/networks").json()
    assert [(n["id"], n["name"]) for n in listed] == [
        (pool.id, "public"), (INTERNAL.id, "internal"),
    ]  # fmt: skip
    assert dc.machine(dc.create("m"))["networks"] == [EXTERNAL.id]
