"""SSH keys of the account, and of its sub-users.

Source: sdc-cloudapi, docs/index.md: Keys, User SSH Keys.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from urllib.parse import quote

from localdc.api.accounts import rbac
from localdc.api.accounts.sshkeys import parse_public_key, same_key
from localdc.api.errors import invalid_argument, not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.http.params import required
from localdc.api.model import Key
from localdc.api.routes import machine_path
from localdc.api.store.documents import Record
from localdc.api.values import text


def holder(call: Call) -> Record | None:
    """The sub-user whose keys the path means; None = the account's.  Raises 404."""
    if "user" not in call.args:
        return None
    user = rbac.user_of(call.center.store, call.account.uuid, call.args["user"])
    if user is None:
        raise not_found(f"{call.args['user']} not found")
    return user


def _keys(call: Call) -> list[Key]:
    user = holder(call)
    if user is not None:
        return rbac.user_keys(call.center.store, user)
    return call.center.store.accounts.keys(call.account.uuid)


def _shown(call: Call) -> list[Key]:
    """As they are or, without `sync=true`, were a while ago (sdc-cloudapi, lib/keys.js)."""
    center, owner = call.center, (call.account.uuid, call.args.get("user", ""))
    if call.flag("sync") or not center.keys_cache_seconds:
        return _keys(call)
    until, keys = center.keys_cached.get(owner, (0.0, []))
    if time.monotonic() >= until:
        keys = _keys(call)
        center.keys_cached[owner] = time.monotonic() + center.keys_cache_seconds, keys
    return keys


def list_keys(call: Call) -> Answer:
    return Answer.json([key.view() for key in _shown(call)])


def _find(call: Call, keys: Iterable[Key]) -> Key:
    wanted = call.args["key"]
    for key in keys:
        if same_key(wanted, key.name, key.fingerprint, key.line):
            return key
    raise not_found(f"{wanted} does not exist")


def get(call: Call) -> Answer:
    return Answer.json(_find(call, _shown(call)).view())


def _check_unique(new: Key, keys: Iterable[Key]) -> None:
    """Neither its name nor its fingerprint may be either of another (node-ufds, addKey)."""
    for key in keys:
        if {new.name, new.fingerprint} & {key.name, key.fingerprint}:
            raise invalid_argument("key already exists or is invalid")


def create(call: Call) -> Answer:
    """A name is trimmed; without one it is the key's comment, or its fingerprint.

    Source: node-ufds, lib/index.js, addKey.
    """
    line = required(call.params, "key", "key is a required argument")
    if not isinstance(line, str):
        raise invalid_argument("key must be a String")
    try:
        parsed = parse_public_key(line)
    except ValueError as error:
        raise invalid_argument(f"key is invalid: {error}") from None
    name = (text(call.params, "name") or "").strip() or parsed.comment or parsed.fingerprint
    key = Key(name, parsed.fingerprint, parsed.line)
    user = holder(call)
    _check_unique(key, _keys(call))
    with machine_path.keys_change(call):
        store = call.center.store
        added = (
            store.accounts.add_key(call.account.uuid, key)
            if user is None
            else rbac.add_user_key(store, user, key)
        )
        if not added:
            raise invalid_argument("key already exists or is invalid")
    owner = "" if user is None else f"/users/{user['login']}"
    location = f"/{call.account.login}{owner}/keys/{quote(key.fingerprint, safe='')}"
    return Answer.json(key.view(), 201, Location=location)


def delete(call: Call) -> Answer:
    key, user = _find(call, _keys(call)), holder(call)
    with machine_path.keys_change(call):
        if user is None:
            call.center.store.accounts.remove_key(call.account.uuid, key.fingerprint)
        else:
            rbac.remove_user_key(call.center.store, user, key)
    return Answer(204)


ROUTES = tuple(
    route
    for keys in ("/:account/keys", "/:account/users/:user/keys")
    for route in (
        Route("GET", keys, list_keys),
        Route("POST", keys, create),
        Route("GET", f"{keys}/:key", get),
        Route("DELETE", f"{keys}/:key", delete),
    )
)
