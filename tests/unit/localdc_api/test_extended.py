"""Access keys, fabrics, NICs, firewall rules, snapshots, volumes, affinity, change feed, admin."""

import base64
import json
import os
import socket
import time

import pytest
import requests

from localdc.api.catalogue import networks
from localdc.api.compute import WayOut

from .harness import ADMIN, BASE64, error
from .signer import Key, Signer

EXTERNAL, INTERNAL = networks()
PLAIN = "FROM any TO vm {} ALLOW tcp PORT 80"


def admin(dc, method, path, **kwargs):
    headers = {"Authorization": f"Bearer {ADMIN}"}
    return requests.request(
        method, f"{dc.url}/--admin/{path}", headers=headers, timeout=5, **kwargs
    )


def test_access_keys(dc):
    made = dc.post("/my/accesskeys")
    key = made.json()
    assert made.status_code == 201 and key["status"] == "Active" and key["accesskeysecret"]
    assert made.headers["Location"] == f"/acme/accesskeys/{key['accesskeyid']}"
    assert dc.get("/my/accesskeys").json() == [key]
    assert dc.delete(f"/my/accesskeys/{key['accesskeyid']}").status_code == 204
    assert dc.get(f"/my/accesskeys/{key['accesskeyid']}").status_code == 404


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


def fabric(dc, **more):
    _, made = make_fabric(dc, 7, name="lab", **more)
    assert made.status_code == 201, made.text
    return made.json()


def test_fabric_networks_and_machines_on_them(dc):
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


def external_ips(dc):
    return [ip["ip"] for ip in dc.get(f"/my/networks/{EXTERNAL.id}/ips").json()]


def test_nat_takes_an_external_address(start):
    dc = start(firewall=True)
    gateway = "192.168.5.1"
    place, made = make_fabric(dc, 1, gateway=gateway)
    assert made.json()["internet_nat"] is True and "nat_ip" not in made.json()
    assert external_ips(dc) == [EXTERNAL.gateway, "10.88.0.5"]
    make_fabric(dc, 2, gateway=gateway, internet_nat=False)
    make_fabric(dc, 3, gateway=None)
    assert len(external_ips(dc)) == 2
    uuid = dc.create("inside", networks=[made.json()["id"]])
    (nic,) = dc.compute.zones[uuid].nics
    assert nic.way_out == WayOut("external", "10.88.0.5", 22)
    assert dc.machine(dc.create("outside"))["ips"][0] == "10.88.0.6"
    network = {"ipv4_uuid": EXTERNAL.id, "ipv4_ips": ["10.88.0.5"]}
    assert dc.machine(dc.create("thief", networks=[network]))["state"] == "failed"
    dc.delete(f"/my/machines/{uuid}")
    dc.settle()
    assert dc.delete(f"{place}/{made.json()['id']}").status_code == 204
    assert external_ips(dc) == [EXTERNAL.gateway, "10.88.0.6"]


def test_nat_where_nothing_can_masquerade(start, tmp_path):
    dc = start(tmp_path / "state.db")
    _, made = make_fabric(dc, 1, gateway="192.168.5.1", internet_nat=True)
    assert error(made)[:2] == (501, "NotImplementedError")
    place, made = make_fabric(dc, 1, gateway="192.168.5.1")
    assert made.status_code == 201
    assert external_ips(dc) == [EXTERNAL.gateway]
    dc.stop()
    # and with the next start, that finds it installed
    again = start(tmp_path / "state.db", firewall=True)
    assert external_ips(again) == [EXTERNAL.gateway, "10.88.0.5"]
    assert again.get(f"{place}/{made.json()['id']}").json() == made.json()


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


def test_firewall_rules_follow_the_machines(start):
    dc = start(firewall=True)
    web = dc.create("web", firewall_enabled=True, **{"tag.role": "web"})
    rules = "/my/fwrules"
    bad = dc.post(rules, json={"rule": "FROM any TO any ALLOW tcp PORT 80"})
    assert error(bad)[:2] == (422, "InvalidParameters")
    assert bad.json()["errors"][0]["field"] == "rule"
    assert error(dc.post(rules, json={}))[:2] == (409, "MissingParameter")
    made = dc.post(rules, json={"rule": PLAIN.format(web)})
    rule = made.json()
    assert made.status_code == 201
    assert rule == {"id": rule["id"], "rule": PLAIN.format(web), "enabled": False, "log": False}
    dc.settle()
    assert dc.compute.firewalls[web] == ()
    assert dc.post(f"{rules}/{rule['id']}/enable").json()["enabled"] is True
    dc.settle()
    assert [r.ports for r in dc.compute.firewalls[web]] == [((80, 80),)]
    assert [m["id"] for m in dc.get(f"{rules}/{rule['id']}/machines").json()] == [web]
    assert dc.get(f"/my/machines/{web}/fwrules").json()[0]["id"] == rule["id"]

    tagged = 'FROM tag "role" = "db" TO tag "role" = "web" ALLOW tcp PORT 5432'
    dc.post(rules, json={"rule": tagged, "enabled": True})
    dc.settle()
    assert len(dc.compute.firewalls[web]) == 1
    db = dc.create("db", **{"tag.role": "db"})
    peers = [r.peers for r in dc.compute.firewalls[web] if r.ports == ((5432, 5432),)]
    assert peers == [tuple(dc.machine(db)["ips"])]
    dc.put(f"/my/machines/{db}/tags", json={"role": "other"})
    dc.settle()
    assert len(dc.compute.firewalls[web]) == 1
    dc.act(web, "disable_firewall")
    assert dc.compute.firewalls[web] is None
    dc.act(web, "enable_firewall")
    assert len(dc.compute.firewalls[web]) == 1
    dc.act(web, "reboot")
    assert len(dc.compute.firewalls[web]) == 1
    assert dc.delete(f"{rules}/{rule['id']}").status_code == 204
    dc.settle()
    assert dc.compute.firewalls[web] == ()
    assert error(dc.get(f"{rules}/{rule['id']}"))[:2] == (404, "ResourceNotFound")


