"""Which host of an inventory a machine is.

Machines are called by whoever makes them, and so are the groups that are made of their tags.  None
of these names may make two machines one host, put a machine's host in the place of a group or of
the local host, or depend on which machine, file or data center comes first.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts of these names are the local host to Ansible, whatever their address."""
RESERVED = LOCAL | {"all", "ungrouped"}
"""What may be the name of neither a machine's host nor of a group made of tags."""


@dataclass(frozen=True)
class Names:
    """The names of hosts, and what became of those that could not have their machine's."""

    hosts: Mapping[str, str]
    """Machine id -> host."""
    twins: Mapping[str, list[str]]
    """Group -> ids of machines that share a name, by which the group is called."""
    conflicts: Mapping[str, list[str]]
    """Why hosts are not called like their machines -> their names."""

    def groups(self, ident: str) -> list[str]:
        """The groups of a machine that shares its name."""
        return [group for group, members in self.twins.items() if ident in members]


def safe(text: str) -> str:
    """A group's name that Ansible takes without complaint."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return f"_{name}" if name[:1].isdigit() else name


def assign(
    machines: Iterable[Record], groups: Collection[str] = (), strangers: Collection[str] = ()
) -> Names:
    """Name hosts after their machines, each with a name of its own.

    A machine's name is its host's, unless another machine, a group or another host has it, or
    Ansible means something else by it; then the host is ``NAME-SHORTID``.  The result does not
    depend on the order of machines.

    :param machines: with ids that differ
    :param groups: names of groups
    :param strangers: names of hosts that are no machines of these
    """
    ordered = sorted(machines, key=lambda machine: (machine["name"], machine["id"]))
    count = Counter(str(machine["name"]) for machine in ordered)
    twins = _twin_groups(count, {*RESERVED, *groups, *strangers})
    taken = {*RESERVED, *groups, *strangers, *twins.values()}
    hosts: dict[str, str] = {}
    members: dict[str, list[str]] = defaultdict(list)
    conflicts: dict[str, list[str]] = defaultdict(list)
    for machine in ordered:
        name, ident = machine["name"], machine["id"]
        found = _free(name, ident, taken, count)
        taken.add(found)
        hosts[ident] = found
        if name in twins:
            members[twins[name]].append(ident)
        if found != name:
            conflicts[_reason(name, count, groups, strangers)].append(found)
    return Names(hosts, dict(members), dict(conflicts))


def _twin_groups(count: Mapping[str, int], taken: Collection[str]) -> dict[str, str]:
    """Name that machines share -> their group; none where it would be something else, too."""
    shared = {name: safe(name) for name, machines in count.items() if machines > 1}
    uses = Counter(shared.values())
    return {
        name: group
        for name, group in shared.items()
        if group not in taken and (group == name or (uses[group] == 1 and group not in count))
    }


def _free(name: str, ident: str, taken: Collection[str], count: Mapping[str, int]) -> str:
    if count[name] == 1 and name not in taken:
        return name
    longer = (f"{name}-{ident}{'-' * n}" for n in itertools.count())
    choices: Iterator[str] = itertools.chain([f"{name}-{ident[:8]}"], longer)
    return next(choice for choice in choices if choice not in taken and choice not in count)


def _reason(
    name: str, count: Mapping[str, int], groups: Collection[str], strangers: Collection[str]
) -> str:
    if count[name] > 1:
        return f"{count[name]} machines are called {name!r}"
    if name in groups:
        return f"a group is called {name!r}, too"
    if name in strangers:
        return f"another host of the inventory is called {name!r}"
    return f"{name!r} means something else to Ansible"
