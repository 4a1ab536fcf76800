"""Account, keys, access keys, data centers, images, packages, networks."""

import base64
from urllib.parse import quote

import pytest

from localdc.api.catalogue import images, networks, packages

from .harness import BASE64, error
from .signer import Key, Signer

# What ssh-keygen -t dsa made, and what its -l -E md5 said of it.
DSS = (
    "ssh-dss AAAAB3NzaC1kc3MAAACBAK985LzMjgXTVoXCl4xr0w9Ot271dnarBMP583/aOC0EaiYD4RfqvirbKK+DPJ6V"
    "nNOP7LmTCGSu9lAUTe2cA8IJmqLyo1rWKoukbkHpvGn1NAgkFAQ1bwmJqq4XxPUXb+7sUNKWKHO+uSBGJ7tbnzEXlTs5"
    "pyGtAgwji/+DCSmRAAAAFQDgwKnXTpUmTktJ4rwAofRTptC9vwAAAIEAl/OQV5YrTsKfxXtwF15RA9jAQxXz5nzxYnUq"
    "GmETw8e2GYlLD6LIXHxZFm6sEzL2Vf/ooYSLPjl30velOwj0suwadGJSKIUH/Mopwh2OCAItQe5+88CQ1/knWZr8KMj9"
    "SS9kh/E/6/SplU3Bm1ztxXe6EeLRt3CjDYdAxNuCY3YAAACBAJod4y8KTWG9hdnA4zT3WA/jMkjsNLFwwhcVPfvn0uPx"
    "7rUG+LSmdsySdlwmMHU6DxdJIFetx2wbdMIGw9/iHx5CgvyycqDgalkpEPgy0/s61gx6rPeLMrpZCFzA4QJgDlGLM8Jz"
    "Co0zLcY3HB0//cL/k15a6X0qM4nfXMrFnc2l old@host"
)
DSS_MD5 = "31:15:15:5b:64:5e:96:78:9e:c7:48:70:77:36:77:98"


def test_account(dc):
    account = dc.get("/my").json()
    assert account["login"] == "acme" and account["triton_cns_enabled"] is True
    assert "phone" not in account
    changed = dc.post("/acme", json={"phone": "555", "city": "", "email": "a@b.c"}).json()
    assert (changed["phone"], changed["email"]) == ("555", "a@b.c") and "city" not in changed
    assert dc.get("/my").json() == changed
    # CloudAPI has no form for addresses of accounts (sdc-cloudapi, lib/account.js, update)
    assert dc.post("/my", json={"email": "nobody"}).json()["email"] == "nobody"
    off = dc.post("/my", json={"triton_cns_enabled": "false"}).json()
    assert off["triton_cns_enabled"] is False


def test_config(dc):
    external, _ = networks()
    (own,) = dc.get("/my/networks?fabric=true").json()
    assert dc.get("/my/config").json() == {"default_network": own["id"]}
    assert dc.put("/my/config", json={"default_network": external.id}).status_code == 200
    assert dc.get("/my/config").json() == {"default_network": external.id}
    bad = dc.put("/my/config", json={"default_network": "x"})
    assert error(bad) == (
        409,
        "InvalidArgument",
        'property "default_network": must be a UUID',
    )
    unknown = dc.put("/my/config", json={"default_network": BASE64})
    assert error(unknown) == (409, "InvalidArgument", "unknown network")
    assert error(dc.put("/my/config", json={})) == (
        409,
        "InvalidArgument",
        'property "default_network": is missing and it is required',
    )


def test_datacenters_services_limits(shared):
    assert shared.get("/my/datacenters").json() == {"localdc": shared.url}
    answer = shared.get("/my/datacenters/localdc", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, shared.url)
    assert error(shared.get("/my/datacenters/mars")) == (
        404,
        "ResourceNotFound",
        "mars is not an available datacenter",
    )
    assert shared.get("/my/services").json() == {"cloudapi": shared.url}
    assert shared.get("/my/limits").json() == []


def test_keys(dc, key):
    assert dc.get("/my/keys").json() == [{"name": "first", "fingerprint": key.md5, "key": key.line}]
    other = Key("ed25519")
    answer = dc.post("/my/keys", json={"name": "second", "key": f"{other.line} me@home\n"})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/acme/keys/{quote(other.md5, safe='')}"
    assert answer.json()["fingerprint"] == other.md5
    for identifier in ("second", other.md5, quote(other.sha256, safe="")):
        assert dc.get(f"/my/keys/{identifier}").json()["name"] == "second"
    signer = Signer(other, algorithm="ed25519-sha512")
    assert dc.get("/my/keys", auth=signer).status_code == 200
    assert dc.delete("/my/keys/second").status_code == 204
    assert dc.get("/my/keys", auth=signer).status_code == 401
    assert dc.get("/my/keys/second").status_code == 404
    assert dc.delete("/my/keys/second").status_code == 404


