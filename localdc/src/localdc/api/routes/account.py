"""Ping, account, configuration, data centers, services and limits.

Source: sdc-cloudapi, docs/index.md: Ping, Account, Config, Datacenters, Services, GetAccountLimits.
"""

from __future__ import annotations

from localdc.api.accounts import limits as provision_limits
from localdc.api.errors import ApiError, invalid_argument, not_found
from localdc.api.http import versions
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import Account, now_iso
from localdc.api.validate import is_uuid
from localdc.api.values import boolean, refused_property, text

PROFILE = (
    "companyName",
    "firstName",
    "lastName",
    "postalCode",
    "address",
    "city",
    "state",
    "country",
    "phone",
)


def ping(call: Call) -> Answer:
    supported = [versions.text(version) for version in versions.SUPPORTED]
    return Answer.json(
        {"ping": "pong", "cloudapi": {"versions": supported}},
        Triton_Datacenter_Name=call.center.settings.name,
    )


def _view(account: Account) -> dict[str, object]:
    view: dict[str, object] = {
        "id": account.uuid,
        "login": account.login,
        "email": account.email,
    }
    view.update({name: account.profile[name] for name in PROFILE if account.profile.get(name)})
    view["triton_cns_enabled"] = account.cns_enabled
    view["updated"] = account.updated
    view["created"] = account.created
    return view


def get(call: Call) -> Answer:
    return Answer.json(_view(call.account))


def _cns_refused(name: str, _: str) -> ApiError:
    return invalid_argument(f'{name} must be either "true" or "false"')


def update(call: Call) -> Answer:
    """Empty fields are left as they are (sdc-cloudapi, lib/account.js, update)."""
    account = call.account
    cns_enabled = boolean(call.params, "triton_cns_enabled", _cns_refused)
    account.cns_enabled = account.cns_enabled if cns_enabled is None else cns_enabled
    account.email = text(call.params, "email") or account.email
    given = {name: text(call.params, name) for name in PROFILE}
    account.profile |= {name: value for name, value in given.items() if value}
    account.updated = now_iso()
    with call.center.store.transaction():
        call.center.store.accounts.save(account)
    return Answer.json(_view(account))


def limits(call: Call) -> Answer:
    center = call.center
    return Answer.json(provision_limits.used(center.store, center.settings, call.account.uuid))


def _default_network(call: Call) -> str:
    networks = call.center.engine.networks
    return networks.default(call.account.uuid, call.account.default_network)


def config(call: Call) -> Answer:
    return Answer.json({"default_network": _default_network(call)})


def set_config(call: Call) -> Answer:
    """Judged as joyent-schemas, lib/cloudapi/config.js, does."""
    for name in call.params:
        if name not in ("default_network", "as-role"):
            raise refused_property(name, "unsupported property")
    if "default_network" not in call.params:
        raise refused_property("default_network", "is missing and it is required")
    network = call.params["default_network"]
    if not is_uuid(network):
        raise refused_property("default_network", "must be a UUID")
    if call.center.engine.networks.get(call.account.uuid, network) is None:
        raise invalid_argument("unknown network")
    call.account.default_network = str(network)
    call.account.updated = now_iso()
    with call.center.store.transaction():
        call.center.store.accounts.save(call.account)
    return config(call)


def datacenters(call: Call) -> Answer:
    name = call.center.settings.name
    return Answer.json({name: call.base_url}, Triton_Datacenter_Name=name)


def datacenter(call: Call) -> Answer:
    name = call.args["datacenter"]
    if name != call.center.settings.name:
        raise not_found(f"{name} is not an available datacenter")
    body = {"code": "ResourceMoved", "message": f"{name} {call.base_url}"}
    return Answer.json(body, 302, Location=call.base_url)


def services(call: Call) -> Answer:
    return Answer.json({"cloudapi": call.base_url})


ROUTES = (
    Route("GET", "/--ping", ping, access="public"),
    Route("GET", "/:account", get),
    Route("POST", "/:account", update),
    Route("GET", "/:account/limits", limits),
    Route("GET", "/:account/config", config),
    Route("PUT", "/:account/config", set_config),
    Route("GET", "/:account/datacenters", datacenters),
    Route("GET", "/:account/datacenters/:datacenter", datacenter),
    Route("GET", "/:account/services", services),
)
