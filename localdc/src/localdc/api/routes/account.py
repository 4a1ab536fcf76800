"""Ping, account, configuration, data centers, services and limits.

Source: sdc-cloudapi, docs/index.md: Ping, Account, Config, Datacenters, Services, GetAccountLimits.
"""

from __future__ import annotations

from localdc.api.accounts import limits as provision_limits
from localdc.api.errors import invalid_argument, missing_parameter, not_found
from localdc.api.http import versions
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import Account, now_iso
from localdc.api.validate import is_uuid

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


def update(call: Call) -> Answer:
    account = call.account
    if call.params.get("triton_cns_enabled") not in (None, ""):
        account.cns_enabled = call.flag("triton_cns_enabled")
    for name in ("email", *PROFILE):
        value = call.params.get(name)
        if value is None or value == "":
            continue
        if not isinstance(value, str) or len(value) > 255:
            raise invalid_argument(f"{name} must be a string of at most 255 characters")
        if name == "email":
            if "@" not in value:
                raise invalid_argument("email: is invalid")
            account.email = value
        else:
            account.profile[name] = value
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
    network = call.params.get("default_network")
    if network is None:
        raise missing_parameter("default_network is a required argument")
    if not is_uuid(network):
        raise invalid_argument('property "default_network": must be a UUID')
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
