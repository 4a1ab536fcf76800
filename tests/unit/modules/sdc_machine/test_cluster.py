"""sdc_machine for a whole cluster, against the embedded data center without zones."""

from __future__ import annotations

import pytest

from ..modules_support import OFFER, SELECTOR, cluster, names, run_module


def test_create_then_unchanged(cloud, sdc_machine):
    first = sdc_machine(**cluster(4))
    assert first["changed"]
    assert len(first["created"]) == 5 and not first["kept"]
    assert names(first) == ["ipython-controller"] + [f"ipython-engine-00{n}" for n in (1, 2, 3, 4)]
    assert {m["state"] for m in first["machines"]} == {"running"}
    assert all(m["primary_ip"] for m in first["machines"])
    assert set(first["diff"]["after"]) == set(names(first))
    assert first["data_center"]["url"] == cloud.url

    cloud.requests.clear()
    again = sdc_machine(**cluster(4))
    assert not again["changed"]
    assert again["created"] == [] and sorted(again["kept"]) == sorted(first["created"])
    assert again["diff"] == {"before": {}, "after": {}}
    assert cloud.requests == [("GET", "/acme/machines")]

    tags = cloud.machines()["ipython-engine-001"]["tags"]
    assert tags["cluster"] == "ipython" and tags["role"] == "engine"


def test_check_mode_predicts_and_changes_nothing(cloud, sdc_machine):
    predicted = sdc_machine(check=True, **cluster(2))
    assert predicted["changed"]
    assert predicted["created"] == names(predicted)
    assert predicted["machines"][0]["state"] == "running"
    assert cloud.machines() == {} and cloud.count("POST") == 0

    sdc_machine(**cluster(2))
    unchanged = sdc_machine(check=True, **cluster(2))
    assert not unchanged["changed"]
    shrunk = sdc_machine(check=True, **cluster(1))
    assert shrunk["changed"] and len(shrunk["deleted"]) == 1
    assert len(cloud.machines()) == 3


def test_scale_out_and_in_keeps_the_others(cloud, sdc_machine):
    first = sdc_machine(**cluster(4))
    more = sdc_machine(**cluster(6))
    assert len(more["created"]) == 2 and sorted(more["kept"]) == sorted(first["created"])
    less = sdc_machine(**cluster(2))
    assert len(less["deleted"]) == 4
    assert names(less) == ["ipython-controller", "ipython-engine-001", "ipython-engine-002"]
    assert set(cloud.machines()) == set(names(less))
    none = sdc_machine(**cluster(0))
    assert names(none) == ["ipython-controller"]


def test_newest_go_first_and_holes_are_filled(cloud, sdc_machine):
    sdc_machine(**cluster(3))
    hole = cloud.machines()["ipython-engine-002"]["id"]
    with cloud.client() as client:
        client.delete(hole)
    refilled = sdc_machine(**cluster(3))
    assert names(refilled)[1:] == [f"ipython-engine-00{n}" for n in (1, 2, 3)]
    assert len(refilled["created"]) == 1
    newest = sdc_machine(**cluster(2))
    assert newest["deleted"] == refilled["created"]
    sdc_machine(**cluster(3))
    oldest = sdc_machine(**cluster(2), scale_in="highest_index")
    assert "ipython-engine-003" not in names(oldest)


def test_oldest_go_first_when_asked(cloud, sdc_machine):
    first = sdc_machine(**cluster(2))
    sdc_machine(**cluster(4))
    less = sdc_machine(**cluster(2), scale_in="oldest")
    assert set(less["deleted"]) < set(first["created"])
    assert names(less)[1:] == ["ipython-engine-003", "ipython-engine-004"]


def test_protect_and_max_delete(cloud, sdc_machine):
    sdc_machine(**cluster(3))
    kept = sdc_machine(**cluster(1), protect=["ipython-engine-003"])
    assert names(kept)[1:] == ["ipython-engine-003"]
    refused = sdc_machine(expect="fail", **cluster(0), protect=["ipython-engine-003"])
    assert "protected" in refused.msg
    refused = sdc_machine(expect="fail", **cluster(0), max_delete=0)
    assert "max_delete" in refused.msg and "ipython-engine-003" in refused.msg
    for check in (False, True):
        options = {"state": "absent", "selector": SELECTOR, "max_delete": 1}
        assert "max_delete is 1" in sdc_machine(expect="fail", check=check, **options).msg
    assert len(cloud.machines()) == 2
    gone = sdc_machine(state="absent", selector=SELECTOR, protect=["ipython-engine-003"])
    assert len(gone["deleted"]) == 1 and set(cloud.machines()) == {"ipython-engine-003"}