def test_key_without_name_is_called_by_its_fingerprint(dc):
    other = Key("p256")
    assert dc.post("/my/keys", json={"key": other.line}).json()["name"] == other.md5


def test_dsa_keys(dc):
    answer = dc.post("/my/keys", json={"name": "openssh", "key": DSS})
    assert answer.status_code == 201
    assert answer.json() == {"name": "openssh", "fingerprint": DSS_MD5, "key": DSS}
    long = Key("dsa2048")
    assert dc.post("/my/keys", json={"key": long.line}).json()["fingerprint"] == long.md5
    signer = Signer(long, algorithm="dsa-sha256")
    assert [k["fingerprint"] for k in dc.get("/my/keys", auth=signer).json()][1:] == [
        DSS_MD5,
        long.md5,
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda blob: blob[:-1],
        lambda blob: blob + bytes(4),
        lambda blob: blob[:20],
        # y = 1 would let anybody sign
        lambda blob: blob[:-133] + b"\0\0\0\1\1",
        lambda blob: blob.replace(b"ssh-dss", b"ssh-rsa"),
    ],
)
def test_bad_dsa_keys(shared, spoil):
    spoiled = spoil(base64.b64decode(DSS.split()[1]))
    line = f"ssh-dss {base64.b64encode(spoiled).decode()}"
    status, code, message = error(shared.post("/my/keys", json={"key": line}))
    assert (status, code) == (409, "InvalidArgument")
    assert message.startswith("key is invalid: not an OpenSSH public key: it")


def test_bad_keys(shared, key):
    post = lambda **body: error(shared.post("/my/keys", json=body))[:2]  # noqa: E731
    assert error(shared.post("/my/keys", json={})) == (
        409,
        "MissingParameter",
        "key is a required argument",
    )
    assert post(key="one-word") == (409, "InvalidArgument")
    assert post(key="ssh-rsa AAAA") == (409, "InvalidArgument")
    assert post(key=5) == (409, "InvalidArgument")
    again = shared.post("/my/keys", json={"name": "again", "key": key.line})
    assert error(again)[2] == "key already exists or is invalid"
    same_name = shared.post("/my/keys", json={"name": "first", "key": Key("p256").line})
    assert error(same_name)[2] == "key already exists or is invalid"


def test_keys_open_machines_at_once(dc):
    uuid = dc.create()
    other = Key("ed25519")
    dc.post("/my/keys", json={"name": "second", "key": other.line})
    dc.settle()
    assert other.line in dc.compute.zones[uuid].authorized_keys
    dc.delete("/my/keys/second")
    dc.settle()
    assert other.line not in dc.compute.zones[uuid].authorized_keys
    assert [entry["action"] for entry in dc.audit(uuid)] == ["provision"]


def test_images(shared):
    names = [image["name"] for image in shared.get("/my/images").json()]
    # the newest of a name last
    assert names == [
        "base-64-lts", "ubuntu-24.04", "debian-12", "base-64-lts", "minimal-64-lts",
    ]  # fmt: skip
    image = shared.get(f"/my/images/{BASE64}").json()
    assert (image["version"], image["os"], image["state"]) == ("24.4.1", "smartos", "active")
    assert shared.get("/my/images", params={"name": "base*", "version": "24.4.1"}).json() == [image]
    assert shared.get("/my/images", params={"state": "disabled"}).json() == []
    assert len(shared.get("/my/images", params={"state": "all", "public": "true"}).json()) == 5
    assert error(shared.get("/my/images/base-64-lts"))[:2] == (404, "ResourceNotFound")


def test_offers_that_are_not_for_every_machine(dc):
    """sdc-cloudapi: lib/packages.js, list; lib/machines.js, getBrand and ensurePackage."""
    listed = {package["name"]: package for package in dc.get("/my/packages").json()}
    assert "brand" not in listed["sample-512M"] and listed["b1-small-256M"]["brand"] == "bhyve"
    retired = "g3-standard-0.5-smartos"
    assert retired not in listed and dc.get(f"/my/packages/{retired}").status_code == 404
    by_id = "2b4d6f80-2c15-4e0d-b7a3-c4d5e6f70512"
    assert dc.get(f"/my/packages/{by_id}").json()["name"] == retired
    ids = {image["name"]: image["id"] for image in dc.get("/my/images").json()}

    def refused(package, image):
        return error(dc.post("/my/machines", json={"package": package, "image": image}))

    assert refused(by_id, BASE64)[2] == f"{by_id} is inactive. Must use an active package"
    assert refused(retired, BASE64)[2] == f"{retired} is not a valid package"
    assert refused("b1-small-512M", BASE64)[2] == (
        'Brand "bhyve" requires the image type to be "zvol"'
    )
    assert refused("g4-highcpu-512M", ids["ubuntu-24.04"])[2] == (
        'Package requires brand "joyent", but brand "lx" was selected'
    )
    for package, image in (("sample-512M", "ubuntu-24.04"), ("b1-small-512M", "debian-12")):
        status, code, message = refused(package, ids[image])
        assert (status, code) == (501, "NotImplementedError") and "base-64-lts" in message
    uuid = dc.create()
    assert error(dc.act(uuid, "resize", package=by_id))[2].endswith("Must use an active package")
    assert [machine["id"] for machine in dc.get("/my/machines").json()] == [uuid]


