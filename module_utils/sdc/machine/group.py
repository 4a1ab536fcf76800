"""Machines that are to be alike, and which machines are theirs."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.sdc.base import SECRET_KEY, Refused
from ansible.module_utils.sdc.client import has_tags, wire

Machine = dict[str, Any]
"""A machine as CloudAPI describes it."""

REQUEST_TAG = "ansible.request"
"""Tag of each created machine: `<run>.<number>`, by which a lost answer is found again."""

MACHINE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,188}")


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
    """Look at the group's own values.

    :raises Refused: they make no sense
    """
    if group.count < 0:
        raise Refused(f"exact_count must be 0 or more machines, not {group.count} ({group.name})")
    try:
        parsed = string.Formatter().parse(group.name)
        fields = [item for _, item, _, _ in parsed if item is not None]
        if fields not in ([], ["index"]):
            raise ValueError(f"unknown field {fields[0]!r}")
        sample = group.machine_name(1)
    except (ValueError, KeyError, IndexError) as exc:
        raise Refused(
            f"name {group.name!r} is not a valid pattern ({exc}); "
            "write one index, such as engine-{index:03d}"
        ) from exc
    if not MACHINE_NAME.fullmatch(sample):
        raise Refused(
            f"{sample!r} is not a machine name: use letters, digits, '-', '_' and '.', "
            "beginning with a letter or digit, at most 189 characters"
        )
    if group.count > 1 and not group.indexed:
        raise Refused(
            f"{group.count} machines cannot all be called {group.name!r}; "
            f"give a pattern, such as {group.name}-{{index:03d}}"
        )


def check_disjoint(groups: Sequence[Group]) -> None:
    """See that no machine can belong to two groups.

    :raises Refused: one could
    """
    for number, one in enumerate(groups):
        for other in groups[number + 1 :]:
            if not any(
                key in other.own and wire(other.own[key]) != wire(value)
                for key, value in one.own.items()
            ):
                raise Refused(
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
