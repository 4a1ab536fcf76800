"""Every module that changes something, in every case, by one table.

    create  predicted by check mode, made as predicted, found again without a change
    update  likewise
    refuse  each of these refused by the data center: a structured failure, nothing changed
    delete  predicted, done, done again

Check mode sends GET requests only. What else a module does is in its own tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from .modules_support import OFFER, ROOT, Cloud, run_module

RULE = 'FROM any TO tag "role" = "web" ALLOW tcp PORT 80'
KEYS = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl one",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINYkHu0kLzd4AIVvVMzYZ0m0fPsdRN2eMIQbRQ8HvGHH two",
]


UNFORESEEN = ("networks", "tags", "updated")
"""What the data center adds to, and the time."""


@dataclass(frozen=True)
class Case:
    """What to create, what to change then, and what stands for it in results and diffs."""

    module: str
    result: str
    title: str
    options: dict[str, Any]
    update: dict[str, Any] = field(default_factory=dict)
    identity: tuple[str, ...] = ("name",)
    removal: dict[str, Any] = field(default_factory=dict)

    @property
    def absent(self) -> dict[str, Any]:
        return {
            **{key: self.options[key] for key in self.identity},
            **self.removal,
            "state": "absent",
        }


CASES = [
    Case(
        "sdc_machine", "machines", "web",
        {"name": "web", **OFFER, "tags": {"a": 1}, "metadata": {"stage": "test"}},
        {"tags": {"a": 2, "b": True}, "metadata": {"stage": "live"}, "package": "sample-1G"},
    ),
    Case(
        "sdc_machine", "machines", "m-1",
        {"name": "m-{index}", "selector": {"set": "m"}, "exact_count": 1, **OFFER},
        {"firewall_enabled": True, "deletion_protection": True},
        ("name", "selector"), {"deletion_protection": False},
    ),
    Case("sdc_key", "key", "laptop", {"name": "laptop", "key": KEYS[0]},
         {"key": KEYS[1], "replace": True}),
    Case("sdc_firewall_rule", "rule", "door", {"description": "door", "rule": RULE},
         {"rule": RULE.replace("80", "443"), "enabled": False}, ("description",)),
    Case("sdc_volume", "volume", "data", {"name": "data", "size": 10240}),
    Case("sdc_snapshot", "snapshot", "before", {"machine": "gw", "name": "before"},
         identity=("machine", "name")),
    Case("sdc_nic", "nic", "gw internal", {"machine": "gw", "network": "internal"},
         identity=("machine", "network")),
]  # fmt: skip
CHANGING = {path.stem for path in (ROOT / "library").glob("sdc_*.py") if "_info" not in path.stem}
assert {case.module for case in CASES} == CHANGING


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), firewall=True)
    run_module("sdc_machine", **cloud.access, name="gw", **OFFER, networks=["external"])
    yield cloud
    cloud.stop()


class Runner:
    """The module of a case, watched at the data center."""

    def __init__(self, cloud: Cloud, case: Case) -> None:
        self.cloud, self.case = cloud, case

    def __call__(self, options, *, check=False, expect="ok"):
        self.cloud.requests.clear()
        access = self.cloud.access
        result = run_module(self.case.module, check=check, expect=expect, **access, **options)
        verbs = {verb for verb, _ in self.cloud.requests}
        assert not check or verbs <= {"GET"}, f"check mode sent {verbs}"
        return result

    def shown(self, result):
        found = result[self.case.result]
        return found[0] if isinstance(found, list) and found else found

    def changes(self, options):
        """Predicted and made alike; made again and predicted again without a change."""
        predicted = self(options, check=True)
        made = self(options)
        assert predicted["changed"] and made["changed"]
        assert predicted["diff"] == made["diff"]
        assert list({**made["diff"]["before"], **made["diff"]["after"]}) == [self.case.title]
        before, after = self.shown(predicted), self.shown(made)
        known = {k: v for k, v in before.items() if v is not None and k not in UNFORESEEN}
        assert known == {k: after[k] for k in known}
        tags = before.get("tags") or {}
        assert tags == {k: after["tags"][k] for k in tags}
        for check in (False, True):
            again = self(options, check=check)
            assert not again["changed"] and again["diff"] == {"before": {}, "after": {}}
            assert self.shown(again) == after
        return after

    def refused(self, options):
        """Refused by the data center: the failure has its code, status and request id."""
        faults = self.cloud.app.state.center.faults
        for verb in ("POST", "PUT", "DELETE"):
            order = {"kind": "throttle", "method": verb, "path": "*", "count": None}
            faults.order({**order, "retry_after": 3600})
        try:
            failed = self(options, expect="fail")
        finally:
            faults.withdraw()
        assert (failed["code"], failed["status"]) == ("RequestThrottled", 429)
        assert failed["request_id"]
        return failed


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.module} {case.title}")
def test_matrix(cloud, case):
    run = Runner(cloud, case)
    assert not run(case.absent)["changed"], "absent from the beginning"
    run.refused(case.options)
    assert not run(case.absent)["changed"], "a refused creation made something"
    made = run.changes(case.options)
    assert made
    if case.update:
        update = {**case.options, **case.update}
        failed = run.refused(update)
        assert case.module != "sdc_machine" or failed["machine_id"] == made["id"]
        assert not run(case.options)["changed"], "a refused update changed something"
        run.changes(update)
    failed = run.refused(case.absent)
    if case.identity[0] == "machine":
        assert failed["machine_id"] == cloud.machines()["gw"]["id"]
    assert not run({**case.options, **case.update})["changed"], (
        "a refused deletion deleted something"
    )
    predicted = run(case.absent, check=True)
    gone = run(case.absent)
    assert predicted["changed"] and gone["changed"] and predicted["diff"] == gone["diff"]
    assert list(gone["diff"]["before"]) == [case.title] and gone["diff"]["after"] == {}
    assert not run.shown(gone) and not run.shown(predicted)
    for check in (False, True):
        again = run(case.absent, check=check)
        assert not again["changed"] and not run.shown(again)
