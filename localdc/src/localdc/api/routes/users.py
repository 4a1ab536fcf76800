"""Sub-users of the account (sdc-cloudapi, docs/index.md, Users; lib/users.js)."""

from __future__ import annotations

import re
from urllib.parse import quote
from uuid import uuid4

from localdc.api.errors import invalid_argument, missing_parameter
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import now_iso
from localdc.api.routes import machine_path
from localdc.api.routes.account import PROFILE
from localdc.api.routes.keys import holder
from localdc.api.store.documents import ROLE, USER, USER_KEY, DocumentTaken, Record
from localdc.api.values import text

EMAIL = re.compile(r"[a-zA-Z0-9.!#$%&;'*+\-/=?^_`{|}~]+@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*")
"""sdc-cloudapi, lib/users.js."""
LOGIN = re.compile(r"[a-zA-Z][a-zA-Z0-9_.@]{2,31}")
"""sdc-ufds, schema/sdcperson.js, which reserves one login."""
RESERVED = "local"


def list_users(call: Call) -> Answer:
    return Answer.json(call.center.store.documents.of(USER, call.account.uuid))


def _user(call: Call) -> Record:
    user = holder(call)
    assert user is not None
    return user


def get(call: Call) -> Answer:
    user = _user(call)
    if not call.flag("membership"):
        return Answer.json(user)
    mine = [
        (role["name"], member["default"])
        for role in call.center.store.documents.of(ROLE, call.account.uuid)
        for member in role["members"]
        if member["id"] == user["id"]
    ]
    default = [name for name, is_default in mine if is_default]
    return Answer.json({**user, "roles": [name for name, _ in mine], "default_roles": default})


def _changed(call: Call, user: Record) -> Record:
    """The record with what the call says; raises 409."""
    changed = {**user, "updated": now_iso()}
    for name in ("login", "email", *PROFILE):
        value = text(call.params, name)
        if value is not None:
            changed[name] = value
    if EMAIL.fullmatch(changed["email"]) is None:
        raise invalid_argument(f"email: {changed['email']} is invalid")
    if LOGIN.fullmatch(changed["login"]) is None or changed["login"] == RESERVED:
        raise invalid_argument(f"login: {changed['login']} is invalid")
    return changed


def create(call: Call) -> Answer:
    # CloudAPI wants a password; nothing here asks for it, so it is not kept.
    wanted = ("email", "login", "password")
    missing = [f"{name} is required" for name in wanted if text(call.params, name) is None]
    if missing:
        raise missing_parameter(f"Request is missing required parameters: {', '.join(missing)}")
    user = _changed(call, {"id": str(uuid4()), "created": now_iso()})
    _save(call, user, new=True)
    location = f"/{call.account.login}/users/{quote(user['login'], safe='')}"
    return Answer.json(user, 201, Location=location)


def update(call: Call) -> Answer:
    user = _changed(call, _user(call))
    _save(call, user)
    return Answer.json(user)


def _save(call: Call, user: Record, new: bool = False) -> None:
    documents = call.center.store.documents
    try:
        with call.center.store.transaction():
            if new:
                documents.add(USER, call.account.uuid, user["id"], user["login"], user)
            else:
                documents.save(USER, user["id"], user["login"], user)
    except DocumentTaken:
        # logins are unique (sdc-ufds, sapi_manifests/ufds/template)
        raise invalid_argument("user is invalid: the login is taken") from None


def change_password(call: Call) -> Answer:
    user = _user(call)
    wanted = ("password", "password_confirmation")
    missing = [f"{name} is required" for name in wanted if text(call.params, name) is None]
    if missing:
        raise missing_parameter(f"Request is missing required parameters: {', '.join(missing)}")
    if call.params["password"] != call.params["password_confirmation"]:
        raise invalid_argument("password and password_confirmation must have the same value")
    return Answer.json(user)


def delete(call: Call) -> Answer:
    user = _user(call)
    documents = call.center.store.documents
    with machine_path.keys_change(call):
        for role in documents.of(ROLE, call.account.uuid):
            members = [member for member in role["members"] if member["id"] != user["id"]]
            documents.save(ROLE, role["id"], role["name"], {**role, "members": members})
        documents.remove_scope(USER_KEY, user["id"])
        documents.remove(USER, user["id"])
    return Answer(204)


ROUTES = (
    Route("GET", "/:account/users", list_users),
    Route("POST", "/:account/users", create),
    Route("GET", "/:account/users/:user", get),
    Route("POST", "/:account/users/:user", update),
    Route("DELETE", "/:account/users/:user", delete),
    Route("POST", "/:account/users/:user/change_password", change_password),
)
