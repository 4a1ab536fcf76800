"""Who sent a request, and may he: signatures against the account's keys."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from localdc.api.accounts import rbac
from localdc.api.accounts.sshkeys import parse_public_key, same_key
from localdc.api.engine.datacenter import DataCenter
from localdc.api.errors import invalid_argument, invalid_credentials, not_authorized, not_found
from localdc.api.http.call import Call, Route
from localdc.api.http.httpsig import Signature, parse_key_id
from localdc.api.http.versions import Version
from localdc.api.model import Account
from localdc.api.store.documents import ROLE, Record
from localdc.api.values import text

SUBUSERS_SINCE: Version = (7, 2, 0)


def authenticate(
    center: DataCenter, signature: Signature | None, version: Version
) -> tuple[Account, Record | None]:
    """The account that signed, or for which a sub-user of it did.

    Raises 401, and 403 when the account is disabled.
    """
    if signature is None:
        raise invalid_credentials("You must make authenticated requests to use CloudAPI")
    key_id = parse_key_id(signature.key_id)
    # `my` says whose key it is only to the one who holds it.
    account = None if key_id.login == "my" else center.store.accounts.find(key_id.login)
    if account is None:
        raise invalid_credentials()
    user = None
    if key_id.user is None:
        keys = center.store.accounts.keys(account.uuid)
    else:
        user = rbac.user_of(center.store, account.uuid, key_id.user)
        if user is None or version < SUBUSERS_SINCE:
            raise invalid_credentials()
        keys = rbac.user_keys(center.store, user)
    for key in keys:
        if not same_key(key_id.key, key.name, key.fingerprint, key.line):
            continue
        parsed = parse_public_key(key.line)
        if parsed.verify(signature.algorithm, signature.signature, signature.signed):
            if account.disabled:
                raise not_authorized("Account or user is disabled")
            return account, user
    raise invalid_credentials()


def authorize(account: Account, wanted: str) -> None:
    """Raises 403 unless `wanted`, the path's first part, means `account` itself."""
    if wanted not in ("my", account.login, account.uuid):
        raise not_authorized(f"You do not have permission to access {wanted}")


def authorize_user(call: Call, route: Route, user: Record) -> None:
    """Let a sub-user do what one of his roles allows; raises 403.

    An account's own calls are allowed before roles are looked at (authorize() of CloudAPI's
    lib/auth.js).
    """
    store, account = call.center.store, call.account
    call.roles = rbac.active_roles(store, account, user, text(call.params, "as-role"))
    action = rbac.action(call.method, route.pattern, call.params)
    conditions = rbac.conditions_of(
        datetime.now(UTC), call.headers, str(call.caller["ip"]), call.method,
        call.center.settings.name,
    )  # fmt: skip
    machine = store.machines.get(call.args.get("machine", ""), account.uuid)
    scope = account.uuid
    if machine is not None:
        scope = machine.uuid
        conditions["ip"] = [nic.ip for nic in machine.nics]
        conditions |= {f"tag_{tag}": value for tag, value in machine.tags.items()}
    tagged = rbac.role_tags(store, scope, rbac.resource_of(call.path, account.login))
    if not rbac.permits(store, account, call.roles, action, call.path, tagged, conditions):
        raise not_authorized(f"You do not have permission to access {call.path} ({action})")


def check_role_tag(call: Call) -> None:
    """Raises 409 for a call that wants what it makes tagged with a role that there is not.

    CloudAPI passes over a role it does not know, and so leaves the thing without the
    protection that was asked for.
    """
    for name in requested_tags(call):
        if call.center.store.documents.named(ROLE, call.account.uuid, name) is None:
            raise invalid_argument(f"role {name} does not exist")
        if not call.path.rstrip("/").endswith("/machines"):
            raise invalid_argument(
                "Role-Tag is for machines in this data center; tag other things when they are "
                'made: PUT of the same path with {"role-tag": [...]}'
            )


def requested_tags(call: Call) -> list[str]:
    """The names in the header Role-Tag of a call that makes something."""
    given = call.headers.get("role-tag", "") if call.method == "POST" else ""
    return [name.strip() for name in given.split(",") if name.strip()]


def check_admin(center: DataCenter, headers: Mapping[str, str]) -> None:
    """Raises 404 when this data center takes no admin calls, 401 for a wrong token."""
    token = center.settings.admin_token
    if token is None:
        raise not_found("this data center has no admin token, so it takes no admin calls")
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(
        given.strip().encode(), token.encode()
    ):
        raise invalid_credentials(
            "admin calls need `Authorization: Bearer <admin token>`", challenge="Bearer"
        )


def caller(ip: str, signature: Signature | None) -> dict[str, Any]:
    """How the audit names the sender."""
    if signature is None:
        return {"type": "admin", "ip": ip}
    return {"type": "signature", "ip": ip, "keyId": signature.key_id}
