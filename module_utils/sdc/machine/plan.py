"""What has to happen so that the machines of an account become the wanted ones.

Nothing here talks to CloudAPI: the functions take machines as CloudAPI describes
them and return decisions.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.sdc.base import SECRET_KEY, has_tags, wire

Machine = Mapping[str, Any]

REQUEST_TAG = "ansible.request"
"""Tag of each created machine: `<run>.<number>`, by which a lost answer is found again."""

PAST = ("failed", "deleted")
"""States of machines that are not there any more, or never were."""

MACHINE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,188}")


class PlanError(Exception):
    """The wish cannot be carried out; the message says what to change."""


@dataclass(frozen=True)
class Group:
    """Machines that are to be alike: how many, how they are recognised, what they have.

    `selector` holds the tags of the whole task and of the group, `own` only the group's.
    `initial` has the values of a task without machines.
    """

    name: str
    count: int
    selector: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    package: str | None = None
    image: str | None = None
    networks: Sequence[str] | None = None
    volumes: Sequence[Mapping[str, str]] | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    secret_keys: frozenset[str] = frozenset()
    firewall_enabled: bool | None = None
    deletion_protection: bool | None = None
    affinity: Sequence[str] | None = None
    purge_tags: bool = False
    rename: str | None = None
    initial: Mapping[str, Any] = field(default_factory=dict)

    @property
    def indexed(self) -> bool:
        """Whether the name is a pattern with an index."""
        return "{" in self.name

    @property
    def all_tags(self) -> dict[str, Any]:
        """Tags that every machine of the group has."""
        return {**self.tags, **self.selector}

    def is_secret(self, key: str) -> bool:
        """Whether a metadata value must not be shown."""
        return key in self.secret_keys or bool(SECRET_KEY.search(key))

    def machine_name(self, index: int) -> str:
        """Name of the machine with this index."""
        return self.name.format(index=index) if self.indexed else self.name

    def would_be_of(self, machine: Machine) -> bool:
        """Whether a machine has the group's own tags and one of its names."""
        name = str(machine.get("name"))
        return has_tags(machine, self.own) and self.index_of(name) is not None

    def index_of(self, name: str) -> int | None:
        """The index in a machine's name; None when the name is not of this group."""
        if not self.indexed:
            return 1 if name == self.name else None
        match = re.fullmatch(_pattern(self.name), name)
        if match is None:
            return None
        index = int(match["index"])
        return index if self.machine_name(index) == name else None


def _pattern(name: str) -> str:
    parts = []
    for literal, item, _, _ in string.Formatter().parse(name):
        parts.append(re.escape(literal))
        if item is not None:
            parts.append(r"(?P<index>\d+)")
    return "".join(parts)


def check_group(group: Group) -> None:
    """Raise PlanError when the group's own values make no sense."""
    if group.count < 0:
        raise PlanError(f"exact_count must be 0 or more machines, not {group.count} ({group.name})")
    try:
        parsed = string.Formatter().parse(group.name)
        fields = [item for _, item, _, _ in parsed if item is not None]
        if fields not in ([], ["index"]):
            raise ValueError(f"unknown field {fields[0]!r}")
        sample = group.machine_name(1)
    except (ValueError, KeyError, IndexError) as exc:
        raise PlanError(
            f"name {group.name!r} is not a valid pattern ({exc}); "
            "write one index, such as engine-{index:03d}"
        ) from exc
    if not MACHINE_NAME.fullmatch(sample):
        raise PlanError(
            f"{sample!r} is not a machine name: use letters, digits, '-', '_' and '.', "
            "beginning with a letter or digit, at most 189 characters"
        )
    if group.count > 1 and not group.indexed:
        raise PlanError(
            f"{group.count} machines cannot all be called {group.name!r}; "
            f"give a pattern, such as {group.name}-{{index:03d}}"
        )


def check_disjoint(groups: Sequence[Group]) -> None:
    """Raise PlanError when a machine could belong to two groups."""
    for number, one in enumerate(groups):
        for other in groups[number + 1 :]:
            if not any(
                key in other.own and wire(other.own[key]) != wire(value)
                for key, value in one.own.items()
            ):
                raise PlanError(
                    f"groups {one.name!r} and {other.name!r} would claim the same machines; give "
                    "them a selector tag with different values, such as {role: controller} and "
                    "{role: engine}"
                )


def members(group: Group, machines: Iterable[Machine]) -> list[Machine]:
    """Machines of the group.

    A machine with the group's name that lost the group's own tags belongs to it as well, so
    that a removed tag is put back instead of a second machine being made.
    """
    found = []
    for machine in machines:
        tags = machine.get("tags") or {}
        lost = not any(key in tags for key in group.own)
        if has_tags(machine, group.own) or (
            lost and group.index_of(machine.get("name", "")) is not None
        ):
            found.append(machine)
    return found


def present(machines: Iterable[Machine]) -> list[Machine]:
    """The machines that are there or are being made."""
    return [machine for machine in machines if machine.get("state") not in PAST]


def model(group: Group, plans: Sequence[GroupPlan]) -> Machine | None:
    """The machine that new ones of a group are to be like: its newest, else another of the task."""
    own = [machine for plan in plans if plan.group is group for machine in plan.keep]
    others = own or [machine for plan in plans for machine in plan.keep]
    return max(others, key=lambda m: (m.get("created") or "", m["id"]), default=None)


def taken_names(names: Iterable[str], machines: Iterable[Machine]) -> dict[str, Machine]:
    """Machines that have one of these names, by name."""
    wanted = set(names)
    return {str(m["name"]): m for m in present(machines) if m.get("name") in wanted}


@dataclass
class GroupPlan:
    """The decision for one group."""

    group: Group
    keep: list[Machine]
    remove: list[Machine]
    create: list[str]


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
            raise PlanError(
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
