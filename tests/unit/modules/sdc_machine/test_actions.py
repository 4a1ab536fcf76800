"""Carrying out a plan, with a CloudAPI that writes down what it is asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.module_utils.sdc.machine.actions import Actions
from ansible.module_utils.sdc.machine.creation import creation
from ansible.module_utils.sdc.machine.group import Group
from ansible.module_utils.sdc.machine.plan import Plan
from ansible.module_utils.sdc.machine.result import Result
from ansible.module_utils.sdc.machine.update import plan_update
from ansible.module_utils.sdc.offers import Offers

from smartdc import errors

from .parts import Account, machine, specification


class Recorder(Account):
    """Does nothing and says that it did; `broken` are ids with which everything fails."""

    auth = None
    transport = SimpleNamespace(patience=45.0)

    def __init__(self, *machines, broken=()):
        super().__init__(*machines)
        self.broken = broken
        self.calls = []

    def _note(self, ident, *call):
        if ident in self.broken:
            raise errors.Unavailable("closed for today")
        self.calls.append((ident, *call))

    def act(self, ident, action, **options):
        self._note(ident, action, *options.values())

    def set_tags(self, ident, tags):
        self._note(ident, "tags", tags)

    def set_metadata(self, ident, metadata):
        self._note(ident, "metadata", metadata)

    def delete(self, ident):
        self._note(ident, "delete")

    def create(self, payload):
        self._note(payload["name"], "create")
        return machine(payload["name"], "provisioning")


@pytest.fixture
def apply():
    def apply(api, plan):
        result = Result()
        options = {"selector": {"cluster": "x"}, "wait": "false", "parallel": 1}
        spec = specification(api, **options)
        Actions(api, None, spec.offers, spec, result).apply(plan)
        return result

    return apply


def test_changes_come_before_new_machines_and_deletions_last(apply):
    kept, old = machine("kept"), machine("old")
    api = Recorder(kept, old)
    group = Group("new", 1, tags={"a": 1}, package="large", image="base-64-lts")
    new = creation(group, "new", "run.0", Offers(api))
    update = plan_update(group, kept)
    result = apply(api, Plan(keep=[kept], update=[update], create=[new], delete=[old]))
    assert api.calls == [
        ("id-kept", "tags", {"a": 1}),
        ("id-kept", "resize", "id-large"),
        ("new", "create"),
        ("id-old", "delete"),
    ]
    assert (result.updated, result.created) == (["id-kept"], ["id-new"])
    # nothing was waited for
    assert result.deleted == ["id-old"]
    assert [m["name"] for m in result.machines] == ["kept", "new"]
    assert result.machines[0]["tags"]["a"] == 1 and result.machines[0]["package"] == "large"


@pytest.mark.parametrize(
    ("goal", "state", "call"),
    [
        ("running", "stopped", "start"),
        ("running", "running", None),
        ("stopped", "running", "stop"),
        ("restarted", "running", "stop"),
        (None, "stopped", None),
    ],
)
def test_goals(apply, goal, state, call):
    api = Recorder(machine("m", state))
    result = apply(api, Plan(keep=[api.machines[0]], goal=goal))
    assert api.calls == ([("id-m", call)] if call else [])
    assert result.started_ids == (["id-m"] if call == "start" else [])


def test_one_that_fails_does_not_end_it_for_the_others(apply):
    api = Recorder(machine("a"), machine("b"), broken=["id-a"])
    group = Group("g", 2, metadata={"k": "v"})
    updates = [plan_update(group, found) for found in api.machines]
    result = apply(api, Plan(keep=list(api.machines), update=updates))
    assert api.calls == [("id-b", "metadata", {"k": "v"})] and result.updated == ["id-b"]
    assert [failure["id"] for failure in result.failures] == ["id-a"]
    assert "closed for today" in result.failures[0]["message"]
