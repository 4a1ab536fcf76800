"""What came of a task of sdc_machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.sdc.base import Refused, details
from ansible.module_utils.sdc.client import errors
from ansible.module_utils.sdc.machine.group import Machine
from ansible.module_utils.sdc.machine.plan import Plan
from ansible.module_utils.sdc.machine.target import Target


@dataclass
class Result:
    """The values that the module returns; its documentation describes each."""

    created: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    started_ids: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    failed_ids: list[str] = field(default_factory=list)
    machines: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    chosen: dict[str, str] = field(default_factory=dict)

    def propose(self, plan: Plan) -> None:
        """Enter what a plan says that may still be refused."""
        self.chosen = plan.chosen
        self.kept = [machine["id"] for machine in plan.spared]

    def expect(self, plan: Plan) -> None:
        """Enter what is known before anything is done."""
        self.kept = [machine["id"] for machine in (*plan.keep, *plan.spared)]
        self.resized = [update.id for update in plan.update if update.package]

    def failed(self, machine: Machine, action: str, why: errors.SmartDCError | str) -> None:
        """Enter what went wrong with a machine."""
        more = details(why) if isinstance(why, errors.SmartDCError) else {}
        which = {name: machine.get(name) for name in ("name", "id", "state")}
        self.failures.append({**which, "action": action, "message": str(why), **more})

    def settled(self, targets: Iterable[Target]) -> None:
        """Enter what became of machines on their way."""
        for target in targets:
            if target.goal == "gone" and target.failure is None and target.done:
                self.deleted.append(target.id)
            if "start" in target.asked and target.id not in self.created:
                self.started_ids.append(target.id)
            if target.failure:
                self.failures.append(target.failure)

    def check(self) -> None:
        """See that all went well.

        :raises Refused: it did not; with the details of the first failure
        """
        self.failed_ids = [failure["id"] for failure in self.failures if failure["id"]]
        if self.failures:
            first = self.failures[0]
            more = {k: v for k, v in first.items() if k in ("code", "status", "request_id")}
            raise Refused(summary(self.failures), **more, machine_id=first["id"])


def summary(failures: Sequence[Mapping[str, Any]], reasons: int = 5, names: int = 50) -> str:
    """One line about failures: some with their reasons, the others by name, then a number."""
    lines = [f"{f['name']} ({f['action']}): {f['message']}" for f in failures[:reasons]]
    rest = [str(f["name"]) for f in failures[reasons:]]
    if rest:
        more = ", ..." if len(rest) > names else ""
        lines.append(f"and {len(rest)} more: {', '.join(rest[:names])}{more}")
    one = len(failures) == 1
    return f"{len(failures)} machine{'' if one else 's'} failed: {'; '.join(lines)}"
