"""What has to happen so that the machines of an account become those that a task specifies.

Nothing here talks to CloudAPI: the functions take machines as CloudAPI describes
them and return decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import wire
from ansible.module_utils.sdc.machine.creation import Creation
from ansible.module_utils.sdc.machine.group import REQUEST_TAG, Group, Machine
from ansible.module_utils.sdc.machine.update import Update

PAST = ("failed", "deleted")
"""States of machines that are not there any more, or never were."""


@dataclass
class Plan:
    """All that a task is to do, decided before any of it is done.

    `goal` is what becomes of the machines that are kept; None leaves their power alone. `spared`
    are those that a deletion leaves out. `chosen` says what the task left open.
    """

    keep: list[Machine] = field(default_factory=list)
    goal: Literal["running", "stopped", "restarted"] | None = None
    create: list[Creation] = field(default_factory=list)
    update: list[Update] = field(default_factory=list)
    delete: list[Machine] = field(default_factory=list)
    spared: list[Machine] = field(default_factory=list)
    chosen: dict[str, str] = field(default_factory=dict)

    @property
    def start(self) -> list[Machine]:
        """The machines that are stopped and shall run."""
        return [m for m in self.keep if self.goal == "running" and m.get("state") == "stopped"]

    def state_after(self, machine: Machine) -> str | None:
        """The state in which a machine that is kept will be."""
        if self.goal == "stopped":
            return "stopped"
        if self.goal == "restarted":
            return "running"
        woken = self.goal == "running" and machine.get("state") == "stopped"
        return "running" if woken else machine.get("state")


@dataclass
class GroupPlan:
    """The decision for one group."""

    group: Group
    keep: list[Machine]
    remove: list[Machine]
    create: list[str]


def present(machines: Iterable[Machine]) -> list[Machine]:
    """The machines that are there or are being made."""
    return [machine for machine in machines if machine.get("state") not in PAST]


def taken_names(names: Iterable[str], machines: Iterable[Machine]) -> dict[str, Machine]:
    """Machines that have one of these names, by name."""
    wanted = set(names)
    return {str(m["name"]): m for m in present(machines) if m.get("name") in wanted}


def model(group: Group, plans: Sequence[GroupPlan]) -> Machine | None:
    """The machine that new ones of a group are to be like: its newest, else another of the task."""
    own = [machine for plan in plans if plan.group is group for machine in plan.keep]
    others = own or [machine for plan in plans for machine in plan.keep]
    return max(others, key=lambda m: (m.get("created") or "", m["id"]), default=None)


def plan_group(
    group: Group,
    machines: Sequence[Machine],
    scale_in: str = "newest",
    protect: Iterable[str] = (),
    count_stopped: bool = True,
) -> GroupPlan:
    """Decide which of the group's machines stay and go and which names are to be made."""
    everyone = machines = present(machines)
    if not count_stopped:
        machines = [m for m in machines if m.get("state") not in ("stopped", "stopping")]
    protected = set(protect)
    surplus = len(machines) - group.count
    remove: list[Machine] = []
    if surplus > 0:
        free = [m for m in machines if not protected & {m["id"], m["name"]}]
        if group.deletion_protection is not False:
            free = [m for m in free if not m.get("deletion_protection")]
        if len(free) < surplus:
            raise Refused(
                f"{group.name!r} cannot shrink to {group.count}: {len(machines) - len(free)} of "
                f"{len(machines)} machines are protected; raise exact_count or shorten protect"
            )
        remove = _leaving_order(group, free, scale_in)[:surplus]
    gone = {m["id"] for m in remove}
    keep = [m for m in machines if m["id"] not in gone]
    return GroupPlan(group, keep, remove, _free_names(group, everyone, -surplus))


def _leaving_order(group: Group, machines: Sequence[Machine], scale_in: str) -> list[Machine]:
    def index(machine: Machine) -> int:
        # a foreign name has no place in the row: it goes before those which have one
        found = group.index_of(machine["name"])
        return found if found is not None else 1 << 62

    if scale_in == "highest_index":
        return sorted(machines, key=index, reverse=True)
    # requests of one run overtake each other, so their time stamps are in no useful order
    batches: dict[str, str] = {}
    for machine in machines:
        batch = _batch(machine)
        batches[batch] = max(batches.get(batch, ""), machine.get("created") or "")

    def age(machine: Machine) -> str:
        return batches[_batch(machine)]

    by_index = sorted(machines, key=index, reverse=True)
    return sorted(by_index, key=age, reverse=scale_in == "newest")


def _batch(machine: Machine) -> str:
    request = (machine.get("tags") or {}).get(REQUEST_TAG)
    return wire(request).rpartition(".")[0] if request is not None else machine["id"]


def _free_names(group: Group, machines: Sequence[Machine], wanted: int) -> list[str]:
    taken = {group.index_of(m["name"]) for m in machines}
    names: list[str] = []
    index = 1
    while len(names) < wanted:
        if index not in taken:
            names.append(group.machine_name(index))
        index += 1
    return names
