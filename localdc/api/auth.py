"""Who sent a request, and may he: signatures against the account's keys."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from localdc.api.center import Center
from localdc.api.errors import (
    ApiError,
    invalid_argument,
    invalid_credentials,
    not_authorized,
    not_found,
)
from localdc.api.httpsig import Signature, parse_key_id
from localdc.api.model import Account
from localdc.api.sshkeys import parse_public_key, same_key


def authenticate(center: Center, signature: Signature | None) -> Account:
    """The account that signed; raises 401, and 403 when it is disabled."""
    if signature is None:
        raise invalid_credentials("You must make authenticated requests to use CloudAPI")
    key_id = parse_key_id(signature.key_id)
    # `my` says whose key it is only to the one who holds it.
    account = None if key_id.login == "my" else center.store.accounts.find(key_id.login)
    if account is None or key_id.user is not None:
        raise invalid_credentials()
    for key in center.store.accounts.keys(account.uuid):
        if not same_key(key_id.key, key.name, key.fingerprint, key.line):
            continue
        parsed = parse_public_key(key.line)
        if parsed.verify(signature.algorithm, signature.signature, signature.signed):
            if account.disabled:
                raise not_authorized("Account or user is disabled")
            return account
    raise invalid_credentials()


def authorize(account: Account, wanted: str) -> None:
    """Raises 403 unless `wanted`, the path's first part, means `account` itself."""
    if wanted not in ("my", account.login, account.uuid):
        raise not_authorized(f"You do not have permission to access {wanted}")


def check_roles(method: str, headers: Mapping[str, str]) -> None:
    """Raises 409 for a call that wants what it makes tagged with roles: there are none.

    CloudAPI passes over a role it does not know, and so leaves the thing without the
    protection that was asked for.  `as-role` narrows the rights of sub-users only: an
    account's own calls are allowed before it is looked at (authorize() of its lib/auth.js).
    """
    role = headers.get("role-tag", "").partition(",")[0].strip()
    if role and method == "POST":
        raise invalid_argument(
            f"role {role} does not exist: this data center has no roles, leave Role-Tag out"
        )


def check_admin(center: Center, headers: Mapping[str, str]) -> None:
    """Raises 404 when this data center takes no admin calls, 401 for a wrong token."""
    token = center.settings.admin_token
    if token is None:
        raise not_found("this data center has no admin token, so it takes no admin calls")
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(
        given.strip().encode(), token.encode()
    ):
        raise ApiError(
            401,
            "InvalidCredentials",
            "admin calls need `Authorization: Bearer <admin token>`",
            headers={"WWW-Authenticate": "Bearer"},
        )


def caller(ip: str, signature: Signature | None) -> dict[str, Any]:
    """How the audit names the sender."""
    if signature is None:
        return {"type": "admin", "ip": ip}
    return {"type": "signature", "ip": ip, "keyId": signature.key_id}
