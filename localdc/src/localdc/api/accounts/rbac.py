"""Sub-users of an account: their keys, their roles, and what these allow.

Who opens machines: sdc-cloudapi, lib/machines.js (loadSSHKeys), and sdc-ufds, capi/keys.js, which
smartlogin asks.  Who may do what: sdc-cloudapi, lib/auth.js (authorize), and authorize of
node-mahi, lib/client.js.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any

from localdc.api.accounts import aperture
from localdc.api.errors import not_authorized
from localdc.api.model import Account, Key
from localdc.api.store import Store
from localdc.api.store.documents import (
    POLICY,
    ROLE,
    ROLE_TAGS,
    USER,
    USER_KEY,
    DocumentTaken,
    Record,
)

ADMINISTRATOR = "administrator"
"""The role that may do everything, and the keys of whose default members open machines."""

# Names of the routes of sdc-cloudapi (lib/*.js, mount), as policies have them.
ACTIONS: dict[str, dict[str, str]] = {
    "/:account": {"GET": "getaccount", "POST": "updateaccount"},
    "/:account/limits": {"GET": "getprovisioninglimits"},
    "/:account/config": {"GET": "getconfig", "PUT": "updateconfig"},
    "/:account/datacenters": {"GET": "listdatacenters"},
    "/:account/datacenters/:datacenter": {"GET": "getdatacenter"},
    "/:account/services": {"GET": "listservices"},
    "/:account/accesskeys": {"GET": "listaccesskeys", "POST": "createaccesskey"},
    "/:account/accesskeys/:accesskey": {"GET": "getaccesskey", "DELETE": "deleteaccesskey"},
    "/:account/keys": {"GET": "listkeys", "POST": "createkey"},
    "/:account/keys/:key": {"GET": "getkey", "DELETE": "deletekey"},
    "/:account/users": {"GET": "listusers", "POST": "createuser"},
    "/:account/users/:user": {"GET": "getuser", "POST": "updateuser", "DELETE": "deleteuser"},
    "/:account/users/:user/change_password": {"POST": "changeuserpassword"},
    "/:account/users/:user/keys": {"GET": "listuserkeys", "POST": "createuserkey"},
    "/:account/users/:user/keys/:key": {"GET": "getuserkey", "DELETE": "deleteuserkey"},
    "/:account/roles": {"GET": "listroles", "POST": "createrole"},
    "/:account/roles/:role": {"GET": "getrole", "POST": "updaterole", "DELETE": "deleterole"},
    "/:account/policies": {"GET": "listpolicies", "POST": "createpolicy"},
    "/:account/policies/:policy": {
        "GET": "getpolicy",
        "POST": "updatepolicy",
        "DELETE": "deletepolicy",
    },
    "/:account/images": {"GET": "listimages", "POST": "createimagefrommachine"},
    "/:account/images/:image": {
        "GET": "getimage",
        "POST": "updateimage",
        "DELETE": "deleteimage",
    },
    "/:account/packages": {"GET": "listpackages"},
    "/:account/packages/:package": {"GET": "getpackage"},
    "/:account/networks": {"GET": "listnetworks"},
    "/:account/networks/:network": {"GET": "getnetwork"},
    "/:account/networks/:network/ips": {"GET": "listnetworkips"},
    "/:account/networks/:network/ips/:ip": {"GET": "getnetworkip", "PUT": "updatenetworkip"},
    "/:account/fabrics/default/vlans": {"GET": "listfabricvlans", "POST": "createfabricvlan"},
    "/:account/fabrics/default/vlans/:vlan": {
        "GET": "getfabricvlan",
        "PUT": "updatefabricvlan",
        "DELETE": "deletefabricvlan",
    },
    "/:account/fabrics/default/vlans/:vlan/networks": {
        "GET": "listfabricnetworks",
        "POST": "createfabricnetwork",
    },
    "/:account/fabrics/default/vlans/:vlan/networks/:network": {
        "GET": "getfabricnetwork",
        "PUT": "updatefabricnetwork",
        "DELETE": "deletefabricnetwork",
    },
    "/:account/fwrules": {"GET": "listfirewallrules", "POST": "createfirewallrule"},
    "/:account/fwrules/:rule": {
        "GET": "getfirewallrule",
        "POST": "updatefirewallrule",
        "DELETE": "deletefirewallrule",
    },
    "/:account/fwrules/:rule/enable": {"POST": "enablefirewallrule"},
    "/:account/fwrules/:rule/disable": {"POST": "disablefirewallrule"},
    "/:account/fwrules/:rule/machines": {"GET": "listfirewallrulemachines"},
    "/:account/volumes": {"GET": "listvolumes", "POST": "createvolume"},
    "/:account/volumes/:volume": {
        "GET": "getvolume",
        "POST": "updatevolume",
        "DELETE": "deletevolume",
    },
    "/:account/volumesizes": {"GET": "listvolumesizes"},
    "/:account/migrations": {"GET": "listmigrations"},
    "/:account/migrations/:machine": {"GET": "getmigration"},
    "/:account/changefeed": {"GET": "changefeed"},
    "/:account/machines": {"GET": "listmachines", "POST": "createmachine"},
    "/:account/machines/:machine": {"GET": "getmachine", "DELETE": "deletemachine"},
    "/:account/machines/:machine/audit": {"GET": "machineaudit"},
    "/:account/machines/:machine/fwrules": {"GET": "listmachinefirewallrules"},
    "/:account/machines/:machine/metadata": {
        "GET": "listmachinemetadata",
        "POST": "addmachinemetadata",
        "DELETE": "deleteallmachinemetadata",
    },
    "/:account/machines/:machine/metadata/:key": {
        "GET": "getmachinemetadata",
        "DELETE": "deletemachinemetadata",
    },
    "/:account/machines/:machine/tags": {
        "GET": "listmachinetags",
        "POST": "addmachinetags",
        "PUT": "replacemachinetags",
        "DELETE": "deletemachinetags",
    },
    "/:account/machines/:machine/tags/:tag": {
        "GET": "getmachinetag",
        "DELETE": "deletemachinetag",
    },
    "/:account/machines/:machine/snapshots": {
        "GET": "listmachinesnapshots",
        "POST": "createmachinesnapshot",
    },
    "/:account/machines/:machine/snapshots/:snapshot": {
        "GET": "getmachinesnapshot",
        "POST": "startmachinefromsnapshot",
        "DELETE": "deletemachinesnapshot",
    },
    "/:account/machines/:machine/nics": {"GET": "listnics", "POST": "addnic"},
    "/:account/machines/:machine/nics/:mac": {"GET": "getnic", "DELETE": "removenic"},
    "/:account/machines/:machine/disks": {
        "GET": "listmachinedisks",
        "POST": "createmachinedisk",
    },
    "/:account/machines/:machine/disks/:item": {
        "GET": "getmachinedisk",
        "POST": "resizemachinedisk",
        "DELETE": "deletemachinedisk",
    },
    "/:account/machines/:machine/vnc": {"GET": "connectmachinevnc"},
    "/:account/machines/:machine/migrate": {"POST": "migrate"},
}
TAGGABLE = (
    "machines", "users", "roles", "packages", "images", "policies", "keys", "datacenters",
    "fwrules", "networks", "services",
)  # fmt: skip
"""Resources that role tags can be put on (sdc-cloudapi, lib/resources.js, saveResource)."""
ROLE_TAG_PATTERNS = (
    "/:account",
    *(f"/:account/{name}" for name in TAGGABLE),
    *(f"/:account/{name}/:item" for name in TAGGABLE if name != "fwrules"),
)
"""What PUT puts role tags on; PUT of a rule changes the rule here."""
# The names of HEAD are those of GET with another first word, but for these.
_HEAD = {"machineaudit": "headaudit"}
_HEAD |= {name: name for name in ("listnics", "getnic", "getfabricvlan", "getfabricnetwork")}
_HEAD |= {name: name for name in ("listmachinedisks", "getmachinedisk")}


def action(method: str, pattern: str, params: Mapping[str, Any]) -> str:
    """What a policy calls the call of a route; empty for what CloudAPI does not have."""
    if (method, pattern) == ("POST", "/:account/machines/:machine"):
        wanted = str(params.get("action"))
        if wanted in ("enable_firewall", "disable_firewall"):
            return f"{wanted.partition('_')[0]}machinefirewall"
        return f"{wanted}machine"
    names = ACTIONS.get(pattern, {})
    if method != "HEAD":
        return names.get(method, "setroletags" if pattern in ROLE_TAG_PATTERNS else "")
    name = names.get("GET", "")
    return _HEAD.get(name, "head" + name.removeprefix("get").removeprefix("list"))


def user_of(store: Store, account: str, login_or_id: str) -> Record | None:
    documents = store.documents
    return documents.named(USER, account, login_or_id) or documents.get(USER, account, login_or_id)


def user_keys(store: Store, user: Record) -> list[Key]:
    return [Key(**record) for record in store.documents.of(USER_KEY, user["id"])]


def add_user_key(store: Store, user: Record, key: Key) -> bool:
    """False when the sub-user has a key of this name or this fingerprint."""
    scope = user["id"]
    try:
        store.documents.add(USER_KEY, scope, f"{scope} {key.fingerprint}", key.name, asdict(key))
    except DocumentTaken:
        return False
    return True


def remove_user_key(store: Store, user: Record, key: Key) -> None:
    store.documents.remove(USER_KEY, f"{user['id']} {key.fingerprint}")


def login_keys(store: Store, account: str) -> list[Key]:
    """The keys that open the machines of an account.

    Those of the account, and of the default members of its role administrator; no others.
    """
    keys = store.accounts.keys(account)
    role = store.documents.named(ROLE, account, ADMINISTRATOR)
    for member in role["members"] if role else ():
        user = store.documents.get(USER, account, member["id"]) if member["default"] else None
        keys += user_keys(store, user) if user else []
    return keys


def active_roles(store: Store, account: Account, user: Record, wanted: str | None) -> list[Record]:
    """The roles that a request is made in: those named in `as-role`, or the default ones.

    Raises 403 for one that the user does not have.
    """
    mine = [
        (role, member["default"])
        for role in store.documents.of(ROLE, account.uuid)
        for member in role["members"]
        if member["id"] == user["id"]
    ]
    if not wanted:
        return [role for role, default in mine if default]
    named = {role["name"]: role for role, _ in mine}
    asked = wanted.split(",")
    if not named.keys() >= set(asked):
        raise not_authorized(f"You do not have permission to access {account.login}")
    return [named[name] for name in asked]


def resource_of(path: str, login: str) -> str:
    """The thing that role tags of a path are on: sdc-cloudapi, lib/resources.js, resourceName."""
    parts = [login, *path.strip("/").split("/")[1:]]
    if len(parts) > 3 and parts[1] == "users" and parts[3] == "keys":
        return "/" + "/".join(parts)
    if len(parts) == 4 or parts[1:2] == ["machines"]:
        return "/" + "/".join(parts[:3])
    return "/" + "/".join(parts[:4])


def role_tags(store: Store, scope: str, resource: str) -> list[str]:
    """Ids of the roles that a resource is tagged with."""
    record = store.documents.get(ROLE_TAGS, scope, resource)
    return list(record["roles"]) if record else []


def set_role_tags(store: Store, scope: str, resource: str, roles: Iterable[Record]) -> None:
    """Within a transaction; scope: the account, or the machine."""
    store.documents.remove(ROLE_TAGS, resource)
    record = {"roles": [role["id"] for role in roles]}
    store.documents.add(ROLE_TAGS, scope, resource, resource, record)


def permits(
    store: Store,
    account: Account,
    roles: Iterable[Record],
    action: str,
    path: str,
    tagged: Iterable[str],
    conditions: Mapping[str, Any],
) -> bool:
    """Whether one of the roles allows an action; tagged: ids of the roles of the resource.

    A rule counts that names resources itself, or whose role the resource is tagged with.
    """
    tags = set(tagged)
    rules: list[aperture.Rule] = []
    held = list(roles)
    if any(role["name"] == ADMINISTRATOR for role in held):
        return True
    try:
        for role in held:
            for policy in role["policies"]:
                own = _rules(store, account.uuid, policy)
                rules += [rule for rule in own if rule.names_resource or role["id"] in tags]
        return aperture.allowed(rules, action, path, conditions)
    except (aperture.EvaluationError, aperture.RuleError):
        # a rule that was accepted once, and is not any more, can be looked at no better
        return False


def conditions_of(
    now: datetime, headers: Mapping[str, str], ip: str, method: str, center: str
) -> dict[str, Any]:
    """What rules may ask about every request."""
    return {
        "date": now,
        "day": now,
        "time": now,
        "user-agent": headers.get("user-agent"),
        "sourceip": ip,
        "method": method.lower(),
        "datacenter": center,
    }


def _rules(store: Store, account: str, policy_id: str) -> list[aperture.Rule]:
    policy = store.documents.get(POLICY, account, policy_id)
    return [_parsed(text) for text in sorted(policy["rules"])] if policy else []


@lru_cache(maxsize=1024)
def _parsed(text: str) -> aperture.Rule:
    return aperture.parse(text)
