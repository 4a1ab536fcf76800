"""How sdc_machine carries decisions out: waiting, what came of it, and how it fails."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from ansible.module_utils.sdc.base import Refused, details, errors, lookup, reach
from ansible.module_utils.sdc.machine.fleet import Fleet, Target
from ansible.module_utils.sdc.machine.plan import Machine
from ansible.module_utils.sdc.machine.report import summary
from ansible.module_utils.sdc.machine.specification import Wish
from ansible.module_utils.sdc.machine.ssh import SshProbe


class Outcome(Wish):
    """The part of sdc_machine that leads machines to their goals and fills the result."""

    @cached_property
    def fleet(self) -> Fleet:
        """Carries out the decisions."""
        # what is adopted lacks the selector's tags
        selector = {} if self.params["adopt"] else self.selector
        return Fleet(self.api, self.params["parallel"], selector)

    def with_adopted(self, machines: Sequence[Machine]) -> list[Machine]:
        """These machines, and those that the task takes in although they lack its selector."""
        if not self.params["adopt"]:
            return list(machines)
        known = {machine["id"] for machine in machines}
        found = [
            machine
            for machine in self.api.list_machines(tags=self.params["adopt"])
            if machine["id"] not in known and not self.selector.keys() & (machine["tags"] or {})
        ]
        return [
            *machines,
            *(m for m in found if any(group.would_be_of(m) for group in self.groups)),
        ]

    def machine_of_id(self) -> Machine | None:
        if not lookup.is_uuid(self.params["id"]):
            raise Refused(f"{self.params['id']!r} is not the id of a machine; is it a name?")
        self.subject["machine_id"] = self.params["id"]
        try:
            machine = self.api.get_machine(self.params["id"])
        except (errors.NotFound, errors.Gone):
            return None
        return None if machine.get("state") == "deleted" else machine

    def check_max_delete(self, machines: Sequence[Machine]) -> None:
        limit = self.params["max_delete"]
        if limit is not None and len(machines) > limit:
            names = ", ".join(sorted(str(machine["name"]) for machine in machines))
            raise Refused(
                f"{len(machines)} machines would be deleted, but max_delete is {limit}: {names}"
            )

    def leaving(self, machines: Iterable[Machine]) -> list[Target]:
        unprotect = self.params["deletion_protection"] is False
        return [Target(m, "gone", self.params["stop_first"], unprotect) for m in machines]

    def settle(self, targets: list[Target]) -> None:
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
        probe = self._probe(targets, timeout) if wait == "ssh" else None
        self.fleet.settle(targets, timeout, probe)

    def _probe(self, targets: Sequence[Target], timeout: float) -> SshProbe:
        """How to find out whether machines let us in: by the way that the inventory has."""
        params = self.params
        key = reach.Key.of(self.api.auth.signer) if self.api.auth else None
        through = params["ssh_jump_host"] or any(
            (target.machine.get("tags") or {}).get("tritoncli.ssh.proxy") for target in targets
        )
        named = reach.network_names(params["ssh_address"])
        ways = reach.Ways(
            self.api.list_machines() if through else [],
            {n["id"]: n["name"] for n in self.offers.networks} if named else {},
            key,
            Path(params["ssh_known_hosts"] or "~/.ssh/known_hosts").expanduser(),
            address=params["ssh_address"],
            jump_host=params["ssh_jump_host"] or None,
            ssh_config=params["ssh_config"] or self.settings.ssh_config,
        )
        return SshProbe(
            ways.to,
            params["ssh_user"],
            params["ssh_args"],
            key.name if key else "that ssh has",
            time.monotonic() + timeout,
            params["ssh_refused_timeout"],
        )

    def finish(self, targets: Sequence[Target]) -> None:
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

    def failed(self, machine: Machine, action: str, why: errors.SmartDCError | str) -> None:
        more = details(why) if isinstance(why, errors.SmartDCError) else {}
        which = {name: machine.get(name) for name in ("name", "id", "state")}
        failure = {**which, "action": action, "message": str(why), **more}
        self.result["failures"].append(failure)
