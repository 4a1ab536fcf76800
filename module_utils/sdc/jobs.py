"""Whether a job of a machine has come to its end, by the audit of the machine."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import Client, errors


class NicJobs:
    """The jobs that add or remove interfaces, from the moment that this is made.

    The interfaces are shown as ordered, and the machine as running, before the machine reboots;
    the job ends after that (sdc-cn-agent, tasks/machine_update.js; vmapi,
    workflows/add-nics.js). The audit has the jobs that ended, by their names (sdc-cloudapi,
    lib/audit.js).

    :param action: `add_nics` or `remove_nics`
    """

    def __init__(self, api: Client, machine_id: str, action: str) -> None:
        self.api = api
        self.machine_id = machine_id
        self.action = action
        self.readable = True
        self._before = {entry.get("time") for entry in self._entries()}

    def ended(self, count: int = 1) -> bool:
        """Whether so many have succeeded; true as well where the account may not read the audit.

        :raises Refused: one has failed instead
        """
        new = [entry for entry in self._entries() if entry.get("time") not in self._before]
        succeeded = sum(entry.get("success") == "yes" for entry in new)
        if self.readable and succeeded < count and len(new) >= count:
            raise Refused(
                f"the job {self.action} failed, and the data center does not say why. Its operator "
                f"can tell, and needs the id {self.machine_id}"
            )
        return succeeded >= count or not self.readable

    def _entries(self) -> list[dict[str, Any]]:
        if not self.readable:
            return []
        try:
            entries = self.api.audit(self.machine_id)
        except (errors.Forbidden, errors.NotFound):
            # a sub-user without the right, or a server without an audit
            self.readable = False
            return []
        return [entry for entry in entries if entry.get("action") == self.action]
