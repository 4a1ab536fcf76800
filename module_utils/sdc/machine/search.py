"""Which of the account's machines a task is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.module_utils.sdc.base import Refused, only, unknown_machine
from ansible.module_utils.sdc.client import DataCenter, errors, has_tags, lookup
from ansible.module_utils.sdc.machine.group import Group, Machine, members
from ansible.module_utils.sdc.machine.specification import Specification


class Search:
    """Finds the machines of a specification, by id, by name or by tags."""

    def __init__(self, api: DataCenter, specification: Specification) -> None:
        self.api = api
        self.specification = specification
        self.params = specification.params

    def by_id(self) -> Machine | None:
        """The machine of the option `id`; None when it is not there any more."""
        ident = self.params["id"]
        if not lookup.is_uuid(ident):
            raise Refused(f"{ident!r} is not the id of a machine; is it a name?")
        try:
            machine = self.api.get_machine(ident)
        except (errors.NotFound, errors.Gone):
            return None
        return None if machine.get("state") == "deleted" else machine

    def by_name(self, group: Group) -> list[Machine]:
        """The one machine of this name, if there is one.

        :raises Refused: there are several, or it lacks the selector's tags
        """
        machine = only(group.name, self.api.list_machines(name=group.name))
        if machine and not has_tags(machine, self.specification.selector):
            raise Refused(
                f"there is a machine {group.name!r} without the tags of selector; "
                "choose another name, or leave selector out and write them as tags"
            )
        return [machine] if machine else []

    def counted(self) -> list[Machine]:
        """The machines with the selector's tags, and those that are adopted."""
        return self._with_adopted(self.api.list_machines(tags=self.specification.selector))

    def existing(self) -> list[Machine]:
        """The machines that state stopped, restarted or absent is about.

        :raises Refused: there are none, and none is not what the state wants
        :raises LookupFailed: likewise, with the nearest names
        """
        machines = self._find()
        if not machines and self.specification.state != "absent":
            name = self.params["name"]
            if name and "{" not in name and not self.specification.selector:
                raise unknown_machine(self.api, name)
            raise Refused("no such machine; state present creates it")
        return machines

    def _find(self) -> list[Machine]:
        selector = self.specification.selector
        if self.params["id"]:
            machine = self.by_id()
            return [] if machine is None else [machine]
        if self.params["groups"]:
            listed = self._with_adopted(self._selected())
            groups = self.specification.groups
            return [machine for group in groups for machine in members(group, listed)]
        name = self.params["name"]
        if name and "{" in name:
            if not selector:
                raise Refused("a name with an index needs a selector that is not empty")
            group = self.specification.groups[0]
            return [m for m in self._selected() if group.index_of(m["name"]) is not None]
        if name:
            found = only(name, self.api.list_machines(name=name, tags=selector or None))
            return [found] if found else []
        if not selector:
            raise Refused("say which machines: give name, id, selector or groups")
        return self._selected()

    def _selected(self) -> list[Machine]:
        """Machines with the tags of the selector; those that failed too when they are to go."""
        selector = self.specification.selector
        machines: list[Machine] = [*self.api.list_machines(tags=selector or None)]
        if self.specification.state == "absent" and selector:
            past = self.api.list_machines(tags=selector, tombstone=True)
            machines += [machine for machine in past if machine.get("state") == "failed"]
        return machines

    def _with_adopted(self, machines: Sequence[Machine]) -> list[Machine]:
        """These machines, and those that the task takes in although they lack its selector."""
        if not self.specification.adopt:
            return list(machines)
        known = {machine["id"] for machine in machines}
        found = [
            machine
            for machine in self.api.list_machines(tags=self.specification.adopt)
            if machine["id"] not in known and not self._tagged(machine)
        ]
        groups = self.specification.groups
        return [*machines, *(m for m in found if any(group.would_be_of(m) for group in groups))]

    def _tagged(self, machine: dict[str, Any]) -> bool:
        """Whether it has any tag of the selector, with whatever value."""
        return bool(self.specification.selector.keys() & (machine["tags"] or {}).keys())
