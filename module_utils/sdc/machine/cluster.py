"""The module sdc_machine: from the task's wish to machines.

    sdc_wish     what the options ask for, as groups of machines
    sdc_plan     which machines stay, go and are to be made
    sdc_outcome  carrying it out, waiting (sdc_fleet, sdc_ssh), the result
    sdc_change   what has to change on machines that exist; sdc_update does it
    sdc_power    stopped, restarted, absent
    sdc_login    whether the key that signs opens machines, too
    sdc_quota    whether the account may have so many more
    sdc_report   diff, prediction, summary of failures

This file puts them together, and has what only the state present needs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible.module_utils.sdc.base import Refused, has_tags, shown
from ansible.module_utils.sdc.machine.change import Update, plan_update, updated
from ansible.module_utils.sdc.machine.fleet import Target
from ansible.module_utils.sdc.machine.login import key_problem
from ansible.module_utils.sdc.machine.plan import (
    MACHINE_NAME,
    REQUEST_TAG,
    Group,
    GroupPlan,
    Machine,
    PlanError,
    members,
    model,
    plan_group,
    taken_names,
)
from ansible.module_utils.sdc.machine.power import Power
from ansible.module_utils.sdc.machine.quota import exceeded, limits_of
from ansible.module_utils.sdc.machine.report import describe, predicted
from ansible.module_utils.sdc.machine.ssh import SshProbe
from ansible.module_utils.sdc.machine.update import Updating

RESULTS = ("created", "deleted", "kept", "started", "updated", "resized", "failed_ids")
RESULTS += ("machines", "failures")

Creation = tuple[Group, dict[str, Any]]
Updates = Sequence[tuple[Group, Update]]


class Machines(Updating, Power):
    """One run of sdc_machine."""

    def work(self) -> None:
        """Find out what differs and change it."""
        for name in RESULTS:
            self.result[name] = []
        self.result["chosen"] = {}
        self.check_options()
        if self.params["wait"] == "ssh" and not SshProbe.available():
            raise Refused("wait: ssh needs the ssh command; install openssh-client")
        try:
            if self.params["state"] in ("present", "started"):
                self._ensure()
            else:
                self.change_state()
        except PlanError as exc:
            raise Refused(str(exc)) from exc

    def _ensure(self) -> None:
        plans = self._plans()
        keep = [(plan.group, machine) for plan in plans for machine in plan.keep]
        surplus = [machine for plan in plans for machine in plan.remove]
        self.check_max_delete(surplus)
        updates = [(group, plan_update(group, m, self._networks(group))) for group, m in keep]
        updates = [(group, update) for group, update in updates if update]
        self._check_packages(updates)
        creations = self._creations(plans)
        self._check_names(creations)
        self._check_quota(creations)
        self._check_key(creations)
        start = self.counting or self.params["state"] == "started"
        sleeping = [m for _, m in keep if start and m.get("state") == "stopped"]
        describe(self.differences, creations, surplus, updates, sleeping)
        self.result["kept"] = [machine["id"] for _, machine in keep]
        self.result["resized"] = [update.machine["id"] for _, update in updates if update.package]
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
        targets += self.leaving(surplus)
        self.settle(targets)
        last = {target.id: target.machine for target in targets}
        self.result["machines"] = [shown(last.get(m["id"], m)) for m in [*kept, *made]]
        self.finish(targets)

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
            machines = self.with_adopted(self.api.list_machines(tags=self.selector))
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
        machine = self.machine_of_id()
        if machine is None:
            raise Refused(
                f"there is no machine {self.params['id']}; leave id out to create one by name"
            )
        rename = self.params["name"]
        if rename and not MACHINE_NAME.fullmatch(rename):
            raise Refused(f"{rename!r} is not a machine name")
        group = self.group({"name": machine["name"], "exact_count": 1, "rename": rename})
        return GroupPlan(group, [machine], [], [])

    def _creations(self, plans: Iterable[GroupPlan]) -> list[Creation]:
        """CreateMachine parameters of every machine to be made."""
        run = uuid.uuid4().hex[:12]
        creations: list[Creation] = []
        for plan in plans:
            group = self._completed(plan.group, plans) if plan.create else plan.group
            for name in plan.create:
                tags = {**group.all_tags, REQUEST_TAG: f"{run}.{len(creations)}"}
                creations.append((group, {**self._payload(group, name), "tags": tags}))
        return creations

    def _completed(self, group: Group, plans: Sequence[GroupPlan]) -> Group:
        """The group with what its new machines shall be where the task does not say it.

        They are like those of the task that exist; without one, like `initial` says.
        """
        like = model(group, plans)
        if like is None:
            completed = replace(
                group,
                image=group.image or group.initial.get("image"),
                package=group.package or group.initial.get("package"),
                networks=group.initial.get("networks")
                if group.networks is None
                else group.networks,
            )
        else:
            completed = replace(
                group,
                image=group.image or like["image"],
                package=group.package or like["package"],
                networks=self._networks_of(like) if group.networks is None else group.networks,
            )
        if completed.image and not completed.package:
            smallest = self.offers.smallest_package(self.offers.image(completed.image))
            completed = replace(completed, package=smallest["name"])
        self._tell_choice(group, completed)
        return completed

    def _tell_choice(self, asked: Group, made: Group) -> None:
        """What the task left open: of an image without a version the newest is taken."""
        if asked.package != made.package:
            self.result["chosen"]["package"] = made.package
        if made.image:
            image = self.offers.image(made.image)
            name = f"{image['name']}@{image['version']}"
            if asked.image not in (name, image["id"]):
                self.result["chosen"]["image"] = f"{name} ({image['id']})"

    def _networks_of(self, machine: Machine) -> list[str] | None:
        """Networks for a machine like this one.

        A machine in a pool shows a member of it, which the account does not see and cannot ask for
        (sdc-cloudapi, middleware/networks.js); then the data center chooses, as it did before.
        """
        seen = {network["id"] for network in self.offers.networks}
        own = list(machine.get("networks") or [])
        return own if own and seen.issuperset(own) else None

    def _check_names(self, creations: Sequence[Creation]) -> None:
        """Let a name that another machine has fail before anything is made or paid for."""
        if not creations or not self.counting:
            return
        wanted = [payload["name"] for _, payload in creations]
        taken = taken_names(wanted, self.api.list_machines())
        if taken:
            holders = ", ".join(f"{name} ({taken[name]['id']})" for name in sorted(taken))
            raise Refused(
                f"{len(taken)} of {len(wanted)} new machines would have the name of one that is "
                f"there and lacks the selector's tags {dict(self.selector)}: {holders}. Nothing "
                "was made. Rename or delete it, or give it these tags if it belongs here"
            )

    def _payload(self, group: Group, name: str) -> dict[str, Any]:
        if not group.package or not group.image:
            raise Refused(f"{name!r} has to be created, which needs an image")
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

    def _check_key(self, creations: Sequence[Creation]) -> None:
        """Let a key that would open no machine fail before there is one."""
        wanted: bool | None = self.params["check_key"]
        if wanted is None:
            # a script of the machine's own may add the key
            bare = any("user-script" not in payload["metadata"] for _, payload in creations)
            wanted = self.params["wait"] == "ssh" and bare
        problem = key_problem(self.api, self.settings) if creations and wanted else ""
        if problem:
            raise Refused(problem)

    def _check_quota(self, creations: Sequence[Creation]) -> None:
        """Let what the account may not have fail before a part of it is made, and costs.

        A single machine is refused by the data center as well, and leaves nothing.
        """
        if len(creations) < 2:
            return
        wanted = [
            (self.offers.package(payload["package"]), self.offers.image(payload["image"]))
            for _, payload in creations
        ]
        problems = exceeded(limits_of(self.api), wanted)
        if problems:
            raise Refused(
                f"the account's limits do not allow {len(creations)} more machines: this needs "
                f"{'; '.join(problems)}. Nothing was created. Ask for fewer or smaller machines, "
                "delete others, or have the limits raised by the data center's operator"
            )

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
                self.failed({"name": payload["name"]}, "create", exc)
        return made

    def _place(self, payload: Mapping[str, Any]) -> Machine:
        return self.fleet.create_settled(payload, self.params["wait_timeout"])
