#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: snapshots of machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sdc_snapshot
short_description: Snapshots of SmartDataCenter (Triton) machines
description:
  - Makes and removes snapshots of a machine and rolls machines back to them.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  machine:
    description:
      - The machine, by name or id.
    type: str
    required: true
  name:
    description:
      - Name of the snapshot, of 1 to 64 letters, digits, C(-), C(_), C(.), C(:) or C(%).
    type: str
    required: true
  state:
    description:
      - V(rolled_back) puts the machine's file systems back to what they were, which loses all that
        was written since, and boots it. It is never idempotent.
    type: str
    choices: [present, absent, rolled_back]
    default: present
extends_documentation_fragment: [sdc, sdc.changes, sdc.waits]
"""

EXAMPLES = r"""
- name: Before the update
  sdc_snapshot:
    machine: gateway
    name: before-update

- name: The update went wrong
  sdc_snapshot:
    machine: gateway
    name: before-update
    state: rolled_back
"""

RETURN = r"""
snapshot:
  description: The snapshot, in check mode as it would be; null when it is gone.
  returned: success
  type: dict
  sample: {name: before-update, state: created, created: "2026-01-01T12:00:00.000Z"}
data_center:
  description: Name and URL of the data center and where the settings came from.
  returned: always
  type: dict
  sample: {name: localdc, url: "http://127.0.0.1:8080", account: localdc, source: embedded}
code:
  description: CloudAPI error code, when a request failed.
  returned: failure
  type: str
  sample: InvalidCredentials
status:
  description: HTTP status, when a request failed.
  returned: failure
  type: int
  sample: 401
request_id:
  description: Id of the failed request in the data center's logs.
  returned: failure
  type: str
machine_id:
  description: Id of the machine that the failure is about.
  returned: failure
  type: str
"""

import re
from typing import Any

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import errors, lookup
from ansible.module_utils.sdc.once import once
from ansible.module_utils.sdc.options import WAITING
from ansible.module_utils.sdc.resource import Record, Resource

NAME = re.compile(r"[a-zA-Z0-9_.:%-]{1,64}")
OPTIONS: dict[str, Any] = {
    "machine": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "state": {
        "type": "str",
        "default": "present",
        "choices": ["present", "absent", "rolled_back"],
    },
    **WAITING,
}


class Snapshot(Resource):
    """One snapshot of one machine."""

    options = OPTIONS
    kind = "snapshot"

    def find(self) -> Record | None:
        try:
            self.host = self.machine(self.params["machine"])
        except (errors.Gone, errors.NotFound, errors.LookupFailed):
            if self.params["state"] == "absent":
                return None
            raise
        snapshots = self.api.list_snapshots(self.host["id"])
        found = next((s for s in snapshots if s["name"] == self.params["name"]), None)
        if found is None and self.params["state"] == "rolled_back":
            names = (str(snapshot["name"]) for snapshot in snapshots)
            near = lookup.near(self.params["name"], names)
            raise errors.LookupFailed("snapshot", self.params["name"], near)
        if found is None and self.params["state"] == "present":
            self._check_name()
        return found

    def _check_name(self) -> None:
        """CloudAPI queues every name; vmadm(8) then fails, and nobody says why."""
        if NAME.fullmatch(self.params["name"]) is None:
            raise Refused(
                f"{self.params['name']!r} is not a valid snapshot name: 1 to 64 letters, digits, "
                "- _ . : or %"
            )

    def wanted(self) -> Record:
        return {"name": self.params["name"]}

    def create(self, new: Record) -> Record:
        failures = self._failures() if self.params["wait"] else 0
        make = lambda: self.api.create_snapshot(self.host["id"], new["name"])  # noqa: E731
        made = once(self.api, make, self._read)
        return self._created(failures) if self.params["wait"] else made

    def _created(self, failures: int) -> Record:
        """Wait for it, or for one more failure in the audit: a failed one looks like none."""

        def read() -> Record | None:
            found = self._read()
            if found is None and self._failures() > failures:
                raise Refused("the snapshot failed instead of being created")
            return found

        found = self.poll(read, lambda s: bool(s and s.get("state") == "created"), "created")
        assert found is not None
        return found

    def _failures(self) -> int:
        """How many snapshots of the machine failed, as far as its audit goes back."""
        entries = self.api.audit(self.host["id"])
        return sum(
            e.get("success") == "no" and e.get("action") == "create_snapshot" for e in entries
        )

    def _read(self) -> Record | None:
        try:
            found = self.api.get_snapshot(self.host["id"], self.params["name"])
        except errors.NotFound:
            return None
        return None if found.get("state") == "deleted" else found

    def _update(self, thing: Record) -> None:
        self.result["snapshot"] = thing
        if self.params["state"] == "present":
            return
        self.differences.add(str(self.host["name"]), "rolled back to", None, thing["name"])
        if self.check_mode:
            return
        before = self._rollbacks()
        self.api.rollback_snapshot(self.host["id"], thing["name"])
        if self.params["wait"]:
            self.poll(lambda: self._rolled(before), lambda m: bool(m), "rolled back to")

    def _rollbacks(self) -> int:
        entries = [e for e in self.api.audit(self.host["id"]) if "rollback" in str(e.get("action"))]
        if entries and entries[0].get("success") == "no" and hasattr(self, "began"):
            raise Refused(f"rolling back failed: {entries[0].get('reason') or 'no reason given'}")
        self.began = True
        return len(entries)

    def _rolled(self, before: int) -> Record | None:
        """The machine, when it runs and its audit has the rollback."""
        if self._rollbacks() <= before:
            return None
        machine = self.api.get_machine(self.host["id"])
        return machine if machine.get("state") == "running" else None

    def delete(self, thing: Record) -> None:
        self.api.delete_snapshot(self.host["id"], thing["name"])
        if self.params["wait"]:
            self.poll(self._read, lambda s: s is None, "deleted")


def main() -> None:
    """Entry point."""
    Snapshot().run()


if __name__ == "__main__":
    main()
