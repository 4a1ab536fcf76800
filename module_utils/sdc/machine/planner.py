"""Decides what a task is to do: reads the data center, and changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import errors, pools
from ansible.module_utils.sdc.machine.creation import chosen, completed, creation
from ansible.module_utils.sdc.machine.group import MACHINE_NAME, Group, Machine, members
from ansible.module_utils.sdc.machine.plan import GroupPlan, Plan, model, plan_group
from ansible.module_utils.sdc.machine.search import Search
from ansible.module_utils.sdc.machine.specification import Specification
from ansible.module_utils.sdc.machine.update import plan_update
from ansible.module_utils.sdc.offers import Offers


class Planner:
    """Compares a specification with the machines that there are."""

    def __init__(self, specification: Specification, search: Search, offers: Offers) -> None:
        self.specification = specification
        self.params = specification.params
        self.search = search
        self.offers = offers

    def plan(self) -> Plan:
        """What is to be done.

        :raises Refused: the specification cannot be met
        :raises LookupFailed: it names what the data center does not have
        """
        state = self.specification.state
        if state == "absent":
            return self._removal()
        if state == "stopped":
            return Plan(keep=self.search.existing(), goal="stopped")
        if state == "restarted":
            return Plan(keep=self.search.existing(), goal="restarted")
        return self._existence()

    def _removal(self) -> Plan:
        protect = set(self.params["protect"])
        plan = Plan()
        for machine in self.search.existing():
            spared = protect & {machine["id"], machine["name"]}
            (plan.spared if spared else plan.delete).append(machine)
        return plan

    def _existence(self) -> Plan:
        groups = self._groups()
        pairs = [(part.group, machine) for part in groups for machine in part.keep]
        updates = [plan_update(group, m, self._missing_networks(group, m)) for group, m in pairs]
        run = self.specification.counting or self.specification.state == "started"
        plan = Plan(
            keep=[machine for _, machine in pairs],
            goal="running" if run else None,
            update=[update for update in updates if update],
            delete=[machine for part in groups for machine in part.remove],
        )
        self._add_creations(plan, groups)
        return plan

    def _groups(self) -> list[GroupPlan]:
        if self.params["id"]:
            return [self._group_of_id()]
        groups = self.specification.groups
        if not self.specification.counting:
            return [plan_group(groups[0], self.search.by_name(groups[0]))]
        machines = self.search.counted()
        params = self.params
        return [
            plan_group(
                group,
                members(group, machines),
                params["scale_in"],
                params["protect"],
                params["count_stopped"],
            )
            for group in groups
        ]

    def _group_of_id(self) -> GroupPlan:
        machine = self.search.by_id()
        if machine is None:
            raise Refused(
                f"there is no machine {self.params['id']}; leave id out to create one by name"
            )
        rename = self.params["name"]
        if rename and not MACHINE_NAME.fullmatch(rename):
            raise Refused(f"{rename!r} is not a machine name")
        entry = {"name": machine["name"], "exact_count": 1, "rename": rename}
        return GroupPlan(self.specification.group(entry), [machine], [], [])

    def _missing_networks(self, group: Group, machine: Machine) -> list[str]:
        """Ids of the networks that a machine shall be given."""
        if not self.params["attach_networks"]:
            return []
        wanted = [self.offers.network(name)["id"] for name in group.networks or ()]
        try:
            return self.offers.pools.missing(pools.interfaces(machine), wanted)
        except errors.UsageError as error:
            raise Refused(f"machine {machine['name']}: {error}") from None

    def _add_creations(self, plan: Plan, groups: Sequence[GroupPlan]) -> None:
        run = uuid.uuid4().hex[:12]
        for part in groups:
            if not part.create:
                continue
            group = completed(part.group, model(part.group, groups), self.offers)
            plan.chosen |= chosen(part.group, group, self.offers)
            for name in part.create:
                request = f"{run}.{len(plan.create)}"
                plan.create.append(creation(group, name, request, self.offers))
