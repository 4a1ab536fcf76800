"""What was done to a machine, by whom, and whether it worked.

Source: sdc-cloudapi, docs/index.md, MachineAudit.
"""

from __future__ import annotations

from localdc.api.http.call import Answer, Call, Route
from localdc.api.routes import machine_path


def audit(call: Call) -> Answer:
    machine = machine_path.load(call)
    return Answer.json(call.center.store.jobs.audit(machine.uuid))


ROUTES = (Route("GET", "/:account/machines/:machine/audit", audit),)
