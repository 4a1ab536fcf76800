"""Faults on order."""

import time

import pytest
import requests

from localdc.api.compute import ComputeError

from .harness import ADMIN, BASE64, error

BODY = {"image": BASE64, "package": "sample-512M"}


def admin(dc, method, path="/--admin/faults", token=ADMIN, **kwargs):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.request(method, dc.url + path, headers=headers, timeout=5, **kwargs)


def test_admin_needs_its_token(start, tmp_path):
    dc = start()
    assert error(admin(dc, "GET", token=None))[:2] == (401, "InvalidCredentials")
    assert error(admin(dc, "GET", token="wrong"))[0] == 401
    assert dc.get("/--admin/faults").status_code == 401
    closed = start(path=tmp_path / "other.db", admin_token=None)
    assert admin(closed, "GET", token="").status_code == 404


def test_order_list_withdraw(dc):
    first = dc.fault(kind="unavailable", count=None, path="/my/limits")
    dc.fault(kind="throttle", path="/my/limits")
    listed = admin(dc, "GET").json()
    assert [fault["kind"] for fault in listed] == ["unavailable", "throttle"]
    assert admin(dc, "DELETE", f"/--admin/faults/{first['id']}").status_code == 204
    assert admin(dc, "DELETE", f"/--admin/faults/{first['id']}").status_code == 404
    assert error(dc.get("/my/limits"))[0] == 429
    assert dc.get("/my/limits").status_code == 200
    dc.fault(kind="unavailable", count=None)
    assert admin(dc, "DELETE").status_code == 204
    assert admin(dc, "GET").json() == [] and dc.get("/my/limits").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "earthquake"},
        {"kind": ["throttle"]},
        {"kind": "throttle", "count": 0},
        {"kind": "throttle", "count": True},
        {"kind": "throttle", "retry_after": "soon"},
        {"kind": "provision_delay", "seconds": -1},
        {"kind": "throttle", "machine": 5},
        {"kind": "throttle", "when": "now"},
        {"kind": "lost_machine"},
    ],
)
def test_bad_orders(shared, body):
    assert error(admin(shared, "POST", json=body))[:2] == (409, "InvalidArgument")


def test_unavailable_and_throttled(dc):
    dc.fault(kind="unavailable", retry_after=2)
    answer = dc.get("/my")
    assert error(answer)[:2] == (503, "ServiceUnavailableError")
    assert answer.headers["Retry-After"] == "2"
    dc.fault(kind="throttle", count=2)
    for _ in range(2):
        answer = dc.get("/my")
        assert error(answer)[:2] == (429, "RequestThrottled")
        assert "Retry-After" not in answer.headers
    assert dc.get("/my").status_code == 200
    dc.fault(kind="throttle", retry_after=0.5)
    answer = dc.get("/my")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "0.5")
    assert dc.admin("PUT", "settings", json={"throttle_status": 420}).ok
    dc.fault(kind="throttle")
    assert error(dc.get("/my"))[:2] == (420, "RequestThrottled")
    assert error(dc.admin("PUT", "settings", json={"throttle_status": 500}))[0] == 409


def test_a_fault_strikes_only_what_it_names(dc):
    uuid = dc.create("engine-001")
    dc.fault(kind="unavailable", machine="engine-*", method="post", count=None)
    assert dc.get(f"/my/machines/{uuid}").status_code == 200
    assert dc.post(f"/my/machines/{uuid}", json={"action": "stop"}).status_code == 503
    assert dc.post("/my/machines", json={"name": "engine-002", **BODY}).status_code == 503
    assert dc.post("/my/machines", json={"name": "web", **BODY}).status_code == 201
    dc.fault(kind="unavailable", account="somebody", count=None)
    assert dc.get("/my").status_code == 200


def test_connection_cut_before_and_after(dc):
    dc.fault(kind="cut_before", method="POST", path="/my/machines")
    with pytest.raises(requests.ConnectionError):
        dc.post("/my/machines", json={"name": "before", **BODY})
    assert dc.get("/my/machines").json() == []
    dc.fault(kind="cut_after", method="POST", path="/my/machines")
    with pytest.raises(requests.ConnectionError):
        dc.post("/my/machines", json={"name": "after", **BODY})
    dc.settle()
    assert [m["name"] for m in dc.get("/my/machines").json()] == ["after"]
    assert dc.get("/my/machines").json()[0]["state"] == "running"
    dc.fault(kind="cut_after", method="POST")
    with pytest.raises(requests.ConnectionError):
        dc.post("/my/machines", json={"name": "after", **BODY})
    assert len(dc.get("/my/machines").json()) == 1


