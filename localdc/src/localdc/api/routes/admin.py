"""`/--admin`: calls of the data center's owner, which CloudAPI does not have.

All of them need `Authorization: Bearer <admin token>`.

    POST   /--admin/faults      order a fault (fields: localdc.api.engine.faults.Fault)
    GET    /--admin/faults      the faults still on order
    DELETE /--admin/faults      withdraw all;  /--admin/faults/ID  withdraw one
    GET    /--admin/settings    throttle, compute nodes, how bad the day is (routes/settings.py)
    PUT    /--admin/settings    change them until the next start
    GET    /--admin/requests    how many calls there were, by method and path
    DELETE /--admin/requests    count from zero again
    POST   /--admin/accounts    a further account: {"login": ..., "key": ...}
    PUT    /--admin/accounts/LOGIN/limits  what it may provision; GET shows it
    PUT    /--admin/accounts/LOGIN/disabled  whether its calls are refused; GET shows it
    GET    /--admin/machines/ID/jobs  what was done to a machine, and why it failed

docs/admin.md has it all.
"""

from __future__ import annotations

import re

from localdc.api.accounts import limits as provision_limits
from localdc.api.engine.datacenter import add_login
from localdc.api.engine.faults import Fault, FaultError, machine_matches
from localdc.api.errors import invalid_argument, not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import Account
from localdc.api.settings import AccountKey

LOGIN = re.compile(r"[A-Za-z][A-Za-z0-9_.@]{2,31}")


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


def requests(call: Call) -> Answer:
    counts = call.center.requests
    return Answer.json({"total": counts.total(), "calls": dict(counts)})


def forget_requests(call: Call) -> Answer:
    call.center.requests.clear()
    return Answer(204)


def _account(call: Call) -> Account:
    login = call.args["login"]
    account = call.center.store.accounts.find(login)
    if account is None:
        raise not_found(f"account {login} not found")
    return account


def get_limits(call: Call) -> Answer:
    center = call.center
    used = provision_limits.used(center.store, center.settings, _account(call).uuid)
    return Answer.json({"limits": used})


def set_limits(call: Call) -> Answer:
    wanted = provision_limits.parse(call.params.get("limits"))
    provision_limits.set_limits(call.center.store, _account(call).uuid, wanted)
    return get_limits(call)


def get_disabled(call: Call) -> Answer:
    return Answer.json({"disabled": _account(call).disabled})


def set_disabled(call: Call) -> Answer:
    account, disabled = _account(call), call.params.get("disabled")
    if not isinstance(disabled, bool):
        raise invalid_argument("disabled must be true or false")
    account.disabled = disabled
    with call.center.store.transaction():
        call.center.store.accounts.save(account)
    return get_disabled(call)


def machine_jobs(call: Call) -> Answer:
    store, uuid = call.center.store, call.args["machine"]
    if store.machines.get(uuid) is None:
        raise not_found(f"machine {uuid} not found")
    return Answer.json(store.jobs.reasons(uuid))


def add_account(call: Call) -> Answer:
    login, key = call.params.get("login"), call.params.get("key")
    if not isinstance(login, str) or LOGIN.fullmatch(login) is None:
        raise invalid_argument("login must be 3 to 32 letters, digits, _ . or @")
    if not isinstance(key, str):
        raise invalid_argument("key must be the line of an OpenSSH public key")
    center = call.center
    try:
        account = add_login(
            center.store, center.settings, login, f"{login}@localhost", [AccountKey(login, key)]
        )
    except ValueError as error:
        raise invalid_argument(f"key is invalid: {error}") from None
    with center.store.transaction():
        center.engine.networks.provide_ways_out()
    return Answer.json({"id": account.uuid, "login": account.login}, 201)


ROUTES = (
    Route("GET", "/--admin/requests", requests, access="admin"),
    Route("DELETE", "/--admin/requests", forget_requests, access="admin"),
    Route("POST", "/--admin/accounts", add_account, access="admin"),
    Route("GET", "/--admin/accounts/:login/limits", get_limits, access="admin"),
    Route("PUT", "/--admin/accounts/:login/limits", set_limits, access="admin"),
    Route("GET", "/--admin/accounts/:login/disabled", get_disabled, access="admin"),
    Route("PUT", "/--admin/accounts/:login/disabled", set_disabled, access="admin"),
    Route("GET", "/--admin/machines/:machine/jobs", machine_jobs, access="admin"),
    Route("GET", "/--admin/faults", ordered, access="admin"),
    Route("POST", "/--admin/faults", order, access="admin"),
    Route("DELETE", "/--admin/faults", withdraw_all, access="admin"),
    Route("DELETE", "/--admin/faults/:fault", withdraw, access="admin"),
)