def test_snapshots(dc):
    uuid = dc.create()
    snapshots = f"/my/machines/{uuid}/snapshots"
    made = dc.post(snapshots, json={"name": "one"}).json()
    assert made["state"] == "queued" and made["created"] and made["updated"]
    dc.settle()
    assert dc.get(f"{snapshots}/one").json()["state"] == "created"
    assert error(dc.post(snapshots, json={"name": "one"}))[0] == 409
    assert error(dc.post(snapshots, json={"name": "../x"}))[0] == 409
    assert dc.post(f"{snapshots}/one").status_code == 202
    dc.settle()
    assert dc.machine(uuid)["state"] == "running"
    assert dc.delete(f"{snapshots}/one").status_code == 204
    dc.settle()
    assert dc.get(snapshots).json() == [] and dc.compute.snapshots == set()
    assert [entry["action"] for entry in dc.audit(uuid)][:3] == [
        "delete_snapshot",
        "rollback_snapshot",
        "create_snapshot",
    ]
    assert error(dc.get(f"{snapshots}/one"))[:2] == (404, "ResourceNotFound")
    assert len(dc.post(snapshots).json()["name"]) == len("20260101T000000Z")


def test_volumes(dc):
    assert error(dc.post("/my/volumes", json={"type": "nfs"}))[2].startswith(
        "Error: Invalid volume type: nfs"
    )
    assert error(dc.post("/my/volumes", json={"type": "tritonnfs", "name": "a/b"}))[2].startswith(
        "Error: Invalid volume name: a/b. Volume name should match"
    )
    odd = dc.post("/my/volumes", json={"type": "tritonnfs", "size": 1})
    assert odd.json()["code"] == "VolumeSizeNotAvailable" and odd.json()["availableSizes"]
    made = dc.post("/my/volumes", json={"type": "tritonnfs", "name": "data"})
    assert made.status_code == 201 and made.json()["state"] == "creating"
    dc.settle()
    uuid = made.json()["id"]
    assert dc.get(f"/my/volumes/{uuid}").json()["state"] == "ready"
    same = dc.post("/my/volumes", json={"type": "tritonnfs", "name": "data"})
    assert error(same)[:2] == (409, "VolumeAlreadyExists")
    predicate = json.dumps({"and": [{"eq": ["name", "data"]}, {"ne": ["state", "failed"]}]})
    found = dc.get("/my/volumes", params={"predicate": predicate}).json()
    assert [volume["id"] for volume in found] == [uuid]
    for bad in ('{"x": 1}', "[1]", "5", '{"and": [1]}', '{"eq": ["name"]}', "{"):
        assert error(dc.get("/my/volumes", params={"predicate": bad}))[0] == 409, bad
    mount = {"name": "data", "mode": "ro", "mountpoint": "/data"}
    machine = dc.create("user", volumes=[mount])
    assert dc.compute.zones[machine].mounts[0].read_only
    assert dc.get(f"/my/volumes/{uuid}").json()["refs"] == [machine]
    assert error(dc.delete(f"/my/volumes/{uuid}"))[:2] == (409, "VolumeInUse")
    dc.delete(f"/my/machines/{machine}")
    dc.settle()
    assert dc.post(f"/my/volumes/{uuid}", json={"name": "renamed"}).status_code == 204
    assert dc.delete(f"/my/volumes/{uuid}").status_code == 204
    dc.settle()
    assert error(dc.get(f"/my/volumes/{uuid}"))[:2] == (404, "VolumeNotFound")
    assert dc.compute.volumes == set()
    assert dc.get("/my/volumesizes?type=tritonnfs").json()[0] == {
        "size": 10240,
        "type": "tritonnfs",
    }