def test_foreign_machines_are_never_touched(cloud, sdc_machine):
    sdc_machine(name="mine", **OFFER, tags={"cluster": "other"})
    sdc_machine(name="untagged", **OFFER)
    sdc_machine(name="stray", **OFFER, tags={**SELECTOR, "role": "gateway"})
    result = sdc_machine(**cluster(1))
    assert "stray" not in names(result)
    sdc_machine(**cluster(0))
    assert {"mine", "untagged", "stray"} <= set(cloud.machines())
    gone = sdc_machine(state="absent", selector=SELECTOR)
    assert len(gone["deleted"]) == 2
    assert set(cloud.machines()) == {"mine", "untagged"}


def test_drifted_tags_come_back_and_foreign_tags_stay(cloud, sdc_machine):
    made = sdc_machine(**cluster(1), tags={"team": "geo"})
    ident = next(m["id"] for m in made["machines"] if m["name"] == "ipython-engine-001")
    with cloud.client() as client:
        client.set_tags(ident, {"team": "other", "theirs": "x"})
        client.delete_tag(ident, "role")
    fixed = sdc_machine(**cluster(1), tags={"team": "geo"})
    assert fixed["updated"] == [ident] and fixed["created"] == []
    assert fixed["diff"]["before"] == {"ipython-engine-001": {"tags.team": "other"}}
    assert fixed["diff"]["after"]["ipython-engine-001"] == {
        "tags.team": "geo",
        "tags.role": "engine",
    }
    tags = cloud.machines()["ipython-engine-001"]["tags"]
    assert (tags["team"], tags["role"], tags["theirs"]) == ("geo", "engine", "x")
    assert not sdc_machine(**cluster(1), tags={"team": "geo"})["changed"]


def test_stopped_machines_are_started(cloud, sdc_machine):
    sdc_machine(**cluster(2))
    stopped = sdc_machine(state="stopped", selector=SELECTOR)
    assert stopped["changed"]
    assert {m["state"] for m in cloud.machines().values()} == {"stopped"}
    assert not sdc_machine(state="stopped", selector=SELECTOR)["changed"]
    started = sdc_machine(**cluster(2))
    assert len(started["started_ids"]) == 3 and started["created"] == []
    assert {m["state"] for m in cloud.machines().values()} == {"running"}
    assert started["diff"]["after"]["ipython-controller"] == {"state": "running"}


def test_restarted(cloud, sdc_machine):
    sdc_machine(**cluster(1))
    result = sdc_machine(state="restarted", selector=SELECTOR)
    assert result["changed"]
    assert {m["state"] for m in result["machines"]} == {"running"}


def test_absent_twice(cloud, sdc_machine):
    made = sdc_machine(**cluster(3))
    predicted = sdc_machine(check=True, state="absent", selector=SELECTOR)
    assert sorted(predicted["deleted"]) == sorted(made["created"])
    assert len(cloud.machines()) == 4
    cloud.requests.clear()
    gone = sdc_machine(state="absent", selector=SELECTOR)
    assert sorted(gone["deleted"]) == sorted(made["created"]) and gone["machines"] == []
    assert cloud.count("GET", "/machines/") == 0, "machines are not polled one by one"
    assert cloud.machines() == {}
    assert not sdc_machine(state="absent", selector=SELECTOR)["changed"]


def test_absent_without_waiting(cloud, sdc_machine):
    sdc_machine(**cluster(2))
    gone = sdc_machine(state="absent", selector=SELECTOR, wait="false")
    assert gone["changed"]
    assert cloud.count("POST") == 3, "nothing was stopped first"


