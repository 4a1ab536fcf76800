"""What the paths below `/machines/:machine` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any
from uuid import uuid5

from localdc.api.errors import invalid_field, not_found, unallocated, validation_failed
from localdc.api.http.call import Answer, Call, Handler
from localdc.api.model import Machine, now_iso
from localdc.api.settings import NAMESPACE
from localdc.api.store.machines import NameTaken, Query
from localdc.api.validate import is_uuid


def load(call: Call) -> Machine:
    """The machine of the path; raises 404, and 409 for what is no uuid."""
    uuid = call.args["machine"]
    if not is_uuid(uuid):
        raise validation_failed("Invalid Parameters", invalid_field("uuid", "Invalid UUID"))
    machine = call.center.store.machines.get(uuid.lower(), call.account.uuid)
    if machine is None:
        raise not_found("VM not found")
    return machine


def shown(call: Call, machine: Machine) -> Machine:
    """The machine without the changes that take their time still."""
    return call.center.engine.pace.shown(machine)


def look(call: Call) -> Machine:
    """The machine of the path as clients see it; raises as `load`."""
    return shown(call, load(call))


def view(call: Call, machine: Machine, credentials: bool = False) -> dict[str, Any]:
    """The machine object as this call wants it; credentials: passwords too."""
    machine = shown(call, machine)
    body: dict[str, Any] = machine.view()
    if call.version < (7, 1, 0):
        del body["networks"]
    if credentials:
        body["metadata"]["credentials"] = machine.credentials()
    return body


def check_allocated(machine: Machine, action: str) -> None:
    """Raises 409 for a machine that is still being provisioned."""
    if machine.state == "provisioning":
        raise unallocated(f"Cannot call {action} for a VM that has not been provisioned yet")


def gone(call: Call, machine: Machine) -> Answer | None:
    """410 with the object for a deleted machine, else None."""
    if machine.state != "deleted":
        return None
    credentials = call.method in ("GET", "HEAD") and call.flag("credentials")
    return Answer.json(view(call, machine, credentials), 410)


def living(handler: Callable[[Call, Machine], Answer]) -> Handler:
    """A handler that is given the machine of the path: 410 with the object if it was deleted."""

    @wraps(handler)
    def handle(call: Call) -> Answer:
        machine = load(call)
        return gone(call, machine) or handler(call, machine)

    return handle


def order(
    call: Call, machine: Machine, action: str, params: Mapping[str, Any] | None = None
) -> int:
    """Save a changed record and queue the job that carries it out; returns the job's number.

    For use in a transaction.
    """
    machine.updated = now_iso()
    store, pace = call.center.store, call.center.engine.pace
    number = store.jobs.add(machine.uuid, action, params, caller=call.caller)
    before = store.machines.get(machine.uuid) if pace.seconds else None
    if before is not None:
        pace.ordered(number, before)
    try:
        store.machines.save(machine)
    except NameTaken:
        pace.ended(number, machine.uuid)
        raise
    return number


def update(
    call: Call, machine: Machine, action: str, params: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """The same in one step.  Returns the headers of the answer: `x-job-uuid`."""
    with call.center.store.transaction():
        number = order(call, machine, action, params)
    call.center.engine.submit(machine.uuid)
    return {"x-job-uuid": str(uuid5(NAMESPACE, f"job {number}"))}


def queue(call: Call, machine: Machine, action: str) -> None:
    """Queue a job for a machine whose record stays as it is for now."""
    store = call.center.store
    with store.transaction():
        store.jobs.add(machine.uuid, action, caller=call.caller)
    call.center.engine.submit(machine.uuid)


@contextmanager
def keys_change(call: Call) -> Iterator[None]:
    """A transaction in which the keys change that open the account's machines.

    They do so at once, and no longer when they are gone.
    """
    store = call.center.store
    with store.transaction():
        yield
        machines = store.machines.find(Query(call.account.uuid, limit=-1))
        for machine in machines:
            # One that runs already may have read the keys before this change.
            if not store.jobs.queued(machine.uuid, "refresh"):
                store.jobs.add(machine.uuid, "refresh", internal=True)
    for machine in machines:
        call.center.engine.submit(machine.uuid)
