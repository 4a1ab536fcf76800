"""Machines that exist are stopped, restarted or deleted."""

from __future__ import annotations

from collections.abc import Sequence

from ansible.module_utils.sdc.base import Refused, shown
from ansible.module_utils.sdc.machine.fleet import Target
from ansible.module_utils.sdc.machine.outcome import Outcome
from ansible.module_utils.sdc.machine.plan import Machine, members
from ansible.module_utils.sdc.machine.report import brief


class Power(Outcome):
    """The part of sdc_machine for the states stopped, restarted and absent."""

    def change_state(self) -> None:
        state = self.params["state"]
        machines = self._existing()
        goal = {"absent": "gone", "stopped": "stopped", "restarted": "restarted"}[state]
        if state == "absent":
            self.check_max_delete(machines)
            self._check_protection(machines)
        for machine in machines:
            if goal == "gone":
                self.differences.add_thing(machine["name"], brief(machine), None)
            elif goal == "restarted":
                self.differences.add(machine["name"], "restarted", None, True)
            else:
                self.differences.add(machine["name"], "state", machine["state"], "stopped")
        if goal != "gone":
            self.result["kept"] = [machine["id"] for machine in machines]
        if self.check_mode:
            self.result["deleted"] = [m["id"] for m in machines] if goal == "gone" else []
            after = {"stopped": "stopped", "restarted": "running"}.get(goal)
            self.result["machines"] = [shown({**m, "state": after}) for m in machines if after]
            return
        targets = [Target(machine, goal) for machine in machines]
        targets = self.leaving(machines) if goal == "gone" else targets
        self.settle(targets)
        self.result["machines"] = [shown(t.machine) for t in targets if t.goal != "gone"]
        self.finish(targets)

    def _check_protection(self, machines: Sequence[Machine]) -> None:
        """Let a protected machine fail before others are deleted or halted."""
        bound = [machine for machine in machines if machine.get("deletion_protection")]
        if not bound or self.params["deletion_protection"] is False:
            return
        names = ", ".join(sorted(str(machine["name"]) for machine in bound))
        self.fail(
            f"deletion_protection is on for {names}: nothing was deleted; "
            "write deletion_protection: false to delete them all the same",
            code="CannotDestroyMachineError",
            status=409,
            machine_id=bound[0]["id"],
        )

    def _existing(self) -> list[Machine]:
        """The machines that state stopped, restarted or absent is about."""
        absent = self.params["state"] == "absent"
        machines = self._find()
        if not machines and not absent:
            name = self.params["name"]
            if name and "{" not in name and not self.selector:
                raise self.unknown_machine(name)
            raise Refused("no such machine; state present creates it")
        if absent:
            protect = set(self.params["protect"])
            spared = [m for m in machines if protect & {m["id"], m["name"]}]
            self.result["kept"] = [machine["id"] for machine in spared]
            return [machine for machine in machines if machine not in spared]
        return machines

    def _find(self) -> list[Machine]:
        if self.params["id"]:
            machine = self.machine_of_id()
            return [] if machine is None else [machine]
        if self.params["groups"]:
            listed = self.with_adopted(self._selected())
            return [machine for group in self.groups for machine in members(group, listed)]
        name = self.params["name"]
        if name and "{" in name:
            if not self.selector:
                raise Refused("a name with an index needs a selector that is not empty")
            group = self.groups[0]
            return [m for m in self._selected() if group.index_of(m["name"]) is not None]
        if name:
            found = self.the_one(
                name, self.api.list_machines(name=name, tags=self.selector or None)
            )
            return [found] if found else []
        if not self.selector:
            raise Refused("say which machines: give name, id, selector or groups")
        return self._selected()

    def _selected(self) -> list[Machine]:
        """Machines with the tags of the selector; those that failed too when they are to go."""
        machines = list(self.api.list_machines(tags=self.selector or None))
        if self.params["state"] == "absent" and self.selector:
            past = self.api.list_machines(tags=self.selector, tombstone=True)
            machines += [machine for machine in past if machine.get("state") == "failed"]
        return machines
