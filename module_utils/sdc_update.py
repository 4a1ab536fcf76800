"""What has to change on machines that exist, and the changing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.sdc_base import errors
from ansible.module_utils.sdc_plan import REQUEST_TAG, Group, Machine, text

FOREIGN = ("triton.", "tritoncli.", "docker:", "sdc_docker")
"""How tags begin which are Triton's own."""

SHOWN_AFTER = 120.0
"""Seconds after which a change that was accepted is reported as not there."""


@dataclass
class Update:
    """What has to change on one existing machine; None and empty stand for nothing."""

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

    networks: ids of networks in which the machine shall be.
    """
    tags = machine.get("tags") or {}
    metadata = machine.get("metadata") or {}
    update = Update(machine)
    for key, want in group.all_tags.items():
        if key not in tags or text(tags[key]) != text(want):
            update.tags[key] = want
    if group.purge_tags:
        keep = {REQUEST_TAG, *group.all_tags}
        update.no_tags = [k for k in tags if k not in keep and not k.startswith(FOREIGN)]
    for key, value in group.metadata.items():
        # CloudAPI does not show passwords and drops them in updates
        if not key.endswith("_pw") and metadata.get(key) != value:
            update.metadata[key] = value
    if group.package and group.package != machine.get("package"):
        update.package = group.package
    if group.rename and group.rename != machine.get("name"):
        update.name = group.rename
    for name in ("firewall_enabled", "deletion_protection"):
        want = getattr(group, name)
        if want is not None and want != bool(machine.get(name)):
            setattr(update, name, want)
    update.networks = [n for n in networks if n not in (machine.get("networks") or ())]
    return update


class Updating:
    """The part of sdc_machine that changes existing machines."""

    def update_all(
        self, updates: Sequence[tuple[Group, Update]], machines: Sequence[Machine]
    ) -> list[Machine]:
        """Change existing machines; return them as they are then."""
        changed: dict[str, Machine] = {}
        for item, _, exc in self.fleet.each(self._apply, updates):
            update = item[1]
            machine = update.machine
            if exc is None:
                changed[machine["id"]] = updated(update)
                self.result["updated"].append(machine["id"])
            else:
                self._failed(machine, "update", exc)
        if self.params["wait"] != "false":
            done = [(group, update) for group, update in updates if update.machine["id"] in changed]
            changed |= self._confirmed(done)
        return [changed.get(machine["id"], machine) for machine in machines]

    def _apply(self, item: tuple[Group, Update]) -> None:
        _, update = item
        ident = update.machine["id"]
        if update.name:
            self.api.act(ident, "rename", name=update.name)
        if update.tags:
            self.api.set_tags(ident, update.tags)
        for tag in update.no_tags:
            self._without_tag(ident, tag)
        if update.metadata:
            self.api.set_metadata(ident, update.metadata)
        if update.package:
            self.api.act(ident, "resize", package=self.offers.package(update.package)["id"])
        for name, wanted in update.switches.items():
            verb = "enable" if wanted else "disable"
            self.api.act(ident, f"{verb}_{name.removesuffix('_enabled')}")
        for network in update.networks:
            self.api.add_nic(ident, network)

    def _without_tag(self, ident: str, tag: str) -> None:
        try:
            self.api.delete_tag(ident, tag)
        except errors.NotFound:
            # somebody else was faster
            return

    def _confirmed(self, updates: Sequence[tuple[Group, Update]]) -> dict[str, Machine]:
        """Wait until the data center shows the changes, which it makes in its own time."""
        limit = min(self.params["wait_timeout"], SHOWN_AFTER)
        deadline = time.monotonic() + limit
        seen: dict[str, Machine] = {}
        pending = list(updates)
        pause = 0.1
        while pending:
            listed = self.fleet.listed([update.machine["id"] for _, update in pending])
            late: dict[str, str] = {}
            for group, update in pending:
                machine = listed.get(update.machine["id"], update.machine)
                late[machine["id"]] = _missing(plan_update(group, machine, update.networks), update)
                if not late[machine["id"]]:
                    seen[machine["id"]] = machine
            pending = [pair for pair in pending if late[pair[1].machine["id"]]]
            if pending and time.monotonic() >= deadline:
                for _, update in pending:
                    why = f"still {late[update.machine['id']]} after {limit:g} s"
                    self._unseen(listed.get(update.machine["id"], update.machine), why)
                break
            if pending:
                time.sleep(pause)
                pause = min(pause * 1.5, 3.0)
        return seen

    def _unseen(self, machine: Machine, why: str) -> None:
        reason = self.fleet.reason(machine["id"])
        failure = {name: machine.get(name) for name in ("name", "id", "state")}
        message = f"{why}: {reason}" if reason else why
        self.result["failures"].append({**failure, "action": "update", "message": message})


def _missing(left: Update, asked: Update) -> str:
    """What of a change is not there yet, in words; empty when all of it is."""
    if left:
        return f"without the change of {', '.join(left.names)}"
    if asked.networks and left.machine.get("state") != asked.machine.get("state"):
        return f"{left.machine.get('state')}"
    return ""


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
