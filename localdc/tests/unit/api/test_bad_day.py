"""A bad day, and each of the things that make it one."""

import time
from collections import Counter

import pytest
import requests

from localdc.api.catalogue import networks
from localdc.api.engine.badday import BadDay
from localdc.api.engine.faults import Faults

from .harness import error

EXTERNAL, INTERNAL = networks()


def put(dc, **settings):
    answer = dc.admin("PUT", "settings", json=settings)
    assert answer.status_code == 200, answer.text
    return answer.json()


def seen(dc, look, until):
    """The different answers of `look`, in order, up to the one that is waited for."""
    found = []
    deadline = time.monotonic() + 30
    while not found or found[-1] != until:
        assert time.monotonic() < deadline, found
        now = look()
        if found[-1:] != [now]:
            found.append(now)
        time.sleep(0.02)
    return found


# --- changes take their time -------------------------------------------------------------------


def test_changes_are_shown_one_after_the_other(dc):
    uuid = dc.create("web", **{"tag.role": "web"})
    put(dc, change_seconds=[1, 1])
    path = f"/my/machines/{uuid}"
    assert dc.post(path, json={"action": "rename", "name": "site"}).status_code == 202
    answer = dc.post(f"{path}/tags", json={"hot": True}).json()
    assert answer == {"role": "web", "hot": True}, "the answer has the change"
    dc.post(f"{path}/metadata", json={"a": "b"})

    def look():
        machine = dc.machine(uuid)
        return machine["name"], "hot" in machine["tags"], "a" in machine["metadata"]

    (listed,) = dc.get("/my/machines").json()
    assert listed["tags"] == dc.get(f"{path}/tags").json() == {"role": "web"}
    assert listed["metadata"] == dc.get(f"{path}/metadata").json()
    assert listed["name"] == "web" and error(dc.get(f"{path}/metadata/a"))[0] == 404
    assert seen(dc, look, ("site", True, True)) == [
        ("web", False, False), ("site", False, False), ("site", True, False), ("site", True, True),
    ]  # fmt: skip
    assert [entry["action"] for entry in dc.audit(uuid)][:3] == [
        "set_metadata", "set_tags", "rename",
    ]  # fmt: skip


def test_machines_are_found_by_what_is_shown(dc):
    uuid = dc.create("web", **{"tag.role": "web"})
    other = dc.create("other")
    put(dc, change_seconds=[600, 600])
    path = f"/my/machines/{uuid}"
    dc.put(f"{path}/tags", json={"role": "db"})
    dc.post(path, json={"action": "rename", "name": "site"})

    def found(query):
        return len(dc.get(f"/my/machines?{query}").json())

    queries = ("tag.role=web", "tag.role=db", "name=web", "name=site")
    assert [found(query) for query in queries] == [1, 0, 1, 0]
    assert error(dc.get(f"{path}/tags/none"))[0] == 404
    assert dc.get(f"{path}/tags/role").json() == "web"
    taken = dc.post(f"/my/machines/{other}", json={"action": "rename", "name": "site"})
    assert error(taken)[:2] == (409, "ValidationFailed")


def test_a_name_that_is_refused_changes_nothing(dc):
    uuid = dc.create("web")
    dc.create("site")
    put(dc, change_seconds=[600, 600])
    path = f"/my/machines/{uuid}"
    assert error(dc.post(path, json={"action": "rename", "name": "site"}))[0] == 409
    put(dc, change_seconds=None)
    assert dc.post(f"{path}/tags", json={"a": "b"}).status_code == 200
    dc.settle()
    machine = dc.machine(uuid)
    assert (machine["name"], machine["tags"]) == ("web", {"a": "b"})


