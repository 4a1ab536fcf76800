"""Fabrics: VLANs and networks that an account makes for itself.

Source: sdc-cloudapi, docs/index.md, Fabrics.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Any

from localdc.api.catalogue import Network
from localdc.api.engine.networks import from_record, to_record, view
from localdc.api.errors import ApiError, invalid_argument, not_found, not_implemented, subnet_full
from localdc.api.http.call import Answer, Call, Route
from localdc.api.http.params import integer, required
from localdc.api.settings import check_network
from localdc.api.store.addresses import NoAddress
from localdc.api.store.documents import NETWORK, VLAN, DocumentTaken, Record

_VLANS = "/:account/fabrics/default/vlans"
_NETWORKS = f"{_VLANS}/:vlan/networks"
MAX_VLAN = 4095
MAX_RESOLVERS = 4
FIXED = ("subnet", "gateway", "internet_nat", "vlan_id")


def _bad(name: str, message: str) -> ApiError:
    return invalid_argument(f'property "{name}": {message}')


def _text(call: Call, name: str) -> str:
    value = call.params[name]
    if not isinstance(value, str) or not 1 <= len(value) <= 255:
        raise _bad(name, "must be a string of 1 to 255 characters")
    return value


def _required(call: Call, name: str) -> Any:
    return required(call.params, name, f"{name} is a required argument")


# VLANs


def _vlan_id(value: object) -> int:
    try:
        number = integer({"vlan_id": value}, "vlan_id")
    except ValueError:
        number = None
    if number is None or not 0 <= number <= MAX_VLAN:
        raise _bad("vlan_id", f"must be a number between 0 and {MAX_VLAN}")
    return number


def _vlan(call: Call) -> Record:
    wanted = call.args["vlan"]
    vlans = call.center.store.documents.of(VLAN, call.account.uuid)
    for record in vlans:
        if str(record["vlan_id"]) == wanted:
            return record
    raise not_found(f"VLAN {wanted} not found")


def _vlan_view(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "id"}


def list_vlans(call: Call) -> Answer:
    vlans = call.center.store.documents.of(VLAN, call.account.uuid)
    return Answer.json([_vlan_view(record) for record in vlans])


def create_vlan(call: Call) -> Answer:
    number = _vlan_id(_required(call, "vlan_id"))
    _required(call, "name")
    record: Record = {"id": str(uuid.uuid4()), "vlan_id": number, "name": _text(call, "name")}
    if call.params.get("description"):
        record["description"] = _text(call, "description")
    if any(v["name"] == record["name"] for v in _all_vlans(call)):
        raise _bad("name", "is already in use")
    store = call.center.store
    try:
        with store.transaction():
            store.documents.add(VLAN, call.account.uuid, record["id"], str(number), record)
    except DocumentTaken:
        raise _bad("vlan_id", "is already in use") from None
    location = f"/{call.account.login}/fabrics/default/vlans/{number}"
    return Answer.json(_vlan_view(record), 201, Location=location)


def _all_vlans(call: Call) -> list[Record]:
    return call.center.store.documents.of(VLAN, call.account.uuid)


def get_vlan(call: Call) -> Answer:
    return Answer.json(_vlan_view(_vlan(call)))


def update_vlan(call: Call) -> Answer:
    record = _vlan(call)
    for name in ("name", "description"):
        if name in call.params:
            record[name] = _text(call, name)
    store = call.center.store
    with store.transaction():
        store.documents.save(VLAN, record["id"], str(record["vlan_id"]), record)
    return Answer.json(_vlan_view(record), 202)


def delete_vlan(call: Call) -> Answer:
    record = _vlan(call)
    if _of_vlan(call, record):
        raise invalid_argument("VLAN must not have any networks on it when deleted")
    store = call.center.store
    with store.transaction():
        store.documents.remove(VLAN, record["id"])
    return Answer(204)


# Networks


def _of_vlan(call: Call, vlan: Record) -> list[Network]:
    records = call.center.store.documents.of(NETWORK, call.account.uuid)
    networks = [from_record(record) for record in records]
    return [network for network in networks if network.vlan_id == vlan["vlan_id"]]


def _network(call: Call) -> Network:
    for network in _of_vlan(call, _vlan(call)):
        if network.id == call.args["network"].lower():
            return network
    raise not_found(f"{call.args['network']} not found")


def list_networks(call: Call) -> Answer:
    return Answer.json([view(network) for network in _of_vlan(call, _vlan(call))])


def _address(call: Call, name: str) -> str:
    try:
        return str(IPv4Address(str(_required(call, name))))
    except AddressValueError:
        raise _bad(name, "must be an IP address") from None


def _subnet(call: Call) -> IPv4Network:
    text = str(_required(call, "subnet"))
    try:
        subnet = IPv4Network(text)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise _bad("subnet", "must be a subnet in CIDR form") from None
    if not subnet.is_private or not 8 <= subnet.prefixlen <= 29 or "/" not in text:
        raise _bad("subnet", "must be a private subnet, /8 to /29")
    return subnet


def _resolvers(call: Call) -> tuple[str, ...]:
    given = call.params.get("resolvers") or []
    entries = given.split(",") if isinstance(given, str) else given
    try:
        resolvers = tuple(str(IPv4Address(str(entry))) for entry in entries)
    except (AddressValueError, TypeError):
        raise _bad("resolvers", "must be a list of IP addresses") from None
    if len(resolvers) > MAX_RESOLVERS:
        raise _bad("resolvers", f"maximum {MAX_RESOLVERS} resolvers")
    return resolvers


def _routes(call: Call, subnet: IPv4Network) -> dict[str, str]:
    given = call.params.get("routes") or {}
    if not isinstance(given, dict):
        raise _bad("routes", "must be an object")
    try:
        routes = {IPv4Network(to): IPv4Address(via) for to, via in given.items()}
    except ValueError:
        raise _bad("routes", "must lead from subnets to IP addresses") from None
    for via in routes.values():
        if via not in subnet:
            raise _bad("routes", f"{via} is not in {subnet}, so no machine can reach it")
    return {str(to): str(via) for to, via in routes.items()}


def _internet_nat(call: Call) -> bool:
    value = call.params.get("internet_nat", True)
    if value not in (True, False, "true", "false"):
        raise _bad("internet_nat", "must be a boolean")
    if value in (True, "true") and "internet_nat" in call.params:
        _check_nat(call)
    return value in (True, "true")


def _check_nat(call: Call) -> None:
    if not call.center.settings.firewall:
        raise not_implemented(
            "this data center cannot masquerade, because nft is missing; set internet_nat false, "
            "or install it on the host and start again: apt-get install nftables"
        )


def create_network(call: Call) -> Answer:
    vlan = _vlan(call)
    subnet = _subnet(call)
    _required(call, "name")
    network = Network(
        id=str(uuid.uuid4()),
        name=_text(call, "name"),
        description=_text(call, "description") if call.params.get("description") else "",
        subnet=str(subnet),
        provision_start=_address(call, "provision_start_ip"),
        provision_end=_address(call, "provision_end_ip"),
        nic_tag="fabric",
        public=False,
        gateway=_address(call, "gateway") if call.params.get("gateway") else None,
        resolvers=_resolvers(call),
        fabric=True,
        vlan_id=vlan["vlan_id"],
        internet_nat=_internet_nat(call),
        routes=_routes(call, subnet),
    )
    try:
        check_network(network)
    except ValueError as error:
        raise _bad("provision_start_ip", str(error)) from None
    for other in _of_vlan(call, vlan):
        if IPv4Network(other.subnet).overlaps(subnet):
            raise _bad("subnet", f"overlaps with network {other.name}")
    if any(known.name == network.name for known in _known(call)):
        raise _bad("name", "is already in use")
    store = call.center.store
    try:
        with store.transaction():
            network = call.center.engine.networks.with_way_out(network)
            store.documents.add(
                NETWORK, call.account.uuid, network.id, network.name, to_record(network)
            )
    except NoAddress as error:
        raise subnet_full(str(error)) from None
    vlans = f"/{call.account.login}/fabrics/default/vlans"
    location = f"{vlans}/{network.vlan_id}/networks/{network.id}"
    return Answer.json(view(network), 201, Location=location)


def _known(call: Call) -> list[Network]:
    return list(call.center.engine.networks.of(call.account.uuid).values())


def get_network(call: Call) -> Answer:
    return Answer.json(view(_network(call)))


def _check_fixed(call: Call, network: Network) -> None:
    """Raises 409 for what cannot change, rather than to forget it silently."""
    shown = view(network)
    for name in FIXED:
        wanted = call.params.get(name, shown.get(name))
        if str(wanted).lower() != str(shown.get(name)).lower():
            raise _bad(name, "cannot be changed; delete the network and make another")


def update_network(call: Call) -> Answer:
    network = _network(call)
    _check_fixed(call, network)
    changes: dict[str, Any] = {}
    for name in ("name", "description"):
        if name in call.params:
            changes[name] = _text(call, name)
    if "name" in changes and any(
        known.name == changes["name"] and known.id != network.id for known in _known(call)
    ):
        raise _bad("name", "is already in use")
    if "provision_start_ip" in call.params:
        changes["provision_start"] = _address(call, "provision_start_ip")
    if "provision_end_ip" in call.params:
        changes["provision_end"] = _address(call, "provision_end_ip")
    if "resolvers" in call.params:
        changes["resolvers"] = _resolvers(call)
    if "routes" in call.params:
        changes["routes"] = _routes(call, IPv4Network(network.subnet))
    changed = replace(network, **changes)
    try:
        check_network(changed)
    except ValueError as error:
        raise _bad("provision_start_ip", str(error)) from None
    store = call.center.store
    with store.transaction():
        store.documents.save(NETWORK, changed.id, changed.name, to_record(changed))
    return Answer.json(view(changed))


def delete_network(call: Call) -> Answer:
    network = _network(call)
    if call.account.default_network == network.id:
        raise invalid_argument("cannot delete default network")
    store = call.center.store
    if store.addresses.used(network.id):
        raise invalid_argument("network must have no NICs provisioned on it")
    with store.transaction():
        store.documents.remove(NETWORK, network.id)
        store.addresses.forget(network.id)
        if network.nat_ip:
            store.addresses.put_back(call.center.engine.networks.external.id, network.nat_ip)
    return Answer(204)


ROUTES = (
    Route("GET", _VLANS, list_vlans),
    Route("POST", _VLANS, create_vlan),
    Route("GET", f"{_VLANS}/:vlan", get_vlan),
    Route("PUT", f"{_VLANS}/:vlan", update_vlan),
    Route("DELETE", f"{_VLANS}/:vlan", delete_vlan),
    Route("GET", _NETWORKS, list_networks),
    Route("POST", _NETWORKS, create_network),
    Route("GET", f"{_NETWORKS}/:network", get_network),
    Route("PUT", f"{_NETWORKS}/:network", update_network),
    Route("DELETE", f"{_NETWORKS}/:network", delete_network),
)