def test_waiting_costs_one_list_per_poll(start_cloud):
    cloud = start_cloud(seconds=0.4)
    result = run_module("sdc_machine", **cloud.access, **cluster(20))
    assert len(result["created"]) == 21
    assert cloud.count("POST", "/machines") == 21
    assert cloud.count("GET", "/machines/") == 0
    assert cloud.count("GET", "/machines") < 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"selector": {}}, ["selector", "not empty"]),
        ({"selector": {"cluster": ""}}, ["selector", "'cluster'"]),
        ({"groups": [{"name": "e-{index}", "exact_count": -1}]}, ["0 or more", "-1"]),
        ({"groups": [{"name": "engine", "exact_count": 2}]}, ["pattern", "{index:03d}"]),
        ({"groups": [{"name": "e-{number}", "exact_count": 2}]}, ["pattern", "number"]),
        ({"groups": [{"name": "e {index}", "exact_count": 2}]}, ["not a machine name"]),
        ({"groups": [{"name": "a"}, {"name": "b"}]}, ["same machines", "selector"]),
        ({"groups": [{"name": "a", "exact_count": "many"}]}, ["exact_count", "int"]),
        ({"package": "sample-512MB"}, ["sample-512MB", "nearest", "sample-512M"]),
        ({"image": "base-64-ltz"}, ["base-64-ltz", "nearest", "base-64-lts"]),
        ({"networks": ["externa"]}, ["externa", "nearest", "external"]),
        ({"image": None}, ["needs an image"]),
    ],
)
def test_wrong_input(cloud, sdc_machine, change, words):
    result = sdc_machine(expect="fail", **{**cluster(1), **change})
    for word in words:
        assert word in result.msg
    assert cloud.machines() == {}


def unsaid(engines):
    """A cluster of which the task says nothing but its size."""
    groups = cluster(engines)["groups"]
    return {"selector": SELECTOR, "initial": {"image": "base-64-lts"}, "groups": groups}


def test_what_is_not_said_is_the_initial_value_of_a_new_cluster(cloud, sdc_machine):
    made = sdc_machine(**unsaid(2))
    assert len(made["created"]) == 3
    assert {cloud.machines()[name]["memory"] for name in names(made)} == {512}
    assert {machine["package"] for machine in made["machines"]} == {made["chosen"]["package"]}
    assert made["chosen"]["image"].startswith("base-64-lts@")


def test_what_is_not_said_leaves_machines_alone(cloud, sdc_machine):
    first = sdc_machine(**{**cluster(5), "package": "sample-1G"}, networks=["internal"])
    again = sdc_machine(**unsaid(5))
    assert not again["changed"] and len(again["kept"]) == 6, again
    more = sdc_machine(**unsaid(6))
    assert len(more["created"]) == 1 and sorted(more["kept"]) == sorted(first["created"])
    assert not more["resized"]
    newest = cloud.machines()["ipython-engine-006"]
    other = cloud.machines()["ipython-engine-001"]
    assert {newest[k] == other[k] for k in ("package", "image", "networks")} == {True}
    assert newest["package"] == "sample-1G"


def test_a_resize_is_told(cloud, sdc_machine):
    made = sdc_machine(**cluster(1))
    bigger = {**cluster(1), "package": "sample-1G"}
    assert sorted(sdc_machine(check=True, **bigger)["resized"]) == sorted(made["created"])
    assert sorted(sdc_machine(**bigger)["resized"]) == sorted(made["created"])


def test_a_taken_name_is_found_before_anything_is_made(cloud, sdc_machine):
    """Triton refuses a second machine of a name, and the others would be paid for."""
    foreign = sdc_machine(name="ipython-controller", **OFFER)["created"][0]
    before = cloud.count("POST")
    for check in (True, False):
        failed = sdc_machine(check=check, expect="fail", **cluster(3))
        assert "ipython-controller" in failed.msg and foreign in failed.msg
    assert cloud.count("POST") == before
    assert set(cloud.machines()) == {"ipython-controller"}


MARKED = {"selector": {"mark": "ipython"}, "tags": SELECTOR, "adopt": SELECTOR}


def test_adopted_are_machines_with_the_tags_and_a_name(cloud, sdc_machine):
    old = sdc_machine(**cluster(2))
    other = sdc_machine(name="game-engine", **OFFER, tags={**SELECTOR, "role": "engine"})
    task = {**cluster(2), **MARKED}
    predicted = sdc_machine(check=True, **task)
    assert predicted["created"] == [] and len(predicted["updated"]) == 3
    adopted = sdc_machine(**task)
    assert sorted(adopted["kept"]) == sorted(old["created"]) and not adopted["created"]
    assert not sdc_machine(**task)["changed"]
    refused = sdc_machine(expect="fail", **{**task, "selector": {"mark": "b"}, "adopt": None})
    assert "ipython-controller" in refused.msg
    gone = sdc_machine(**{**task, "state": "absent"})
    assert sorted(gone["deleted"]) == sorted(old["created"])
    assert [m["id"] for m in cloud.machines().values()] == other["created"]


def test_those_to_be_adopted_are_deleted_and_awaited(cloud, sdc_machine):
    old = sdc_machine(**cluster(1))
    gone = sdc_machine(**{**cluster(1), **MARKED, "state": "absent", "stop_first": False})
    assert sorted(gone["deleted"]) == sorted(old["created"]) and cloud.machines() == {}