def test_slow_and_failing_provisions(dc):
    dc.fault(kind="provision_delay", seconds=1, machine="slow*")
    dc.fault(kind="provision_failure", reason="disk full", machine="bad*")
    began = time.monotonic()
    slow, good = (dc.create(name, settle=False) for name in ("slow", "good"))
    while dc.machine(good)["state"] != "running":
        assert time.monotonic() - began < 20
    assert dc.machine(slow)["state"] == "provisioning" and dc.machine(slow)["ips"]
    bad = dc.create("bad1")
    assert dc.machine(bad)["state"] == "failed" and dc.why(bad) == "disk full"
    assert dc.machine(dc.create("bad2"))["state"] == "running"
    assert dc.machine(good)["state"] == dc.machine(slow)["state"] == "running"


def test_jobs_of_an_unknown_machine(dc):
    answer = dc.admin("GET", f"machines/{BASE64}/jobs")
    assert (answer.status_code, answer.json()["code"]) == (404, "ResourceNotFound")


def test_a_machine_gets_lost(dc):
    one, two, other = dc.create("engine-1"), dc.create("engine-2"), dc.create("other")
    lost = dc.fault(kind="lost_machine", machine="engine-*")["machines"]
    assert lost == [one]
    dc.settle()
    assert dc.get(f"/my/machines/{one}").status_code == 404
    assert [m["id"] for m in dc.get("/my/machines").json()] == [two, other]
    assert one not in dc.compute.zones
    assert dc.fault(kind="lost_machine", machine=other, count=None)["machines"] == [other]
    dc.settle()
    assert dc.machine(dc.create("engine-1"))["state"] == "running"


def test_a_reboot_that_is_late(dc):
    """As sdc-cn-agent, tasks/machine_update.js: recorded first, then rebooted."""
    external, internal, _ = dc.get("/my/networks").json()
    uuid = dc.create("gw", networks=[external["id"]])
    other = dc.create("other", networks=[external["id"]])
    boots = dc.engine._runner.boots
    dc.fault(kind="reboot_delay", machine="gw", seconds=2, count=2)
    nics = f"/my/machines/{uuid}/nics"
    for action, expected in (("add_nics", 2), ("remove_nics", 1)):
        before = boots[uuid]
        if action == "add_nics":
            mac = dc.post(nics, json={"network": internal["id"]}).json()["mac"].replace(":", "")
        else:
            assert dc.delete(f"{nics}/{mac}").status_code == 204
        eventually(lambda: {nic["state"] for nic in dc.get(nics).json()} == {"running"})
        machine = dc.machine(uuid)
        assert (machine["state"], len(machine["nics"])) == ("running", expected)
        assert dc.audit(uuid)[0]["action"] != action and boots[uuid] == before
        dc.settle()
        assert dc.audit(uuid)[0]["action"] == action and boots[uuid] == before + 1
    dc.fault(kind="reboot_delay", machine="gw", seconds=3600, count=None)
    dc.post(f"/my/machines/{other}/nics", json={"network": internal["id"]})
    dc.settle()
    assert boots[other] == 2
    dc.act(uuid, "stop")
    assert dc.post(nics, json={"network": internal["id"]}).status_code == 201
    dc.settle()
    assert boots[uuid] == 3, "a machine that is stopped is not rebooted"


def test_a_nic_that_cannot_be_added_is_taken_back(dc, monkeypatch):
    """vmapi, workflows/add-nics.js: napi.cleanup_nics."""
    external, internal, _ = dc.get("/my/networks").json()
    uuid = dc.create("gw", networks=[external["id"]])
    before = dc.machine(uuid)["nics"]

    async def broken(*_):
        raise ComputeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(type(dc.compute), "halt", broken)
        dc.post(f"/my/machines/{uuid}/nics", json={"network": internal["id"], "primary": True})
        dc.settle()
    assert (dc.why(uuid), dc.audit(uuid)[0]["success"]) == ("disk full", "no")
    assert dc.machine(uuid)["nics"] == before and dc.machine(uuid)["state"] == "running"
    assert dc.get(f"/my/networks/{internal['id']}/ips").json() == []
    assert dc.post(f"/my/machines/{uuid}/nics", json={"network": internal["id"]}).status_code == 201
    dc.settle()
    assert len(dc.machine(uuid)["nics"]) == 2


def eventually(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
