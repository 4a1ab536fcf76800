"""`/--admin`: calls of the data center's owner, which CloudAPI does not have.

All of them need `Authorization: Bearer <admin token>`.

    POST   /--admin/faults      order a fault (fields: localdc.api.faults.Fault)
    GET    /--admin/faults      the faults still on order
    DELETE /--admin/faults      withdraw all;  /--admin/faults/ID  withdraw one
"""

from __future__ import annotations

from localdc.api.errors import invalid_argument, not_found
from localdc.api.faults import Fault, FaultError, machine_matches
from localdc.api.http import Answer, Call, Route


def order(call: Call) -> Answer:
    try:
        fault = call.center.faults.order(call.params)
    except FaultError as error:
        raise invalid_argument(str(error)) from None
    answer = fault.view()
    if fault.kind == "lost_machine":
        answer["machines"] = _lose(call, fault)
    return Answer.json(answer, 201)


def _lose(call: Call, fault: Fault) -> list[str]:
    center = call.center
    lost: list[str] = []
    with center.store.transaction():
        for machine in center.store.machines.alive():
            if fault.count is not None and len(lost) >= fault.count:
                break
            if machine_matches(fault, machine.name, machine.uuid):
                center.store.jobs.add(machine.uuid, "vanish", internal=True)
                lost.append(machine.uuid)
    for uuid in lost:
        center.engine.submit(uuid)
    return lost


def ordered(call: Call) -> Answer:
    return Answer.json([fault.view() for fault in call.center.faults.ordered()])


def withdraw_all(call: Call) -> Answer:
    call.center.faults.withdraw()
    return Answer(204)


def withdraw(call: Call) -> Answer:
    text = call.args["fault"]
    if not text.isdigit() or not call.center.faults.withdraw(int(text)):
        raise not_found(f"fault {text} not found")
    return Answer(204)


ROUTES = (
    Route("GET", "/--admin/faults", ordered, access="admin"),
    Route("POST", "/--admin/faults", order, access="admin"),
    Route("DELETE", "/--admin/faults", withdraw_all, access="admin"),
    Route("DELETE", "/--admin/faults/:fault", withdraw, access="admin"),
)
