"""What a machine on its way is asked for, state by state."""

from __future__ import annotations

import pytest
from ansible.module_utils.sdc.machine.target import Target

from .parts import machine


@pytest.mark.parametrize(
    ("goal", "way"),
    [
        ("running", [("provisioning", None), ("stopped", "start"), ("running", None)]),
        ("stopped", [("provisioning", None), ("running", "stop"), ("stopped", None)]),
        ("restarted", [("running", "stop"), ("stopping", None), ("stopped", "start"),
                       ("running", None)]),
        ("gone", [("running", "stop"), ("stopping", None), ("stopped", "delete"),
                  ("deleted", None)]),
    ],
)  # fmt: skip
def test_the_way_to_each_goal(goal, way):
    target = Target(machine("m"), goal)
    for state, action in way:
        assert not target.settled
        target.machine = machine("m", state)
        assert target.step() == action
        assert target.step() is None, "an action is asked for once"
    assert target.done and target.failure is None


@pytest.mark.parametrize("state", ["failed", "deleted"])
@pytest.mark.parametrize("goal", ["running", "stopped", "restarted"])
def test_ways_that_lead_nowhere(goal, state):
    target = Target(machine("m", state), goal)
    assert target.step() is None and target.settled and not target.done
    assert target.failure["state"] == state and target.failure["action"] == "provision"


def test_a_protected_machine_is_freed_first():
    target = Target(machine("m", deletion_protection=True), "gone", unprotect=True)
    assert [target.step(), target.step()] == ["disable_deletion_protection", "stop"]
    target.machine = machine("m", "stopped", deletion_protection=True)
    assert target.step() == "delete"
