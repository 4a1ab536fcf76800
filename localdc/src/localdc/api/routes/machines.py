"""Machines: list, get, create, delete (sdc-cloudapi, docs/index.md, Instances)."""

from __future__ import annotations

import json
import time

from localdc.api import lookup
from localdc.api.accounts import rbac
from localdc.api.engine.create import CreateRequest, new_machine
from localdc.api.errors import (
    ApiError,
    cannot_destroy,
    invalid_argument,
    unallocated,
)
from localdc.api.http.auth import requested_tags
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import Machine
from localdc.api.routes import machine_path
from localdc.api.routes.networks import invalid_page, page
from localdc.api.store.documents import ROLE
from localdc.api.store.machines import NameTaken, Query
from localdc.api.validate import name_taken
from localdc.api.values import boolean, integer, text
from localdc.api.vmtags import UNSEARCHABLE

TYPES = ("smartmachine", "virtualmachine")
# What a client may ask for, and what that is here; None = all that are not gone.
STATES: dict[str, tuple[str, ...] | None] = {
    "running": ("running",),
    "stopped": ("stopped",),
    "provisioning": ("provisioning",),
    "stopping": ("stopping",),
    "active": None,
    "unknown": ("unknown",),
    "destroyed": ("deleted",),
}


def list_machines(call: Call) -> Answer:
    query = _query(call)
    docs = _docs(call, query)
    headers = {"x-query-limit": str(query.limit), "x-resource-count": str(len(docs))}
    return Answer(200, f"[{','.join(docs)}]".encode(), headers)


def _docs(call: Call, query: Query) -> list[str]:
    """The machines as JSON texts, as they are or were a while ago."""
    center = call.center
    old, credentials = call.version < (7, 1, 0), call.flag("credentials")
    asked = f"{query} {old} {credentials}"
    now = time.monotonic()
    until, docs = center.lists_cached.get(asked, (0.0, []))
    if now < until:
        return docs
    if old or credentials:
        views = [machine_path.view(call, m, credentials) for m in center.store.machines.find(query)]
        docs = [json.dumps(view, separators=(",", ":")) for view in views]
    else:
        docs = center.store.machines.docs(query)
    if center.lists_cache_seconds:
        kept = {key: value for key, value in center.lists_cached.items() if now < value[0]}
        center.lists_cached = {**kept, asked: (now + center.lists_cache_seconds, docs)}
    return docs


def _query(call: Call) -> Query:
    params = call.params
    limit, offset = page(call)
    query = Query(call.account.uuid, gone=bool(params.get("tombstone")), limit=limit, offset=offset)
    if params.get("tags") == "*":
        query.any_tag = True
        return query
    state = text(params, "state")
    if state is not None:
        query.states = _states(state)
    query.name_prefix = text(params, "name")
    query.type = text(params, "type")
    if query.type is not None and query.type not in TYPES:
        raise invalid_argument(f"{query.type} is not a valid type")
    query.brand = text(params, "brand")
    image = text(params, "image") or text(params, "dataset")
    if image:
        known = lookup.image(call.center.settings, image)
        query.image = known.id if known else image
    query.memory = integer(params, "memory", lambda _, problem: invalid_page("ram", problem))
    if boolean(params, "docker", lambda name, _: _not_boolean(params[name])):
        query.brand = "docker"
    for name in params:
        if name.startswith("tag."):
            value = text(params, name) or ""
            query.tags.append((name.removeprefix("tag."), _searchable(name, value)))
    return query


def _not_boolean(value: object) -> ApiError:
    return invalid_argument(f"{value} is not a valid boolean")


def _searchable(name: str, value: str) -> str:
    """Raises 409 for what makes no filter in VMAPI (which status it answers is not known)."""
    if UNSEARCHABLE.search(name + value):
        raise invalid_argument(f"{name} cannot be searched for: ( ) and \\ end a filter of VMAPI")
    return value


def _states(state: str) -> tuple[str, ...] | None:
    if state not in STATES:
        raise invalid_argument(f"{state} is not a valid state")
    return STATES[state]


@machine_path.living
def get(call: Call, machine: Machine) -> Answer:
    body = machine_path.view(call, machine, call.flag("credentials"))
    if call.account.cns_enabled:
        body["dns_names"] = call.center.cns.names(machine, call.account)
    return Answer.json(body)


def create(call: Call) -> Answer:
    credentials = call.flag("credentials")
    machine = new_machine(CreateRequest(call.center, call.account, call.params))
    store = call.center.store
    try:
        with store.transaction():
            store.machines.add(machine)
            store.jobs.add(machine.uuid, "provision", caller=call.caller)
            _tag_with_roles(call, machine)
    except NameTaken:
        raise name_taken(machine.name) from None
    call.center.engine.submit(machine.uuid)
    location = f"/{call.account.login}/machines/{machine.uuid}"
    return Answer.json(machine_path.view(call, machine, credentials), 201, Location=location)


def _tag_with_roles(call: Call, machine: Machine) -> None:
    """The roles that were asked for, else those that a sub-user acts in."""
    documents = call.center.store.documents
    named = [documents.named(ROLE, call.account.uuid, name) for name in requested_tags(call)]
    roles = [role for role in named if role] or call.roles or []
    if roles:
        resource = f"/{call.account.login}/machines/{machine.uuid}"
        rbac.set_role_tags(call.center.store, machine.uuid, resource, roles)


@machine_path.living
def delete(call: Call, machine: Machine) -> Answer:
    if machine_path.shown(call, machine).deletion_protection:
        raise cannot_destroy('Instance has "deletion_protection" enabled, preventing deletion')
    if call.center.store.jobs.pending(machine.uuid, "destroy"):
        return Answer(204)
    if machine.state == "provisioning" and machine.allocated_to is None:
        raise unallocated("Cannot delete a VM that has not been allocated to a server yet")
    machine_path.queue(call, machine, "destroy")
    return Answer(204)


ROUTES = (
    Route("GET", "/:account/machines", list_machines),
    Route("POST", "/:account/machines", create),
    Route("GET", "/:account/machines/:machine", get),
    Route("DELETE", "/:account/machines/:machine", delete),
)
