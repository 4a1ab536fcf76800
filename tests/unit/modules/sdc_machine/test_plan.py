"""Decisions about groups of machines, without a data center."""

from __future__ import annotations

import pytest
from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.machine.group import (
    REQUEST_TAG,
    Group,
    check_disjoint,
    check_group,
    members,
)
from ansible.module_utils.sdc.machine.plan import plan_group
from ansible.module_utils.sdc.machine.update import plan_update

ENGINES = Group("e-{index:03d}", 0, {"cluster": "x", "role": "engine"}, {"role": "engine"})


def machine(name, created=0, run="", **tags):
    tags = {"cluster": "x", "role": "engine", **tags}
    if run:
        tags[REQUEST_TAG] = f"{run}.{created}"
    return {"id": f"id-{name}", "name": name, "created": f"2026-01-01T00:00:{created:02d}.000Z",
            "tags": tags}  # fmt: skip


def shrink(machines, count, scale_in="newest", **options):
    group = Group(ENGINES.name, count, ENGINES.selector, ENGINES.own)
    return [m["name"] for m in plan_group(group, machines, scale_in, **options).remove]


def grow(machines, count):
    return plan_group(Group(ENGINES.name, count), machines).create


def test_indices():
    assert ENGINES.index_of("e-007") == 7 and ENGINES.index_of("e-1234") == 1234
    for other in ("e-7", "e-0007", "e-", "f-007", "e-007x", "e-\u0667"):
        assert ENGINES.index_of(other) is None
    assert Group("controller", 1).index_of("controller") == 1


def test_holes_are_filled_first():
    assert grow([], 2) == ["e-001", "e-002"]
    assert grow([machine("e-002"), machine("e-004"), machine("odd")], 6) == [
        "e-001",
        "e-003",
        "e-005",
    ]


def test_who_goes_first():
    # one run made 1 to 3, overtaking itself; a later one made 4 and put 2 back
    fleet = [
        machine("e-001", 9, "a"),
        machine("e-003", 7, "a"),
        machine("e-004", 20, "b"),
        machine("e-002", 21, "b"),
    ]
    assert shrink(fleet, 3) == ["e-004"]
    assert shrink(fleet, 1) == ["e-004", "e-002", "e-003"]
    assert shrink(fleet, 2, "oldest") == ["e-003", "e-001"]
    assert shrink(fleet, 2, "highest_index") == ["e-004", "e-003"]
    assert shrink(fleet, 3, protect=["e-004"]) == ["e-002"]
    assert shrink([*fleet, machine("odd", 1)], 4, "highest_index") == ["odd"]


def test_membership():
    plain = machine("e-001")
    renamed = machine("other")
    stripped = {**machine("e-002"), "tags": {"cluster": "x"}}
    foreign = machine("e-003", role="gateway")
    nameless = {**machine("other-2"), "tags": {"cluster": "x"}}
    assert members(ENGINES, [plain, renamed, stripped, foreign, nameless]) == [
        plain,
        renamed,
        stripped,
    ]


def test_tag_values_are_compared_as_the_data_center_does():
    group = Group("e", 1, {"n": 1, "b": True})
    assert not plan_update(group, {"id": "i", "name": "e", "tags": {"n": "1", "b": "true"}})
    assert plan_update(group, {"id": "i", "name": "e", "tags": {"n": 1}}).tags == {"b": True}


def test_passwords_are_not_compared():
    group = Group("e", 1, metadata={"credentials": "x", "a": "b"})
    assert plan_update(group, {"id": "i", "name": "e", "metadata": {"a": "b"}}).metadata == {}


@pytest.mark.parametrize(
    "name", ["{index}", "a{index}b{index}", "{", "{0}", "{index.x}", "-{index}"]
)
def test_bad_patterns(name):
    if name == "{index}":
        check_group(Group(name, 3))
        return
    with pytest.raises(Refused):
        check_group(Group(name, 3))


def test_groups_that_differ_in_one_tag_are_disjoint():
    one, two = Group("a", 1, own={"role": "a"}), Group("b", 1, own={"role": "b", "x": 1})
    check_disjoint([one, two])
    with pytest.raises(Refused):
        check_disjoint([one, Group("c", 1, own={"x": 1})])
