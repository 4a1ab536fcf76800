"""Roles of sub-users, and role tags.

Source: sdc-cloudapi, docs/index.md: Roles, Role Tags; lib/roles.js, lib/resources.js.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from localdc.api.accounts import rbac
from localdc.api.errors import invalid_argument, missing_parameter, not_found, not_implemented
from localdc.api.http.call import Answer, Call, Route
from localdc.api.routes import machine_path
from localdc.api.store.documents import POLICY, ROLE, USER, DocumentTaken, Record

OBJECTS_SINCE = (9, 0, 0)


def _view(call: Call, role: Record) -> Record:
    """With objects for members and policies since version 9, with names before."""
    documents, account = call.center.store.documents, call.account.uuid
    users = [(documents.get(USER, account, m["id"]), m["default"]) for m in role["members"]]
    known = [(user, default) for user, default in users if user is not None]
    found = [documents.get(POLICY, account, policy) for policy in role["policies"]]
    policies = [policy for policy in found if policy is not None]
    view: Record = {"name": role["name"], "id": role["id"]}
    if call.version < OBJECTS_SINCE:
        view["members"] = [user["login"] for user, _ in known]
        view["default_members"] = [user["login"] for user, default in known if default]
        return {**view, "policies": [policy["name"] for policy in policies]}
    view["policies"] = [{"id": policy["id"], "name": policy["name"]} for policy in policies]
    view["members"] = [
        {"type": "subuser", "id": user["id"], "login": user["login"], "default": default}
        for user, default in known
    ]
    return view


def list_roles(call: Call) -> Answer:
    roles = call.center.store.documents.of(ROLE, call.account.uuid)
    return Answer.json([_view(call, role) for role in roles])


def _named(call: Call, kind: str, wanted: str) -> Record | None:
    documents, account = call.center.store.documents, call.account.uuid
    return documents.get(kind, account, wanted) or documents.named(kind, account, wanted)


def _find(call: Call) -> Record:
    role = _named(call, ROLE, call.args["role"])
    if role is None:
        raise not_found(f"{call.args['role']} not found")
    return role


def get(call: Call) -> Answer:
    return Answer.json(_view(call, _find(call)))


def _listed(call: Call, name: str) -> list[Any]:
    """A list, JSON text of one, or one value alone."""
    value = call.params.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = [value] if value else []
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _reference(call: Call, kind: str, entry: object) -> str:
    """What an entry of a list names: the `id`, `login` or `name` of an object, or its text.

    Text is for versions before 9, and only for them.
    """
    if isinstance(entry, str) and call.version < OBJECTS_SINCE:
        return entry
    if not isinstance(entry, dict):
        raise invalid_argument(f'Role "{kind}" must be an array of objects')
    if entry.get("type", "subuser") == "account":
        raise not_implemented("roles for other accounts are not supported by this data center")
    found = entry.get("id") or entry.get("login") or entry.get("name")
    if not isinstance(found, str):
        raise invalid_argument(f'Role "{kind}": each needs an id or a name')
    return found


def _members(call: Call) -> list[Record]:
    members: dict[str, bool] = {}
    for name in ("members", "default_members"):
        for entry in _listed(call, name):
            wanted = _reference(call, "members", entry)
            user = rbac.user_of(call.center.store, call.account.uuid, wanted)
            if user is None:
                raise invalid_argument(f"Invalid subuser: {wanted}")
            default = name == "default_members"
            if isinstance(entry, dict):
                default = entry.get("default", False) is True
            members[user["id"]] = members.get(user["id"], False) or default
    return [{"id": user, "default": default} for user, default in members.items()]


def _policies(call: Call) -> list[str]:
    policies = []
    for entry in _listed(call, "policies"):
        wanted = _reference(call, "policies", entry)
        policy = _named(call, POLICY, wanted)
        if policy is None:
            raise invalid_argument(f"Invalid policy: {wanted}")
        policies.append(policy["id"])
    return list(dict.fromkeys(policies))


def _changed(call: Call, role: Record) -> Record:
    """The record with what the call says; raises 409."""
    changed = dict(role)
    name = call.params.get("name")
    if name:
        if not isinstance(name, str) or name == "true":
            raise invalid_argument('Role "name" must be a string, and not "true"')
        changed["name"] = name
    if "members" in call.params or "default_members" in call.params:
        changed["members"] = _members(call)
    if "policies" in call.params:
        changed["policies"] = _policies(call)
    if changed["name"] == rbac.ADMINISTRATOR and changed["policies"]:
        raise invalid_argument("Administrator role cannot have policies")
    return changed


def create(call: Call) -> Answer:
    if not call.params.get("name"):
        raise missing_parameter("Request is missing required parameter: name")
    role = _changed(call, {"id": str(uuid4()), "name": "", "members": [], "policies": []})
    try:
        with machine_path.keys_change(call):
            call.center.store.documents.add(ROLE, call.account.uuid, role["id"], role["name"], role)
    except DocumentTaken:
        raise invalid_argument("role is invalid: the name is taken") from None
    location = f"/{call.account.login}/roles/{role['id']}"
    return Answer.json(_view(call, role), 201, Location=location)


def update(call: Call) -> Answer:
    role = _changed(call, _find(call))
    try:
        with machine_path.keys_change(call):
            call.center.store.documents.save(ROLE, role["id"], role["name"], role)
    except DocumentTaken:
        raise invalid_argument("role is invalid: the name is taken") from None
    return Answer.json(_view(call, role))


def delete(call: Call) -> Answer:
    role = _find(call)
    with machine_path.keys_change(call):
        call.center.store.documents.remove(ROLE, role["id"])
    return Answer(204)


def put_tags(call: Call) -> Answer:
    """Replace the roles that a resource is tagged with."""
    roles = []
    for name in _listed(call, "role-tag"):
        role = call.center.store.documents.named(ROLE, call.account.uuid, str(name))
        if role is None:
            raise invalid_argument("Invalid role-tag")
        roles.append(role)
    resource = rbac.resource_of(call.path, call.account.login)
    scope = call.account.uuid
    if resource.split("/")[2:3] == ["machines"] and "item" in call.args:
        machine = call.center.store.machines.get(call.args["item"], call.account.uuid)
        if machine is None:
            raise not_found("VM not found")
        scope = machine.uuid
    with call.center.store.transaction():
        rbac.set_role_tags(call.center.store, scope, resource, roles)
    return Answer.json({"name": resource, "role-tag": [role["name"] for role in roles]})


ROUTES = (
    Route("GET", "/:account/roles", list_roles),
    Route("POST", "/:account/roles", create),
    Route("GET", "/:account/roles/:role", get),
    Route("POST", "/:account/roles/:role", update),
    Route("DELETE", "/:account/roles/:role", delete),
    *(Route("PUT", pattern, put_tags) for pattern in rbac.ROLE_TAG_PATTERNS),
)
