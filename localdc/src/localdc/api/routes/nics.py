"""The network interfaces of a machine (sdc-cloudapi, docs/index.md, Nics)."""

from __future__ import annotations

import re

from localdc.api.engine.networks import PoolFull
from localdc.api.engine.requested_networks import network_and_address
from localdc.api.errors import invalid_argument, invalid_parameter, not_found, subnet_full
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import Machine, NicRecord
from localdc.api.routes import machine_path
from localdc.api.store.addresses import NoAddress
from localdc.api.values import boolean

_MAC = re.compile("[0-9a-f]{12}")
"""sdc-cloudapi, lib/nics.js, MAC_RE: how it begins."""
_ALL = "/:account/machines/:machine/nics"


def _view(machine: Machine, nic: NicRecord) -> dict[str, object]:
    return nic.view("running" if machine.state == "running" else "stopped")


def _location(call: Call, machine: Machine, nic: NicRecord) -> str:
    mac = nic.mac.replace(":", "")
    return f"/{call.account.login}/machines/{machine.uuid}/nics/{mac}"


def list_nics(call: Call) -> Answer:
    machine = machine_path.load(call)
    nics = [_view(machine, nic) for nic in machine.nics]
    return Answer.json(nics, X_Resource_Count=str(len(nics)))


def _find(call: Call, machine: Machine) -> NicRecord:
    wanted = call.args["mac"].replace(":", "").lower()
    if _MAC.match(wanted) is None:
        raise invalid_argument("mac has invalid format")
    for nic in machine.nics:
        if nic.mac.replace(":", "") == wanted:
            return nic
    raise not_found("nic not found")


def get(call: Call) -> Answer:
    machine = machine_path.load(call)
    return Answer.json(_view(machine, _find(call, machine)))


@machine_path.living
def add(call: Call, machine: Machine) -> Answer:
    machine_path.check_allocated(machine, "add_nics")
    networks = call.center.engine.networks
    known = networks.attachable(call.account.uuid)
    network, wanted = network_and_address(call.params.get("network"), known, "network not found")
    for nic in machine.nics:
        # never true of a pool, so that each call adds one (sdc-cloudapi, lib/nics.js)
        if nic.network == network.id:
            location = _location(call, machine, nic)
            return Answer.json(_view(machine, nic), 302, Location=location)
    primary = boolean(call.params, "primary") is True
    store = call.center.store
    try:
        with store.transaction():
            nic = networks.allocate(network, machine.uuid, call.account.uuid, wanted, primary)
            nic.state = "provisioning"
            if primary:
                for other in machine.nics:
                    other.primary = False
            machine.nics.append(nic)
            machine_path.order(call, machine, "add_nics", {"added": nic.mac})
    except PoolFull as error:
        raise invalid_parameter("network_uuid", str(error), "Invalid parameters") from None
    except NoAddress as error:
        if wanted is not None:
            raise invalid_argument(str(error)) from None
        raise subnet_full(str(error)) from None
    call.center.engine.submit(machine.uuid)
    return Answer.json(_view(machine, nic), 201, Location=_location(call, machine, nic))


@machine_path.living
def remove(call: Call, machine: Machine) -> Answer:
    machine_path.check_allocated(machine, "remove_nics")
    nic = _find(call, machine)
    if len(machine.nics) == 1:
        # CloudAPI has no such rule; zones here are told by their addresses
        raise invalid_argument(
            "the last NIC of a machine cannot be removed: this data center runs none without"
        )
    machine.nics.remove(nic)
    if nic.primary:
        machine.nics[0].primary = True
    # The address is free only once the zone has booted without it.
    params = {"network": nic.network, "ip": nic.ip, "mac": nic.mac}
    machine_path.update(call, machine, "remove_nics", params)
    return Answer(204)


ROUTES = (
    Route("GET", _ALL, list_nics),
    Route("POST", _ALL, add),
    Route("GET", f"{_ALL}/:mac", get),
    Route("DELETE", f"{_ALL}/:mac", remove),
)