def test_states_and_protection_change_late(dc):
    uuid = dc.create("web", deletion_protection=True)
    put(dc, change_seconds=[0.5, 0.5])
    path = f"/my/machines/{uuid}"
    dc.post(path, json={"action": "disable_deletion_protection"})
    assert error(dc.delete(path))[:2] == (409, "CannotDestroyMachineError")
    seen(dc, lambda: dc.machine(uuid)["deletion_protection"], until=False)
    dc.post(path, json={"action": "stop"})
    assert dc.machine(uuid)["state"] == "running"
    seen(dc, lambda: dc.machine(uuid)["state"], until="stopped")
    assert dc.delete(path).status_code == 204 and dc.machine(uuid)["state"] == "stopped"
    seen(dc, lambda: dc.get(path).status_code, until=410)
    made = dc.create("new", settle=False)
    assert dc.machine(made)["state"] == "provisioning"
    seen(dc, lambda: dc.machine(made)["state"], until="running")


def test_a_nic_is_listed_before_the_machine_has_it(dc):
    """NAPI has it at once, VMAPI after the job (vmapi, workflows/add-nics.js)."""
    uuid = dc.create("gw", networks=[EXTERNAL.id])
    put(dc, change_seconds=[0.5, 0.5])
    nics = f"/my/machines/{uuid}/nics"
    mac = dc.post(nics, json={"network": INTERNAL.id}).json()["mac"]
    assert [nic["mac"] for nic in dc.get(nics).json()][1:] == [mac]
    assert dc.machine(uuid)["networks"] == [EXTERNAL.id]
    seen(dc, lambda: dc.machine(uuid)["networks"], until=[EXTERNAL.id, INTERNAL.id])
    dc.settle()
    assert dc.delete(f"{nics}/{mac.replace(':', '')}").status_code == 204
    assert len(dc.get(nics).json()) == 1 and len(dc.machine(uuid)["nics"]) == 2
    seen(dc, lambda: dc.machine(uuid)["networks"], until=[EXTERNAL.id])


def test_volumes_take_their_time(dc):
    put(dc, change_seconds=[0.5, 0.5])
    made = dc.post("/my/volumes", json={"type": "tritonnfs", "name": "data"}).json()
    path = f"/my/volumes/{made['id']}"
    assert dc.get(path).json()["state"] == "creating"
    seen(dc, lambda: dc.get(path).json()["state"], until="ready")


def test_a_data_center_that_stops_waits_for_nothing(start, tmp_path):
    dc = start(path=tmp_path / "state.db")
    uuid = dc.create("web")
    put(dc, change_seconds=[3600, 3600])
    dc.post(f"/my/machines/{uuid}/tags", json={"a": "b"})
    assert dc.machine(uuid)["tags"] == {}
    dc.stop()
    again = start(path=tmp_path / "state.db")
    again.settle()
    assert again.machine(uuid)["tags"] == {"a": "b"}
    (listed,) = again.get("/my/machines?tag.a=b").json()
    assert listed["tags"] == {"a": "b"}


# --- lists are old -----------------------------------------------------------------------------


def test_lists_lag_behind(dc):
    uuid = dc.create("web")
    put(dc, lists_cache_seconds=1)

    def listed():
        return [machine["state"] for machine in dc.get("/my/machines").json()]

    assert listed() == ["running"]
    dc.act(uuid, "stop")
    assert dc.machine(uuid)["state"] == "stopped" and listed() == ["running"]
    assert seen(dc, listed, until=["stopped"]) == [["running"], ["stopped"]]
    put(dc, lists_cache_seconds=600)
    assert listed() == ["stopped"]
    dc.create("second")
    answer = dc.call("HEAD", "/my/machines")
    assert len(listed()) == 1 and answer.headers["x-resource-count"] == "1"
    # what was never asked for is not old
    assert len(dc.get("/my/machines?limit=5").json()) == 2
    put(dc, lists_cache_seconds=0)
    assert len(listed()) == 2


# --- requests fail -----------------------------------------------------------------------------


def strikes(seed, count, day=None):
    faults = Faults()
    faults.standing = (day or BadDay()).faults()
    faults.seed(seed)
    struck = [faults.for_request("a", None, None, "GET", "/") for _ in range(count)]
    return [fault and fault.kind for fault in struck]


def test_one_request_in_twenty_fails():
    counts = Counter(strikes(0, 20_000))
    failed = 20_000 - counts.pop(None)
    assert 900 < failed < 1100
    assert set(counts) == {"unavailable", "cut_before", "cut_after"}
    assert min(counts.values()) > 200
    assert strikes(0, 500) == strikes(0, 500) != strikes(1, 500)


