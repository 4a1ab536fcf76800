"""Roles of sub-users, and role tags.

Source: sdc-cloudapi, docs/index.md: Roles, Role Tags; lib/roles.js, lib/resources.js.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from localdc.api.accounts import rbac
from localdc.api.errors import (
    ApiError,
    invalid_argument,
    missing_parameter,
    not_found,
    not_implemented,
)
from localdc.api.http.call import Answer, Call, Route
from localdc.api.routes import machine_path
from localdc.api.store.documents import POLICY, ROLE, USER, DocumentTaken, Record
from localdc.api.validate import is_uuid
from localdc.api.values import text

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


def _listed(call: Call, name: str) -> list[Any] | None:
    """A list, JSON text of one, or one value alone; None when it is not given, null or empty."""
    value = call.params.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = [value] if value else None
    if value is None:
        return None
    return value if isinstance(value, list) else [value]


def _entries(call: Call, name: str) -> list[dict[str, Any]] | None:
    """Objects that name members or policies; before version 9 their names alone.

    Source: sdc-cloudapi, lib/roles.js, parseParams and parseParams_old.
    """
    given = _listed(call, name)
    if given is None:
        return None
    if call.version < OBJECTS_SINCE:
        if not all(isinstance(entry, str) for entry in given):
            raise invalid_argument(f'Role "{name}" must be an array of names')
        return [{"login" if "members" in name else "name": entry} for entry in given]
    if not isinstance(call.params[name], list) or not all(isinstance(e, dict) for e in given):
        raise invalid_argument(f'Role "{name}" must be an array of objects')
    return given


# What objects may hold, and of which kind.
_MEMBER = {"type": str, "id": str, "login": str, "default": bool}
_POLICY = {"id": str, "name": str}
_KINDS = {str: "a string", bool: "a boolean"}


def _check_reference(what: str, entry: dict[str, Any], known: Mapping[str, type]) -> None:
    for name, value in entry.items():
        if name not in known:
            raise invalid_argument(f'{what} references may not contain "{name}"')
        if not isinstance(value, known[name]):
            raise invalid_argument(f'{what} "{name}" property must be {_KINDS[known[name]]}')
    if "id" in entry and not is_uuid(entry["id"]):
        raise invalid_argument(f'{what} "id" property must be a string UUID')


def _member(call: Call, entry: dict[str, Any]) -> Record:
    """The sub-user that an entry means; raises 409, and 501 for another account."""
    _check_reference("Member", entry, _MEMBER)
    if call.version >= OBJECTS_SINCE:
        kind = entry.get("type")
        if kind is None:
            raise invalid_argument('Role "member" references must have a string "type" property')
        if kind == "account":
            raise not_implemented("roles for other accounts are not supported by this data center")
        if kind != "subuser":
            raise invalid_argument(f'Member "type" is not supported: "{kind}"')
    wanted = entry.get("id") or entry.get("login")
    user = rbac.user_of(call.center.store, call.account.uuid, wanted) if wanted else None
    if user is None:
        raise invalid_argument(f"Invalid subuser: {wanted}")
    return user


def _members(call: Call, entries: list[dict[str, Any]], default: bool = False) -> dict[str, bool]:
    """Ids of sub-users, and who is a default member."""
    members: dict[str, bool] = {}
    for entry in entries:
        user = _member(call, entry)["id"]
        members[user] = members.get(user, False) or entry.get("default", default)
    return members


def _policies(call: Call, entries: list[dict[str, Any]]) -> list[str]:
    policies = []
    for entry in entries:
        _check_reference("Policy", entry, _POLICY)
        wanted = entry.get("id") or entry.get("name")
        policy = _named(call, POLICY, wanted) if wanted else None
        if policy is None:
            raise invalid_argument(f"Invalid policy: {wanted}")
        policies.append(policy["id"])
    return list(dict.fromkeys(policies))


def _changed(call: Call, role: Record) -> Record:
    """The record with what the call says; raises 409."""
    changed = dict(role)
    name = text(call.params, "name")
    if name == "true":
        raise invalid_argument('"true" is not a valid role name')
    changed["name"] = name or role["name"]
    members, defaults = _entries(call, "members"), None
    if call.version < OBJECTS_SINCE:
        defaults = _entries(call, "default_members")
    if members is not None or defaults is not None:
        found = _members(call, members or []) | _members(call, defaults or [], default=True)
        changed["members"] = [{"id": user, "default": value} for user, value in found.items()]
    policies = _entries(call, "policies")
    if policies is not None:
        changed["policies"] = _policies(call, policies)
    if changed["name"] == rbac.ADMINISTRATOR and changed["policies"]:
        raise invalid_argument("Administrator role cannot have policies")
    return changed


def _taken() -> ApiError:
    """sdc-ufds, lib/db/add.js, validateNameUniqueness."""
    return invalid_argument("role is invalid: the name is taken")


def create(call: Call) -> Answer:
    if text(call.params, "name") is None:
        raise missing_parameter("Request is missing required parameter: name")
    role = _changed(call, {"id": str(uuid4()), "name": "", "members": [], "policies": []})
    try:
        with machine_path.keys_change(call):
            call.center.store.documents.add(ROLE, call.account.uuid, role["id"], role["name"], role)
    except DocumentTaken:
        raise _taken() from None
    location = f"/{call.account.login}/roles/{role['id']}"
    return Answer.json(_view(call, role), 201, Location=location)


def update(call: Call) -> Answer:
    role = _changed(call, _find(call))
    try:
        with machine_path.keys_change(call):
            call.center.store.documents.save(ROLE, role["id"], role["name"], role)
    except DocumentTaken:
        raise _taken() from None
    return Answer.json(_view(call, role))


def delete(call: Call) -> Answer:
    role = _find(call)
    with machine_path.keys_change(call):
        call.center.store.documents.remove(ROLE, role["id"])
    return Answer(204)


def put_tags(call: Call) -> Answer:
    """Replace the roles that a resource is tagged with."""
    roles = []
    for name in _listed(call, "role-tag") or []:
        documents, account = call.center.store.documents, call.account.uuid
        role = documents.named(ROLE, account, name) if isinstance(name, str) else None
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
