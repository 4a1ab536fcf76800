"""Carries out a plan: changes, creates, starts, stops and deletes machines, and waits for them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ansible.module_utils.sdc.base import Refused, shown
from ansible.module_utils.sdc.client import Client, config, errors, pools
from ansible.module_utils.sdc.jobs import NicJobs
from ansible.module_utils.sdc.machine.creation import Creation
from ansible.module_utils.sdc.machine.fleet import Fleet
from ansible.module_utils.sdc.machine.group import Machine
from ansible.module_utils.sdc.machine.plan import Plan
from ansible.module_utils.sdc.machine.result import Result
from ansible.module_utils.sdc.machine.specification import Specification
from ansible.module_utils.sdc.machine.ssh import ssh_probe
from ansible.module_utils.sdc.machine.target import Target
from ansible.module_utils.sdc.machine.update import Update, missing, plan_update, updated
from ansible.module_utils.sdc.offers import Offers


class Actions:
    """Does what a plan says; what comes of it is entered into a result."""

    def __init__(
        self,
        api: Client,
        settings: config.Settings,
        offers: Offers,
        specification: Specification,
        result: Result,
    ) -> None:
        self.api = api
        self.settings = settings
        self.offers = offers
        self.params = specification.params
        self.result = result
        # what is adopted lacks the selector's tags
        selector = {} if specification.adopt else specification.selector
        self.fleet = Fleet(api, self.params["parallel"], selector)
        self.nic_jobs: dict[str, NicJobs] = {}

    def apply(self, plan: Plan) -> None:
        """Carry out the plan. What goes wrong with one machine does not end it for the others."""
        kept = self._update(plan)
        made = self._create(plan.create)
        targets = self._targets(plan, kept, made)
        self._settle(targets)
        last = {target.id: target.machine for target in targets}
        self.result.machines = [shown(last.get(m["id"], m)) for m in (*kept, *made)]
        self.result.settled(targets)

    # --- changing --------------------------------------------------------------------------

    def _update(self, plan: Plan) -> list[Machine]:
        """Change existing machines; return those that are kept as they are then."""
        changed: dict[str, Machine] = {}
        for update, _, exc in self.fleet.each(self._change, plan.update):
            if exc is None:
                changed[update.id] = updated(update)
                self.result.updated.append(update.id)
            else:
                self.result.failed(update.machine, "update", exc)
        if self.params["wait"] != "false":
            changed |= self._confirmed([update for update in plan.update if update.id in changed])
        return [changed.get(machine["id"], machine) for machine in plan.keep]

    def _change(self, update: Update) -> None:
        if update.name:
            self._rename(update.id, update.name)
        if update.tags:
            self.api.set_tags(update.id, update.tags)
        for tag in update.no_tags:
            self._delete_tag(update.id, tag)
        if update.metadata:
            self.api.set_metadata(update.id, update.metadata)
        if update.package:
            package = self.offers.package(update.package)
            self.api.act(update.id, "resize", package=package["id"])
        for name, wanted in update.switches.items():
            verb = "enable" if wanted else "disable"
            self.api.act(update.id, f"{verb}_{name.removesuffix('_enabled')}")
        if update.networks and self.params["wait"] != "false":
            self.nic_jobs[update.id] = NicJobs(self.api, update.id, "add_nics")
        for network in update.networks:
            self.api.add_nic(update.id, network)

    def _rename(self, ident: str, name: str) -> None:
        try:
            self.api.act(ident, "rename", name=name)
        except errors.APIError:
            # to whom it is told twice its own name is taken (vmapi, lib/common/validation.js)
            if self.api.get_machine(ident)["name"] != name:
                raise

    def _delete_tag(self, ident: str, tag: str) -> None:
        try:
            self.api.delete_tag(ident, tag)
        except errors.NotFound:
            # somebody else was faster
            return

    def _confirmed(self, updates: Sequence[Update]) -> dict[str, Machine]:
        """Wait until the data center shows the changes, which it makes in its own time."""
        # jobs of a machine follow each other, of 300 s each at most (vmapi, workflows/update.js)
        limit = self.params["wait_timeout"]
        deadline = time.monotonic() + limit
        seen: dict[str, Machine] = {}
        pending = list(updates)
        pause = 0.1
        while pending:
            listed = self.fleet.listed([update.id for update in pending])
            late: dict[str, str] = {}
            for update in pending:
                machine = listed.get(update.id, update.machine)
                try:
                    lack = self._lacking(update, machine)
                except Refused as exc:
                    self.result.failed(machine, "update", str(exc))
                    continue
                if lack:
                    late[update.id] = lack
                else:
                    seen[update.id] = machine
            pending = [update for update in pending if update.id in late]
            if pending and time.monotonic() >= deadline:
                for update in pending:
                    why = f"still {late[update.id]} after {limit:g} s"
                    why += self.fleet.failed_job(update.id)
                    self.result.failed(listed.get(update.id, update.machine), "update", why)
                break
            if pending:
                time.sleep(pause)
                pause = min(pause * 1.5, 3.0)
        return seen

    def _lacking(self, update: Update, machine: Machine) -> str:
        """What of a change a machine lacks, in words; raises Refused when a job failed."""
        rebooted = True
        if update.networks:
            count = len(update.networks)
            before, now = (len(pools.interfaces(m)) for m in (update.machine, machine))
            rebooted = self.nic_jobs[update.id].ended(count) and now >= before + count
        return missing(plan_update(update.group, machine), update, rebooted)

    # --- creating --------------------------------------------------------------------------

    def _create(self, creations: Sequence[Creation]) -> list[Machine]:
        free = [creation for creation in creations if not creation.payload.get("affinity")]
        placed = [creation for creation in creations if creation.payload.get("affinity")]
        answers = self.fleet.each(lambda creation: self.fleet.create(creation.payload), free)
        for creation in placed:
            # where one machine goes depends on where the one before has gone
            answers += self.fleet.each(self._place, [creation])
        made: list[Machine] = []
        for creation, machine, exc in answers:
            if machine is not None:
                made.append(machine)
                self.result.created.append(machine["id"])
            elif exc is not None:
                self.result.failed({"name": creation.name}, "create", exc)
        return made

    def _place(self, creation: Creation) -> Machine:
        return self.fleet.create_settled(creation.payload, self.params["wait_timeout"])

    # --- leading to a state ----------------------------------------------------------------

    def _targets(
        self, plan: Plan, kept: Sequence[Machine], made: Sequence[Machine]
    ) -> list[Target]:
        waiting = self.params["wait"] != "false"
        unprotect = self.params["deletion_protection"] is False
        targets = [Target(machine, "running") for machine in made]
        targets += [
            Target(machine, plan.goal or "running")
            for machine in kept
            if plan.goal or (waiting and machine.get("state") != "stopped")
        ]
        targets += [Target(m, "gone", self.params["stop_first"], unprotect) for m in plan.delete]
        return targets

    def _settle(self, targets: Sequence[Target]) -> None:
        if self.params["wait"] == "false":
            self.fleet.ask(targets)
            return
        probe = None
        if self.params["wait"] == "ssh":
            machines = [target.machine for target in targets]
            probe = ssh_probe(self.api, self.settings, self.offers, self.params, machines)
        self.fleet.settle(targets, self.params["wait_timeout"], probe)