def test_a_fault_that_strikes_by_chance(dc):
    dc.fault(kind="unavailable", path="/my/limits", chance=0.5, count=3)
    codes = [dc.get("/my/limits").status_code for _ in range(100)]
    assert Counter(codes) == {503: 3, 200: 97} and codes[:3] != [503, 503, 503]
    for chance in (0, 1.5, True, "x"):
        bad = dc.admin("POST", "faults", json={"kind": "throttle", "chance": chance})
        assert error(bad)[:2] == (409, "InvalidArgument")


def test_failures_of_a_bad_day_are_no_orders(dc):
    put(dc, bad_day={"failing": 0.9})
    assert dc.admin("GET", "faults").json() == []
    dc.admin("DELETE", "faults")
    outcomes = Counter()
    for _ in range(60):
        try:
            outcomes[dc.get("/my").status_code] += 1
        except requests.ConnectionError:
            outcomes["cut"] += 1
    assert set(outcomes) == {200, 503, "cut"}
    assert dc.admin("GET", "settings").status_code == 200, "the owner is spared"


# --- all of it ---------------------------------------------------------------------------------


def test_a_bad_day_begins_and_ends(dc):
    usual = dc.admin("GET", "settings").json()
    assert put(dc, bad_day=True) == {
        **usual,
        "bad_day": {
            "seed": 0,
            "change_seconds": [4, 30],
            "keys_cache_seconds": 60,
            "lists_cache_seconds": 5,
            "reboot_seconds": 4,
            "failing": 0.05,
            "public_pool": True,
        },
        "change_seconds": [4, 30],
        "keys_cache_seconds": 60,
        "lists_cache_seconds": 5,
        "public_pool": True,
    }
    mild = put(dc, bad_day={"change_seconds": [0, 0.1], "failing": 0, "seed": 3}, throttle=None)
    assert mild["bad_day"]["change_seconds"] == mild["change_seconds"] == [0, 0.1]
    assert mild["keys_cache_seconds"] == 60
    assert put(dc, bad_day=True, keys_cache_seconds=1)["keys_cache_seconds"] == 1
    for off in (False, None):
        assert put(dc, bad_day=off) == usual
    assert dc.engine._runner.faults.standing == ()


def test_the_public_network_of_a_bad_day_is_a_pool(dc):
    before = dc.create("before", networks=[EXTERNAL.id])
    put(dc, bad_day={"failing": 0, "change_seconds": [0, 0], "lists_cache_seconds": 0})
    pool, internal, _ = dc.get("/my/networks").json()
    assert (pool["name"], pool["public"]) == (EXTERNAL.name, True)
    assert pool["id"] != EXTERNAL.id and internal["id"] == INTERNAL.id
    assert error(dc.get(f"/my/networks/{EXTERNAL.id}"))[0] == 404
    after = dc.create("after", networks=[pool["id"]])
    assert dc.machine(before)["networks"] == dc.machine(after)["networks"] == [EXTERNAL.id]
    put(dc, bad_day=False)
    first, second, _ = dc.get("/my/networks").json()
    assert (first["id"], second["id"]) == (EXTERNAL.id, INTERNAL.id)


def test_the_same_seed_gives_the_same_delays(start, tmp_path):
    def drawn(name, seed):
        dc = start(path=tmp_path / name)
        put(dc, bad_day={"seed": seed, "change_seconds": [4, 30]})
        return [dc.engine.pace._random.uniform(4, 30) for _ in range(5)]

    first = drawn("a", 1)
    assert first == drawn("b", 1) != drawn("c", 2) and all(4 <= delay <= 30 for delay in first)


@pytest.mark.parametrize("settings", [{"change_seconds": [0, 0]}, {"lists_cache_seconds": 0}])
def test_nothing_is_late_where_nothing_is_asked_for(dc, settings):
    put(dc, **settings)
    uuid = dc.create("web")
    dc.post(f"/my/machines/{uuid}/tags", json={"a": "b"})
    dc.settle()
    assert dc.machine(uuid)["tags"] == {"a": "b"}
