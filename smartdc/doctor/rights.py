"""What the key's owner may do, as far as it can be read.

Rules are in the language Aperture: ``CAN createmachine and deletemachine * [WHEN …]`` (aperture,
README; the actions are those of CloudAPI's documentation, "RBAC").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..client import Client
from ..config import Settings
from ..errors import RequestError
from .finding import Finding

ADMINISTRATOR = "administrator"
"""Its default members may do everything (sdc-cloudapi, lib/auth.js)."""
MACHINES = (
    *("createmachine", "deletemachine", "startmachine", "stopmachine", "addmachinetags"),
    *("deletemachinetag", "addmachinemetadata", "deletemachinemetadata"),
)
FIREWALL = ("createfirewallrule", "updatefirewallrule", "deletefirewallrule")
PAGE = "docs/accounts.md, Rights of a sub-user"
_PLAIN = re.compile(r"CAN\s+([a-z_*]+(?:(?:\s*,\s*|\s+AND\s+)[a-z_*]+)*)\s+\*", re.IGNORECASE)


def rights(api: Client, settings: Settings) -> list[Finding]:
    """Whether machines and firewall rules may be made and deleted."""
    if settings.act_as:
        return [Finding("Rights", "not known", f"those in {settings.act_as}: ask its owner")]
    if not settings.user:
        return [Finding("Rights", "ok", "everything: the key is the account's own")]
    try:
        roles = _active(api.get_list("roles"), settings)
        if any(role.get("name") == ADMINISTRATOR for role in roles):
            return [Finding("Rights", "ok", f"everything: default member of {ADMINISTRATOR}")]
        rules = [rule for role in roles for rule in _rules(api, role)]
    except RequestError:
        says = f"roles and policies cannot be read: compare them with {PAGE}"
        return [Finding("Rights", "not known", says)]
    names = ", ".join(str(role.get("name")) for role in roles) or "none"
    return [
        _judged("Machines", MACHINES, rules, names, needed=True),
        _judged("Firewall", FIREWALL, rules, names, needed=False),
    ]


def _active(roles: Iterable[Mapping[str, Any]], settings: Settings) -> list[Mapping[str, Any]]:
    """The roles that count for a request: those asked for, else the sub-user's default ones."""
    if settings.roles:
        return [role for role in roles if role.get("name") in settings.roles]
    return [role for role in roles if settings.user in _default_members(role)]


def _default_members(role: Mapping[str, Any]) -> set[Any]:
    """Logins; before version 9 of the protocol they are in a list of their own."""
    members = [m for m in role.get("members") or [] if isinstance(m, dict) and m.get("default")]
    return {*(role.get("default_members") or []), *(member.get("login") for member in members)}


def _rules(api: Client, role: Mapping[str, Any]) -> list[str]:
    rules: list[str] = []
    for policy in role.get("policies") or []:
        ident = policy.get("id") if isinstance(policy, dict) else policy
        rules += [str(rule) for rule in api.get_object("policies", ident).get("rules") or []]
    return rules


def _judged(
    topic: str, actions: Iterable[str], rules: Iterable[str], roles: str, *, needed: bool
) -> Finding:
    """Compare wanted actions with rules; what is conditional cannot be judged from outside."""
    allowed, unclear = granted(rules)
    if "*" in allowed:
        return Finding(topic, "ok", f"may be made and deleted, by roles: {roles}")
    missing = [action for action in actions if action not in allowed]
    if not missing:
        return Finding(topic, "ok", f"may be made and deleted, by roles: {roles}")
    said = f"roles ({roles}) lack the right to {', '.join(missing)}"
    if unclear:
        return Finding(topic, "not known", f"{said}, unless this grants it: {'; '.join(unclear)}")
    way = f"ask the account's owner for a policy that says CAN {' and '.join(missing)} * ({PAGE})"
    if needed:
        return Finding(topic, "problem", f"{said}: {way}")
    return Finding(topic, "note", f"{said}, which site.yml does without")


def granted(rules: Iterable[str]) -> tuple[set[str], list[str]]:
    """The actions that rules allow on everything, and the rules that may allow more.

    Rules that have conditions, name resources or match actions by patterns are among the latter.
    """
    allowed: set[str] = set()
    unclear: list[str] = []
    for rule in rules:
        plain = _PLAIN.fullmatch(rule.strip())
        if plain:
            words = re.split(r"\s*,\s*|\s+and\s+", plain[1].lower())
            allowed.update(words)
        else:
            unclear.append(rule)
    return allowed, unclear
