"""Actions on a machine: `POST /:account/machines/:machine?action=`.

Source: sdc-cloudapi, docs/index.md, Instances, StopMachine to DisableMachineDeletionProtection.
"""

from __future__ import annotations

from collections.abc import Callable

from localdc.api import lookup
from localdc.api.accounts import limits
from localdc.api.engine.create import NO_FIREWALL
from localdc.api.errors import invalid_argument, missing_parameter, not_implemented
from localdc.api.http.call import Answer, Call, Route
from localdc.api.http.params import required
from localdc.api.model import Machine
from localdc.api.routes import machine_path
from localdc.api.store.machines import NameTaken
from localdc.api.validate import check_name, name_taken


def act(call: Call) -> Answer:
    machine = machine_path.load(call)
    action = call.params.get("action")
    if not action:
        raise missing_parameter("action is required")
    if not isinstance(action, str) or action not in ACTIONS:
        raise invalid_argument(f"{action} is not a valid action")
    answer = machine_path.gone(call, machine)
    if answer is not None:
        return answer
    ACTIONS[action](call, machine)
    return Answer(202)


def _power(call: Call, machine: Machine) -> None:
    # A machine in the wrong state is no error here: the job fails, and the audit says so.
    action = str(call.params["action"])
    machine_path.check_allocated(machine, action)
    machine_path.queue(call, machine, action)


def _resize(call: Call, machine: Machine) -> None:
    wanted = required(call.params, "package", "package must be specified")
    package = lookup.package(call.center.settings, wanted)
    if package is None:
        raise invalid_argument(f"{wanted} is not a valid package")
    if not package.active:
        raise invalid_argument(f"{wanted} is inactive. Must use an active package")
    if machine.type == "virtualmachine":
        raise invalid_argument("resize is not supported for KVM virtualmachines")
    settings = call.center.settings
    image = lookup.image(settings, machine.image)
    limits.check(call.center.store, settings, call.account.uuid, image, package, machine)
    machine_path.check_allocated(machine, "update")
    machine.package, machine.memory = package.name, package.memory
    machine.disk, machine.cpu_cap = package.disk, package.cpu_cap
    machine_path.update(call, machine, "resize")


def _rename(call: Call, machine: Machine) -> None:
    """The machine's own name is taken, too (sdc-vmapi, lib/common/validation.js)."""
    name = required(call.params, "name", "New name must be specified")
    checked = check_name(name, call.account.cns_enabled)
    machine_path.check_allocated(machine, "update")
    if checked == machine.name:
        raise name_taken(checked)
    machine.name = checked
    try:
        machine_path.update(call, machine, "rename")
    except NameTaken:
        raise name_taken(checked) from None


def _firewall(call: Call, machine: Machine) -> None:
    enable = call.params["action"] == "enable_firewall"
    if enable and not call.center.settings.firewall:
        raise not_implemented(NO_FIREWALL)
    if machine.firewall_enabled == enable:
        return
    machine_path.check_allocated(machine, "update")
    machine.firewall_enabled = enable
    # The audit of CloudAPI has no word of its own for firewall changes.
    machine_path.update(call, machine, "unknown")


def _protection(call: Call, machine: Machine) -> None:
    action = str(call.params["action"])
    machine_path.check_allocated(machine, "update")
    machine.deletion_protection = action == "enable_deletion_protection"
    machine_path.update(call, machine, action)


ACTIONS: dict[str, Callable[[Call, Machine], None]] = {
    "stop": _power,
    "start": _power,
    "reboot": _power,
    "resize": _resize,
    "rename": _rename,
    "enable_firewall": _firewall,
    "disable_firewall": _firewall,
    "enable_deletion_protection": _protection,
    "disable_deletion_protection": _protection,
}

ROUTES = (Route("POST", "/:account/machines/:machine", act),)