@pytest.mark.parametrize(
    "wish, possible",
    [
        ({"affinity": "instance==one"}, True),
        ({"affinity": ["role==w*"]}, True),
        ({"affinity": "role!=/^d/"}, True),
        ({"affinity": "role!=~web"}, True),
        ({"affinity": "instance!=one"}, False),
        ({"affinity": ["role!=web"]}, False),
        ({"affinity": "role==db"}, False),
        ({"locality": {"far": "ONE"}}, True),
        ({"locality": {"strict": True, "near": ["ONE"]}}, True),
        ({"locality": {"strict": True, "far": ["ONE"]}}, False),
    ],
)
def test_wishes_for_the_place_of_a_machine(dc, wish, possible):
    one = dc.create("one", **{"tag.role": "web"})
    wish = json.loads(json.dumps(wish).replace("ONE", one))
    body = {"name": "two", "image": BASE64, "package": "sample-512M", **wish}
    answer = dc.post("/my/machines", json=body)
    assert answer.status_code == (201 if possible else 409), answer.text
    if not possible:
        assert answer.json()["code"] == "InsufficientCapacity"


def test_answers_for_what_there_is_not(dc):
    uuid = dc.create()
    assert error(dc.get(f"/my/machines/{uuid}/vnc"))[:2] == (400, "MachineHasNoVNCError")
    assert error(dc.get(f"/my/machines/{uuid}/disks"))[:2] == (409, "BrandNotSupported")
    assert error(dc.post("/my/images"))[:2] == (501, "NotAvailable")
    assert error(dc.get("/my/changefeed"))[:2] == (400, "UpgradeRequiredError")


class Socket:
    """A websocket client, no more than the test needs."""

    def __init__(self, dc, signer=None):
        url = f"{dc.url}/my/changefeed"
        signed = (signer or Signer(dc.key))(requests.Request("GET", url).prepare()).headers
        lines = [f"{name}: {value}" for name, value in signed.items()]
        lines += ["Host: localhost", "Connection: Upgrade", "Upgrade: websocket"]
        key = base64.b64encode(os.urandom(16)).decode()
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        self.socket = socket.create_connection(("127.0.0.1", dc.port), timeout=5)
        self.socket.sendall(
            ("GET /my/changefeed HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()
        )
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def send(self, value):
        data = json.dumps(value).encode()
        assert len(data) < 126
        self.socket.sendall(bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data)

    def receive(self):
        head = self.file.read(2)
        length = head[1]
        if length == 126:
            length = int.from_bytes(self.file.read(2), "big")
        return head[0] & 15, self.file.read(length)


def test_change_feed(dc):
    uuid = dc.create()
    feed = Socket(dc)
    assert feed.status == 101
    feed.send({"resource": "vm", "subResources": ["tags", "state"], "vms": [uuid]})
    time.sleep(0.1)
    dc.create("other")
    dc.post(f"/my/machines/{uuid}/tags", json={"a": "b"})
    kind, text = feed.receive()
    news = json.loads(text)
    assert kind == 1 and news["changedResourceId"] == uuid
    assert news["changeKind"] == {"resource": "vm", "subResources": ["tags"]}
    assert news["resourceObject"]["tags"] == {"a": "b"} and news["published"].isdigit()
    dc.act(uuid, "stop")
    assert [json.loads(feed.receive()[1])["resourceState"] for _ in "12"] == ["stopping", "stopped"]
    for wanted in (["weather"], [["state"]], [], "state"):
        bad = Socket(dc)
        bad.send({"resource": "vm", "subResources": wanted})
        assert bad.receive()[0] == 8
    assert Socket(dc, Signer(Key("rsa"))).status == 401


def test_admin_settings_counters_and_accounts(start):
    from localdc.api.settings import Throttle

    dc = start(throttle=Throttle(2, 0.001))
    assert [dc.get("/my").status_code for _ in "123"] == [200, 200, 429]
    shown = admin(dc, "GET", "settings").json()
    assert shown == {
        "throttle": {"burst": 2, "rate": 0.001},
        "throttle_status": 429,
        "provision_seconds": 0.0,
    }
    for bad in ({"throttle": 5}, {"provision_seconds": "x"}, {"colour": "red"}):
        assert admin(dc, "PUT", "settings", json=bad).status_code == 409
    new = admin(dc, "PUT", "settings", json={"throttle": None, "provision_seconds": 0.2}).json()
    assert new == {"throttle": None, "throttle_status": 429, "provision_seconds": 0.2}
    admin(dc, "DELETE", "requests")
    uuid = dc.create(settle=False)
    time.sleep(0.05)
    assert dc.machine(uuid)["state"] == "provisioning"
    assert admin(dc, "GET", "requests").json() == {
        "total": 2,
        "calls": {"POST /:account/machines": 1, "GET /:account/machines/:machine": 1},
    }
    key = Key("ed25519")
    made = admin(dc, "POST", "accounts", json={"login": "other", "key": key.line})
    assert made.status_code == 201
    signer = Signer(key, login="other", algorithm="ed25519-sha512")
    answer = requests.get(f"{dc.url}/my/machines", auth=signer, timeout=5)
    assert answer.json() == []
    assert requests.get(f"{dc.url}/acme/machines", auth=signer, timeout=5).status_code == 403
    assert admin(dc, "POST", "accounts", json={"login": "x", "key": "y"}).status_code == 409
