"""The parts of sdc_machine one by one: specification, plan, report and result."""

from __future__ import annotations

import pytest
from ansible.module_utils.difference import Differences
from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.machine.creation import creation
from ansible.module_utils.sdc.machine.group import REQUEST_TAG, Group
from ansible.module_utils.sdc.machine.plan import Plan
from ansible.module_utils.sdc.machine.planner import Planner
from ansible.module_utils.sdc.machine.preconditions import Preconditions
from ansible.module_utils.sdc.machine.report import describe, predict
from ansible.module_utils.sdc.machine.result import Result
from ansible.module_utils.sdc.machine.search import Search
from ansible.module_utils.sdc.machine.target import Target
from ansible.module_utils.sdc.offers import Offers

from .parts import IMAGE, Account, machine, specification

CLUSTER = {"selector": {"cluster": "x"}, "groups": None}


def engines(count, **options):
    group = {"name": "e-{index}", "exact_count": count, "selector": {"role": "engine"}}
    initial = {"image": "base-64-lts"}
    return {**CLUSTER, "groups": [group], "initial": initial, **options}


def plan(api, **options):
    spec = specification(api, **options)
    return Planner(spec, Search(api, spec), spec.offers).plan()


def names(machines):
    return [machine["name"] for machine in machines]


# --- specification -----------------------------------------------------------------------------


def test_a_group_has_its_own_options_before_those_of_the_task():
    entry = {"name": "e", "exact_count": 2, "selector": {"role": "e"}, "tags": {"a": 2},
             "package": "large", "initial": {"image": "y"}}  # fmt: skip
    spec = specification(
        selector={"cluster": "x"}, package="small", tags={"a": 1, "b": 1}, metadata={"n": 7},
        secret_metadata={"odd": "s"}, user_script="#!/bin/sh", initial={"image": "z"},
    )  # fmt: skip
    group = spec.group(entry)
    assert (group.package, group.count, group.initial) == ("large", 2, {"image": "y"})
    assert group.all_tags == {"a": 2, "b": 1, "cluster": "x", "role": "e"}
    assert group.metadata == {"n": "7", "odd": "s", "user-script": "#!/bin/sh"}
    assert group.is_secret("odd") and group.is_secret("root_pw") and not group.is_secret("n")


def test_a_package_by_id_is_that_of_its_name():
    ident = "5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d"

    class Other(Account):
        def list_packages(self):
            return [{"id": ident, "name": "huge", "memory": 4096}]

    assert specification(Other(), name="a", package=ident).groups[0].package == "huge"


def test_counting_needs_a_selector():
    assert not specification(name="a").counting and specification(**engines(1)).counting
    with pytest.raises(Refused, match="selector that is not empty"):
        _ = specification(name="e-{index}", exact_count=2).groups
    with pytest.raises(Refused, match="'cluster' has no value"):
        _ = specification(selector={"cluster": ""}).selector


# --- plan --------------------------------------------------------------------------------------


def test_new_machines_are_like_the_others_or_as_initially_said():
    first = plan(Account(), **engines(2))
    assert [c.name for c in first.create] == ["e-1", "e-2"]
    assert {c.payload["package"] for c in first.create} == {"id-small"}
    assert first.chosen == {"package": "small", "image": f"base-64-lts@24.4.1 ({IMAGE})"}
    more = plan(Account(machine("e-1", package="large")), **engines(2))
    assert [c.payload["package"] for c in more.create] == ["id-large"]
    assert names(more.keep) == ["e-1"] and not more.update
    requests = [c.payload["tags"][REQUEST_TAG] for c in first.create]
    assert len({request.partition(".")[0] for request in requests}) == 1
    assert REQUEST_TAG not in first.create[0].tags


@pytest.mark.parametrize(
    ("options", "keep", "goal", "delete", "spared"),
    [
        ({"state": "present"}, ["a"], None, [], []),
        ({"state": "started"}, ["a"], "running", [], []),
        ({"state": "stopped"}, ["a"], "stopped", [], []),
        ({"state": "restarted"}, ["a"], "restarted", [], []),
        ({"state": "absent"}, [], None, ["a"], []),
        ({"state": "absent", "protect": ["a"]}, [], None, [], ["a"]),
    ],
)
def test_a_plan_for_each_state(options, keep, goal, delete, spared):
    found = plan(Account(machine("a", "stopped")), name="a", **options)
    assert (names(found.keep), found.goal) == (keep, goal)
    assert (names(found.delete), names(found.spared)) == (delete, spared)
    assert names(found.start) == (["a"] if goal == "running" else [])


def test_what_would_fail_half_way_is_refused():
    api = Account(machine("e-1"), machine("e-2", deletion_protection=True))
    spec = specification(api, **engines(0, state="absent", max_delete=1))
    conditions = Preconditions(api, None, spec.offers, spec)
    with pytest.raises(Refused, match=r"2 machines would be deleted.*e-1, e-2"):
        conditions.check(Plan(delete=list(api.machines)))
    with pytest.raises(Refused, match="deletion_protection is on for e-2") as caught:
        conditions.check(Plan(delete=[api.machines[1]]))
    assert caught.value.details["machine_id"] == "id-e-2"
    conditions.check(Plan(delete=[api.machines[0]]))


# --- report ------------------------------------------------------------------------------------


def test_diff_and_prediction_agree():
    kept, old = machine("e-1", "stopped"), machine("old")
    api = Account(kept, old)
    group = Group("e-2", 1, package="small", image="base-64-lts", metadata={"a_pw": "s"})
    new = creation(group, "e-2", "run.0", Offers(api))
    decided = Plan(keep=[kept], goal="running", create=[new], delete=[old])
    differences, result = Differences(), Result()
    describe(decided, differences)
    predict(decided, Offers(api), result)
    assert differences.before["e-1"] == {"state": "stopped"}
    assert differences.after["e-1"] == {"state": "running"}
    assert differences.after["e-2"]["metadata"] == {"a_pw": "(hidden)"}
    assert "old" in differences.before and "old" not in differences.after
    states = {m["name"]: m["state"] for m in result.machines}
    assert states == {"e-1": "running", "e-2": "running"}
    assert (result.created, result.deleted) == (["e-2"], ["id-old"])
    assert (result.started_ids, result.updated) == (["id-e-1"], [])


# --- result ------------------------------------------------------------------------------------


def test_a_failure_names_every_machine_and_has_the_details_of_the_first():
    result = Result(created=["id-new"])
    gone, new, late = (Target(machine(n), g) for n, g in
                       (("old", "gone"), ("new", "running"), ("late", "running")))  # fmt: skip
    gone.done = new.done = True
    new.asked.add("start")
    late.asked.add("start")
    late.fail("start", "no room", code="Full", status=503)
    result.failed({"name": "none"}, "create", "refused")
    result.settled([gone, new, late])
    assert (result.deleted, result.started_ids) == (["id-old"], ["id-late"])
    with pytest.raises(Refused, match=r"2 machines failed: none \(create\): refused; late") as why:
        result.check()
    assert why.value.details == {"machine_id": None} and result.failed_ids == ["id-late"]
