"""Snapshots and volumes."""

import json

import pytest

from .harness import error


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
    ("affinity", "message"),
    [
        ("role==db", "Error: Invalid affinity: affinity must be an array of strings"),
        ([5], "Error: Invalid affinity: affinity must be an array of strings"),
        ([], None),
        (["role==db", "instance!=~/x/"], None),
        (
            ["role==db", "foobar"],
            'could not find operator in affinity rule: expected one of "==", "!=": \'foobar\'',
        ),
    ],
)
def test_affinity_of_volumes(dc, affinity, message):
    """sdc-cloudapi, lib/validation/volumes.js and lib/endpoints/volumes.js."""
    answer = dc.post("/my/volumes", json={"type": "tritonnfs", "affinity": affinity})
    if message is None:
        assert answer.status_code == 201
    else:
        assert error(answer) == (409, "InvalidArgument", message)
        assert dc.get("/my/volumes").json() == []
    dc.settle()
