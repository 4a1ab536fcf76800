"""The network interfaces a machine has (CloudAPI §15); adding one comes later."""

from __future__ import annotations

from localdc.api.errors import not_found
from localdc.api.http import Answer, Call, Route
from localdc.api.model import Machine, NicRecord
from localdc.api.routes import common


def _view(machine: Machine, nic: NicRecord) -> dict[str, object]:
    return nic.view("running" if machine.state == "running" else "stopped")


def list_nics(call: Call) -> Answer:
    machine = common.load(call)
    nics = [_view(machine, nic) for nic in machine.nics]
    return Answer.json(nics, X_Resource_Count=str(len(nics)))


def get(call: Call) -> Answer:
    machine = common.load(call)
    wanted = call.args["mac"].replace(":", "").lower()
    for nic in machine.nics:
        if nic.mac.replace(":", "") == wanted:
            return Answer.json(_view(machine, nic))
    raise not_found("nic not found")


ROUTES = (
    Route("GET", "/:account/machines/:machine/nics", list_nics),
    Route("GET", "/:account/machines/:machine/nics/:mac", get),
)
