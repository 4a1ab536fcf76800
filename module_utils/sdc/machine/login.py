"""Whether the key that signs for CloudAPI opens machines, too: a sub-user's mostly does not."""

from __future__ import annotations

from ansible.module_utils.sdc.client import DataCenter, config, errors, keys

ADMINISTRATOR = "administrator"


def key_problem(api: DataCenter, settings: config.Settings) -> str:
    """Why new machines would not let this key in; empty when they will.

    They accept the keys of their account, and those of default members of its role
    administrator (sdc-cloudapi, lib/machines.js, loadSSHKeys; sdc-ufds, capi/keys.js, which
    smartlogin asks).  Who signs with a key of the account itself needs no question, and who may
    not read the keys is no administrator.
    """
    if api.auth is None or (not settings.user and not settings.act_as):
        return ""
    own = keys.md5_of(api.auth.signer.blob)
    account = settings.act_as or settings.account
    if own in _account_keys(api) or _is_administrator(api, settings):
        return ""
    who = f"sub-user {settings.user}" if settings.user else f"account {settings.account}"
    way = (
        f"have the account's owner make {settings.user} a default member of the role "
        f"{ADMINISTRATOR}"
        if settings.user
        else "add the key to the account"
    )
    return (
        f"{who} signs with the key {own}, which opens no machine of {account}: they let in the "
        f"keys of the account and of default members of its role {ADMINISTRATOR}. Nothing was "
        f"created. Sign with a key of the account, {way}, or let a script of the machines add the "
        "key to /root/.ssh/authorized_keys (user_script; machine_user_script of site.yml)"
    )


def _account_keys(api: DataCenter) -> set[str]:
    try:
        listed = api.keys()
    except errors.Forbidden:
        return set()
    return {str(key.get("fingerprint")) for key in listed}


def _is_administrator(api: DataCenter, settings: config.Settings) -> bool:
    """Whether the sub-user is a default member; before version 9 members are names."""
    if not settings.user or settings.act_as:
        return False
    try:
        role = api.role(ADMINISTRATOR)
    except (errors.Forbidden, errors.NotFound):
        return False
    named = role.get("default_members") or []
    members = [m for m in role.get("members") or [] if isinstance(m, dict) and m.get("default")]
    logins = [*named, *(member.get("login") for member in members)]
    return settings.user in [*logins, *(member.get("id") for member in members)]