def test_datasets_of_2013(shared):
    assert shared.get("/my/datasets").json()[0]["urn"] == "sdc:sdc:base64:24.4.1"
    for urn in ("sdc:sdc:base64:", "sdc:sdc:base64", "sdc:sdc:base64:24.4.1", BASE64):
        assert shared.get(f"/my/datasets/{urn}").json()["id"] == BASE64
    assert shared.get("/my/datasets/sdc:sdc:plan9:").status_code == 404


def test_packages(shared):
    package = shared.get("/my/packages/sample-512M").json()
    assert (package["memory"], package["default"]) == (512, True)
    assert shared.get(f"/my/packages/{package['id']}").json() == package
    assert shared.get("/my/packages/Extra%20Small%20512%20MB").json()["memory"] == 512
    names = [p["name"] for p in shared.get("/my/packages", params={"name": "g4*"}).json()]
    assert names == ["g4-highcpu-512M", "g4-highcpu-1G"]
    assert len(shared.get("/my/packages", params={"memory": 512}).json()) == 5
    assert error(shared.get("/my/packages/none"))[2] == "none not found"


def test_short_ids_tell_apart():
    """The triton command crashes on a short id, the first eight digits, that two objects have."""
    for catalogue in (images(), packages(), networks()):
        assert len({entry.id[:8] for entry in catalogue}) == len(catalogue)


def test_networks(shared):
    external, internal, own = shared.get("/my/networks").json()
    assert (external["name"], external["public"]) == ("external", True)
    assert (internal["name"], internal["public"]) == ("internal", False)
    assert shared.get(f"/my/networks/{external['id']}").json() == external
    assert shared.get("/my/networks", params={"fabric": "true"}).json() == [own]
    assert shared.get(f"/my/networks/{BASE64}").status_code == 404


def test_network_ips(dc):
    external, internal = networks()
    uuid = dc.create()
    answer = dc.get(f"/my/networks/{internal.id}/ips")
    (entry,) = answer.json()
    assert entry["belongs_to_uuid"] == uuid and entry["ip"] in dc.machine(uuid)["ips"]
    assert answer.headers["x-resource-count"] == "1"
    assert answer.headers["x-query-limit"] == "1000"
    gateway, own = dc.get(f"/my/networks/{external.id}/ips").json()
    assert gateway == {"ip": "100.64.0.1", "reserved": True, "managed": True}
    assert own["belongs_to_uuid"] == uuid
    page = dc.get(f"/my/networks/{external.id}/ips", params={"limit": 1, "offset": 1})
    assert page.json() == [own]
    path = f"/my/networks/{internal.id}/ips"
    free = {"ip": "10.99.3.9", "reserved": False, "managed": False}
    assert dc.get(f"{path}/10.99.3.9").json() == free
    assert dc.put(f"{path}/10.99.3.9", json={"reserved": True}).json()["reserved"] is True
    assert len(dc.get(path).json()) == 2
    dc.put(f"{path}/10.99.3.9", json={"reserved": False})
    assert len(dc.get(path).json()) == 1


@pytest.mark.parametrize(
    "network, ip, body, status",
    [
        (1, "10.99.0.9", {}, 409),
        (1, "10.99.0.9", {"reserved": "maybe"}, 409),
        (1, "10.1.1.1", {"reserved": True}, 404),
        (1, "ten", {"reserved": True}, 409),
        (0, "100.64.0.9", {"reserved": True}, 409),
    ],
)
def test_bad_changes_of_ips(shared, network, ip, body, status):
    path = f"/my/networks/{networks()[network].id}/ips/{ip}"
    assert shared.put(path, json=body).status_code == status


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": "x"}, {"limit": 1001}, {"offset": -1}])
def test_bad_pages(shared, params):
    for path in ("/my/machines", f"/my/networks/{networks()[0].id}/ips"):
        assert error(shared.get(path, params=params))[:2] == (409, "ValidationFailed")


def test_access_keys(dc):
    made = dc.post("/my/accesskeys")
    key = made.json()
    assert made.status_code == 201 and key["status"] == "Active" and key["accesskeysecret"]
    assert made.headers["Location"] == f"/acme/accesskeys/{key['accesskeyid']}"
    assert dc.get("/my/accesskeys").json() == [key]
    assert dc.delete(f"/my/accesskeys/{key['accesskeyid']}").status_code == 204
    assert dc.get(f"/my/accesskeys/{key['accesskeyid']}").status_code == 404
