"""Changes of machines that exist: made, and awaited until the data center shows them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ansible.module_utils.sdc.base import errors
from ansible.module_utils.sdc.machine.change import Update, missing, plan_update, updated
from ansible.module_utils.sdc.machine.outcome import Outcome
from ansible.module_utils.sdc.machine.plan import Group, Machine

SHOWN_AFTER = 120.0
"""Seconds after which a change that was accepted is reported as not there."""


class Updating(Outcome):
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
                self.failed(machine, "update", exc)
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
                late[machine["id"]] = missing(plan_update(group, machine, update.networks), update)
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
        self.failed(machine, "update", why + self.fleet.failed_job(machine["id"]))
