"""What has to change on a machine that exists.

Nothing here talks to CloudAPI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.sdc.client import wire
from ansible.module_utils.sdc.machine.group import REQUEST_TAG, Group, Machine

FOREIGN = ("triton.", "tritoncli.", "docker:", "sdc_docker")
"""How tags begin which are Triton's own."""


@dataclass
class Update:
    """What has to change on one machine of a group; None and empty stand for nothing."""

    group: Group
    machine: Machine
    tags: dict[str, Any] = field(default_factory=dict)
    no_tags: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    networks: list[str] = field(default_factory=list)
    name: str | None = None
    package: str | None = None
    firewall_enabled: bool | None = None
    deletion_protection: bool | None = None

    def __bool__(self) -> bool:
        changes = (self.tags, self.no_tags, self.metadata, self.networks, self.name, self.package)
        switches = (self.firewall_enabled, self.deletion_protection)
        return any(changes) or any(switch is not None for switch in switches)

    @property
    def id(self) -> str:
        """The machine's id."""
        return str(self.machine["id"])

    @property
    def names(self) -> list[str]:
        """Names of all that changes, as a diff calls it."""
        found = [f"tags.{key}" for key in (*self.tags, *self.no_tags)]
        found += [f"metadata.{key}" for key in self.metadata]
        found += [name for name in ("name", "package", "networks") if getattr(self, name)]
        return found + list(self.switches)

    @property
    def switches(self) -> dict[str, bool]:
        """What is switched on or off."""
        wanted = {
            "firewall_enabled": self.firewall_enabled,
            "deletion_protection": self.deletion_protection,
        }
        return {name: value for name, value in wanted.items() if value is not None}


def plan_update(group: Group, machine: Machine, networks: Sequence[str] = ()) -> Update:
    """Compare what the task wrote, and nothing else, with the machine.

    networks: ids of those in which the machine shall be and is not.
    """
    tags = machine.get("tags") or {}
    metadata = machine.get("metadata") or {}
    update = Update(group, machine, networks=list(networks))
    for key, want in group.all_tags.items():
        if key not in tags or wire(tags[key]) != wire(want):
            update.tags[key] = want
    if group.purge_tags:
        keep = {REQUEST_TAG, *group.all_tags}
        update.no_tags = [k for k in tags if k not in keep and not k.startswith(FOREIGN)]
    for key, value in group.metadata.items():
        # CloudAPI does not show passwords and drops them in updates (sdc-cloudapi, lib/metadata.js)
        if key != "credentials" and metadata.get(key) != value:
            update.metadata[key] = value
    if group.package and group.package != machine.get("package"):
        update.package = group.package
    if group.rename and group.rename != machine.get("name"):
        update.name = group.rename
    for name in ("firewall_enabled", "deletion_protection"):
        want = getattr(group, name)
        if want is not None and want != bool(machine.get(name)):
            setattr(update, name, want)
    return update


def updated(update: Update) -> dict[str, Any]:
    """The machine as it is after the update."""
    machine = dict(update.machine)
    tags = {k: v for k, v in (machine.get("tags") or {}).items() if k not in update.no_tags}
    machine["tags"] = {**tags, **update.tags}
    machine["metadata"] = {**(machine.get("metadata") or {}), **update.metadata}
    machine["networks"] = [*(machine.get("networks") or []), *update.networks]
    machine |= {name: getattr(update, name) or machine.get(name) for name in ("name", "package")}
    machine.update(update.switches)
    return machine


def missing(left: Update, asked: Update, rebooted: bool) -> str:
    """What of a change is not there yet, in words; empty when all of it is.

    left: what the machine still lacks, networks aside; rebooted: whether it has those.
    """
    names = left.names if rebooted else [*left.names, "networks"]
    if names:
        return f"without the change of {', '.join(names)}"
    if asked.networks and left.machine.get("state") != asked.machine.get("state"):
        return f"{left.machine.get('state')}"
    return ""
