"""Snapshots and volumes."""

import json

import pytest

from localdc.api.compute import ComputeError

from .harness import error


def test_snapshots(dc):
    uuid = dc.create()
    snapshots = f"/my/machines/{uuid}/snapshots"
    made = dc.post(snapshots, json={"name": "one"}).json()
    assert made == {"name": "one", "state": "queued"}
    dc.settle()
    found = dc.get(f"{snapshots}/one").json()
    assert found["state"] == "created" and found["created"] == found["updated"]
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
    # as long as a job with its name is remembered
    assert dc.get(f"{snapshots}/one").json() == {"name": "one", "state": "deleted"}
    assert error(dc.get(f"{snapshots}/two"))[:2] == (404, "ResourceNotFound")
    assert len(dc.post(snapshots).json()["name"]) == len("20260101T000000Z")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("one", "snapshot one already exists"),
        ("../x", "'../x' is no name of a snapshot"),
        ("..", "'..' is no name of a snapshot"),
        ("\xe4 b", "is no name of a snapshot"),
        ("x" * 65, "is no name of a snapshot"),
    ],
)
def test_names_of_snapshots_are_judged_by_the_job(dc, name, why):
    """sdc-vmapi, lib/apis/wfapi.js, createSnapshotJob: every name is queued; vmadm(8) judges."""
    uuid = dc.create()
    snapshots = f"/my/machines/{uuid}/snapshots"
    dc.post(snapshots, json={"name": "one"})
    dc.settle()
    answer = dc.post(snapshots, json={"name": name})
    assert (answer.status_code, answer.json()) == (201, {"name": name, "state": "queued"})
    dc.settle()
    assert dc.audit(uuid)[0] | {"time": None, "caller": None} == {
        "success": "no", "time": None, "action": "create_snapshot", "caller": None,
    }  # fmt: skip
    assert why in dc.why(uuid)
    # the state of the last job with its name; what there was is there
    shown = [(found["name"], found["state"]) for found in dc.get(snapshots).json()]
    assert shown == [("one", "failed" if name == "one" else "created")]
    assert dc.compute.snapshots == {(uuid, "one")}


@pytest.mark.parametrize("name", ["one.two", "-x", "a:b%", "x" * 64])
def test_names_that_snapshots_may_have(dc, name):
    uuid = dc.create()
    made = dc.post(f"/my/machines/{uuid}/snapshots", json={"name": name})
    dc.settle()
    path = made.headers["Location"].replace("/acme/", "/my/")
    assert dc.get(path).json()["state"] == "created"


def test_rollback_to_a_snapshot_that_is_not_there(dc):
    """sdc-cloudapi, lib/snapshots.js, boot: nobody looks before the job does."""
    uuid = dc.create()
    assert dc.post(f"/my/machines/{uuid}/snapshots/none").status_code == 202
    dc.settle()
    assert dc.why(uuid) == "there is no snapshot none"
    assert dc.machine(uuid)["state"] == "running"
    assert error(dc.delete(f"/my/machines/{uuid}/snapshots/none"))[:2] == (404, "ResourceNotFound")


def test_a_snapshot_that_could_not_be_made_is_none(dc, monkeypatch):
    """sdc-cloudapi, lib/snapshots.js: listed is what the machine has, whatever a job became."""

    async def broken(*_):
        raise ComputeError("disk full")

    uuid = dc.create()
    snapshots = f"/my/machines/{uuid}/snapshots"
    with monkeypatch.context() as patch:
        patch.setattr(type(dc.compute), "create_snapshot", broken)
        dc.post(snapshots, json={"name": "one"})
        dc.settle()
    assert dc.get(snapshots).json() == []
    assert dc.get(f"{snapshots}/one").json()["state"] == "deleted"
    dc.post(snapshots, json={"name": "one"})
    dc.settle()
    with monkeypatch.context() as patch:
        patch.setattr(type(dc.compute), "rollback_snapshot", broken)
        dc.post(f"{snapshots}/one")
        dc.settle()
    # of the last job with its name
    assert [found["state"] for found in dc.get(snapshots).json()] == ["failed"]


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
