"""The module sdc_machine: from the task's wish to machines."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ansible.module_utils.sdc_base import Refused, details, errors, lookup, shown
from ansible.module_utils.sdc_fleet import Fleet, Target
from ansible.module_utils.sdc_plan import (
    MACHINE_NAME,
    REQUEST_TAG,
    Group,
    GroupPlan,
    Machine,
    PlanError,
    has_tags,
    members,
    plan_group,
)
from ansible.module_utils.sdc_report import brief, describe, predicted, summary
from ansible.module_utils.sdc_ssh import SshProbe
from ansible.module_utils.sdc_update import Update, Updating, plan_update, updated
from ansible.module_utils.sdc_wish import Wish

RESULTS = ("created", "deleted", "kept", "started", "updated", "failed_ids")
RESULTS += ("machines", "failures")

Creation = tuple[Group, dict[str, Any]]
Updates = Sequence[tuple[Group, Update]]


class Machines(Updating, Wish):
    """One run of sdc_machine."""

    def work(self) -> None:
        """Find out what differs and change it."""
        for name in RESULTS:
            self.result[name] = []
        self.check_options()
        if self.params["wait"] == "ssh" and not SshProbe.available():
            raise Refused("wait: ssh needs the ssh command; install openssh-client")
        try:
            if self.params["state"] in ("present", "started"):
                self._ensure()
            else:
                self._change_state()
        except PlanError as exc:
            raise Refused(str(exc)) from exc

    @cached_property
    def fleet(self) -> Fleet:
        """Carries out the decisions."""
        return Fleet(self.api, self.params["parallel"], self.selector)

    # --- present ---------------------------------------------------------------------------

    def _ensure(self) -> None:
        plans = self._plans()
        keep = [(plan.group, machine) for plan in plans for machine in plan.keep]
        surplus = [machine for plan in plans for machine in plan.remove]
        self._check_max_delete(surplus)
        updates = [(group, plan_update(group, m, self._networks(group))) for group, m in keep]
        updates = [(group, update) for group, update in updates if update]
        self._check_packages(updates)
        creations = self._creations(plans)
        start = self.counting or self.params["state"] == "started"
        sleeping = [m for _, m in keep if start and m.get("state") == "stopped"]
        describe(self.differences, creations, surplus, updates, sleeping)
        self.result["kept"] = [machine["id"] for _, machine in keep]
        if self.check_mode:
            self._predict(keep, creations, surplus, updates, sleeping)
            return
        kept = self.update_all(updates, [machine for _, machine in keep])
        made = self._create(creations)
        waiting = start or self.params["wait"] != "false"
        targets = [Target(machine, "running") for machine in made]
        targets += [
            Target(machine, "running")
            for machine in kept
            if start or (waiting and machine.get("state") != "stopped")
        ]
        targets += self._leaving(surplus)
        self._settle(targets)
        last = {target.id: target.machine for target in targets}
        self.result["machines"] = [shown(last.get(m["id"], m)) for m in [*kept, *made]]
        self._finish(targets)

    def _predict(
        self,
        keep: Sequence[tuple[Group, Machine]],
        creations: Sequence[Creation],
        surplus: Sequence[Machine],
        updates: Updates,
        sleeping: Sequence[Machine],
    ) -> None:
        after = {update.machine["id"]: updated(update) for _, update in updates}
        for _, update in updates:
            if update.package:
                size = self.offers.package(update.package)
                after[update.machine["id"]] |= {k: size[k] for k in ("memory", "disk") if k in size}
        for machine in sleeping:
            after[machine["id"]] = {**after.get(machine["id"], machine), "state": "running"}
        machines = [shown(after.get(machine["id"], machine)) for _, machine in keep]
        self.result["machines"] = machines + [predicted(*creation) for creation in creations]
        self.result["created"] = [payload["name"] for _, payload in creations]
        self.result["deleted"] = [machine["id"] for machine in surplus]
        self.result["updated"] = [update.machine["id"] for _, update in updates]
        self.result["started"] = [machine["id"] for machine in sleeping]

    def _networks(self, group: Group) -> list[str]:
        """Ids of the networks that existing machines shall be given."""
        if not self.params["attach_networks"]:
            return []
        return [self.offers.network(name)["id"] for name in group.networks or ()]

    def _leaving(self, machines: Iterable[Machine]) -> list[Target]:
        unprotect = self.params["deletion_protection"] is False
        return [Target(m, "gone", self.params["stop_first"], unprotect) for m in machines]

    def _check_packages(self, updates: Updates) -> None:
        """Let an unknown package fail before anything is changed."""
        for _, update in updates:
            if update.package:
                self.offers.package(update.package)

    def _plans(self) -> list[GroupPlan]:
        if self.params["id"]:
            return [self._plan_of_id()]
        groups = self.groups
        if self.counting:
            machines = self.api.list_machines(tags=self.selector)
            options = self.params["scale_in"], self.params["protect"]
            options += (self.params["count_stopped"],)
            return [plan_group(group, members(group, machines), *options) for group in groups]
        group = groups[0]
        machines = self.api.list_machines(name=group.name)
        self._check_single(group, machines)
        return [plan_group(group, machines)]

    def _check_single(self, group: Group, machines: Sequence[dict[str, Any]]) -> None:
        machine = self.the_one(group.name, machines)
        if machine and not has_tags(machine, self.selector):
            raise Refused(
                f"there is a machine {group.name!r} without the tags of selector; "
                "choose another name, or leave selector out and write them as tags"
            )

    def _plan_of_id(self) -> GroupPlan:
        machine = self._machine_of_id()
        if machine is None:
            raise Refused(
                f"there is no machine {self.params['id']}; leave id out to create one by name"
            )
        rename = self.params["name"]
        if rename and not MACHINE_NAME.fullmatch(rename):
            raise Refused(f"{rename!r} is not a machine name")
        group = self.group({"name": machine["name"], "exact_count": 1, "rename": rename})
        return GroupPlan(group, [machine], [], [])

    def _machine_of_id(self) -> Machine | None:
        if not lookup.is_uuid(self.params["id"]):
            raise Refused(f"{self.params['id']!r} is not the id of a machine; is it a name?")
        self.subject["machine_id"] = self.params["id"]
        try:
            machine = self.api.get_machine(self.params["id"])
        except (errors.NotFound, errors.Gone):
            return None
        return None if machine.get("state") == "deleted" else machine

    def _check_max_delete(self, machines: Sequence[Machine]) -> None:
        limit = self.params["max_delete"]
        if limit is not None and len(machines) > limit:
            names = ", ".join(sorted(str(machine["name"]) for machine in machines))
            raise Refused(
                f"{len(machines)} machines would be deleted, but max_delete is {limit}: {names}"
            )

    def _creations(self, plans: Iterable[GroupPlan]) -> list[Creation]:
        """CreateMachine parameters of every machine to be made."""
        run = uuid.uuid4().hex[:12]
        creations: list[Creation] = []
        for plan in plans:
            for name in plan.create:
                tags = {**plan.group.all_tags, REQUEST_TAG: f"{run}.{len(creations)}"}
                creations.append((plan.group, {**self._payload(plan.group, name), "tags": tags}))
        return creations

    def _payload(self, group: Group, name: str) -> dict[str, Any]:
        if not group.package or not group.image:
            raise Refused(f"{name!r} has to be created, which needs package and image")
        payload: dict[str, Any] = {
            "name": name,
            "package": self.offers.package(group.package)["id"],
            "image": self.offers.image(group.image)["id"],
            "metadata": dict(group.metadata),
        }
        if group.networks is not None:
            payload["networks"] = [self.offers.attachment(name) for name in group.networks]
        if group.volumes:
            payload["volumes"] = [{**volume, "type": "tritonnfs"} for volume in group.volumes]
        for option in ("firewall_enabled", "deletion_protection", "affinity"):
            value = getattr(group, option)
            if value is not None:
                payload[option] = list(value) if option == "affinity" else value
        return payload

    def _create(self, creations: Sequence[Creation]) -> list[Machine]:
        made: list[Machine] = []
        payloads = [payload for _, payload in creations if not payload.get("affinity")]
        placed = [payload for _, payload in creations if payload.get("affinity")]
        answers = self.fleet.each(self.fleet.create, payloads)
        for payload in placed:
            # where one machine goes depends on where the one before has gone
            answers += self.fleet.each(self._place, [payload])
        for payload, machine, exc in answers:
            if exc is None:
                made.append(machine)
                self.result["created"].append(machine["id"])
            else:
                self._failed({"name": payload["name"], "id": None}, "create", exc)
        return made

    def _place(self, payload: Mapping[str, Any]) -> Machine:
        return self.fleet.create_settled(payload, self.params["wait_timeout"])

    # --- stopped, restarted, absent --------------------------------------------------------

    def _change_state(self) -> None:
        state = self.params["state"]
        machines = self._existing()
        goal = {"absent": "gone", "stopped": "stopped", "restarted": "restarted"}[state]
        if state == "absent":
            self._check_max_delete(machines)
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
        targets = self._leaving(machines) if goal == "gone" else targets
        self._settle(targets)
        self.result["machines"] = [shown(t.machine) for t in targets if t.goal != "gone"]
        self._finish(targets)

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
            machine = self._machine_of_id()
            return [] if machine is None else [machine]
        if self.params["groups"]:
            listed = self._selected()
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

    # --- waiting and results ---------------------------------------------------------------

    def _settle(self, targets: list[Target]) -> None:
        wait, timeout = self.params["wait"], self.params["wait_timeout"]
        if wait == "false":
            for target in targets:
                target.stop_first = False
            self.fleet.act(targets)
            for target in targets:
                if target.goal == "gone" and not target.done and "delete" not in target.asked:
                    target.fail("delete", f"cannot be deleted while {target.state}; wait for it")
                target.done = True
            return
        probe = None
        if wait == "ssh":
            config = self.params["ssh_config"] or self.settings.ssh_config
            deadline = time.monotonic() + timeout
            probe = SshProbe(config, self.params["ssh_user"], self.params["ssh_args"], deadline)
        self.fleet.settle(targets, timeout, probe)

    def _finish(self, targets: Sequence[Target]) -> None:
        """Fill the result, and fail when something went wrong."""
        for target in targets:
            if target.goal == "gone" and target.failure is None and target.done:
                self.result["deleted"].append(target.id)
            if "start" in target.asked and target.id not in self.result["created"]:
                self.result["started"].append(target.id)
            if target.failure:
                self.result["failures"].append(target.failure)
        failures = self.result["failures"]
        self.result["failed_ids"] = [f["id"] for f in failures if f["id"]]
        if failures:
            first = {k: v for k, v in failures[0].items() if k in ("code", "status", "request_id")}
            self.fail(summary(failures), **first, machine_id=failures[0]["id"])

    def _failed(self, machine: Mapping[str, Any], action: str, exc: errors.SmartDCError) -> None:
        self.result["failures"].append(
            {
                "name": machine["name"],
                "id": machine["id"],
                "state": machine.get("state"),
                "action": action,
                "message": str(exc),
                **details(exc),
            }
        )
