"""Fabrics: VLANs and networks that an account makes for itself.

Source: sdc-cloudapi, docs/index.md, Fabrics.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any

from localdc.api.catalogue import Network
from localdc.api.engine.networks import from_record, to_record, view
from localdc.api.errors import ApiError, invalid_argument, not_found, not_implemented, subnet_full
from localdc.api.http.call import Answer, Call, Route
from localdc.api.store.addresses import NoAddress
from localdc.api.store.documents import NETWORK, VLAN, DocumentTaken, Record
from localdc.api.validate import UUID
from localdc.api.values import boolean, shown
from localdc.api.values import refused_property as _bad

_VLANS = "/:account/fabrics/default/vlans"
_NETWORKS = f"{_VLANS}/:vlan/networks"
MAX_RESOLVERS = 4
MIN_BITS, MAX_BITS = 8, 32
PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""What subnets of fabrics lie in (sdc-napi, lib/util/ip.js, isRFC1918)."""

# joyent-schemas, lib/primitive.js: netname_re, uuid_re
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_./-]{1,255}")
_MISMATCH = "does not match the regex pattern "
_VLAN_FIELDS = ("vlan_id", "name", "description")
_UPDATED_FIELDS = (
    "name",
    "description",
    "provision_start_ip",
    "provision_end_ip",
    "resolvers",
    "routes",
)
_NETWORK_FIELDS = (*_UPDATED_FIELDS, "subnet", "gateway", "internet_nat", "vlan_id")


def _check_fields(call: Call, known: Iterable[str]) -> None:
    """Nothing is passed over (joyent-schemas, lib/cloudapi: additionalProperties false)."""
    for name in call.params:
        if name not in known and name != "as-role":
            raise _bad(name, "unsupported property")


def _text(call: Call, name: str) -> str:
    """A property that must be there and a string."""
    if name not in call.params:
        raise _bad(name, "is missing and it is required")
    value = call.params[name]
    if not isinstance(value, str):
        raise _bad(name, f"{shown(value)} - a string is required")
    return value


def _name(call: Call) -> str:
    """joyent-schemas, lib/cloudapi/vlans.js and networks.js."""
    name = _text(call, "name")
    if _NAME.fullmatch(name) is None:
        raise _bad("name", f"{_MISMATCH}^{_NAME.pattern}$")
    return name


# VLANs


def _vlan_id(value: object) -> int:
    """A VLAN's number, in JSON or as digits; raises 409.

    Numbers are 2 to 4095 to CloudAPI (joyent-schemas, lib/primitive.js, vlanid), to which digits
    have no limits, and NAPI takes 0 to 4094 (sdc-napi, lib/util/validate.js, validateVLAN).
    """
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
        if number < 2:
            raise _bad("vlan_id", "must have a minimum value of 2")
        if number > 4095:
            raise _bad("vlan_id", "must have a maximum value of 4095")
    else:
        raise _bad("vlan_id", f"{shown(value)} - a integer is required")
    if number > 4094:
        raise _bad("vlan_id", "VLAN ID must be a number between 0 and 4094, and not 1")
    return number


def _all_vlans(call: Call) -> list[Record]:
    return call.center.store.documents.of(VLAN, call.account.uuid)


def _vlan(call: Call) -> Record:
    number = _vlan_id(call.args["vlan"])
    for record in _all_vlans(call):
        if record["vlan_id"] == number:
            return record
    raise not_found(f"VLAN {number} not found")


def _vlan_view(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "id"}


def list_vlans(call: Call) -> Answer:
    return Answer.json([_vlan_view(record) for record in _all_vlans(call)])


def create_vlan(call: Call) -> Answer:
    """Names need not be unique (sdc-napi, lib/models/vlan.js, createFabricVLAN)."""
    _check_fields(call, _VLAN_FIELDS)
    if "vlan_id" not in call.params:
        raise _bad("vlan_id", "is missing and it is required")
    number = _vlan_id(call.params["vlan_id"])
    record: Record = {"id": str(uuid.uuid4()), "vlan_id": number, "name": _name(call)}
    if "description" in call.params:
        record["description"] = _text(call, "description")
    store = call.center.store
    try:
        with store.transaction():
            store.documents.add(VLAN, call.account.uuid, record["id"], str(number), record)
    except DocumentTaken:
        raise _bad("vlan_id", "VLAN ID is already in use") from None
    location = f"/{call.account.login}/fabrics/default/vlans/{number}"
    return Answer.json(_vlan_view(record), 201, Location=location)


def get_vlan(call: Call) -> Answer:
    return Answer.json(_vlan_view(_vlan(call)))


def update_vlan(call: Call) -> Answer:
    record = _vlan(call)
    _check_fields(call, _VLAN_FIELDS)
    if "name" in call.params:
        record["name"] = _name(call)
    if "description" in call.params:
        record["description"] = _text(call, "description")
    store = call.center.store
    with store.transaction():
        store.documents.save(VLAN, record["id"], str(record["vlan_id"]), record)
    return Answer.json(_vlan_view(record), 202)


def delete_vlan(call: Call) -> Answer:
    """One with networks stays (sdc-napi, lib/models/vlan.js, deleteFabricVLAN)."""
    record = _vlan(call)
    networks = _of_vlan(call, record)
    if networks:
        raise invalid_argument(", ".join(f'In use by network "{n.id}"' for n in networks))
    store = call.center.store
    with store.transaction():
        store.documents.remove(VLAN, record["id"])
    return Answer(204)


# Networks


def _own(call: Call) -> list[Network]:
    """The networks of the account's fabric, on all of its VLANs."""
    records = call.center.store.documents.of(NETWORK, call.account.uuid)
    return [from_record(record) for record in records]


def _of_vlan(call: Call, vlan: Record) -> list[Network]:
    return [network for network in _own(call) if network.vlan_id == vlan["vlan_id"]]


def _network(call: Call) -> Network:
    identifier = call.args["network"]
    if UUID.fullmatch(identifier) is None or identifier != identifier.lower():
        raise _bad("id", f"{_MISMATCH}^[0-9a-f]{{8}}-[0-9a-f]{{4}}-...$, which is that of a uuid")
    for network in _of_vlan(call, _vlan(call)):
        if network.id == identifier:
            return network
    raise not_found("network not found")


def list_networks(call: Call) -> Answer:
    return Answer.json([view(network) for network in _of_vlan(call, _vlan(call))])


def _address(call: Call, name: str) -> IPv4Address:
    """sdc-cloudapi, lib/endpoints/networks.js, schemaValidate, for the message."""
    try:
        return IPv4Address(_text(call, name))
    except AddressValueError:
        raise _bad(name, "must be an IPv4 address") from None


def _subnet(call: Call) -> IPv4Network:
    """sdc-napi, lib/util/validate.js, validateSubnet; lib/models/network.js for private ranges."""
    address, slash, bits = _text(call, "subnet").partition("/")
    if not slash:
        raise _bad("subnet", "Subnet must be in CIDR form")
    try:
        first = IPv4Address(address)
    except AddressValueError:
        raise _bad("subnet", "Subnet IP invalid") from None
    if re.fullmatch("[0-9]{1,2}", bits) is None or not MIN_BITS <= int(bits) <= MAX_BITS:
        raise _bad("subnet", "Subnet bits invalid")
    subnet = IPv4Network((first, int(bits)), strict=False)
    if subnet.network_address != first:
        raise _bad("subnet", "invalid CIDR format")
    if not any(subnet.subnet_of(private) for private in PRIVATE):
        raise _bad("subnet", "subnet must be within private ranges")
    return subnet


def _resolvers(call: Call) -> tuple[str, ...]:
    """joyent-schemas, lib/cloudapi/networks.js; how many: sdc-cloudapi, createFabricNetwork."""
    given = call.params.get("resolvers", [])
    if not isinstance(given, list):
        raise _bad("resolvers", f"{shown(given)} - a array is required")
    resolvers = []
    for index, entry in enumerate(given):
        try:
            resolvers.append(str(IPv4Address(entry if isinstance(entry, str) else "")))
        except AddressValueError:
            raise _bad(f"resolvers[{index}]", "must be an IPv4 address") from None
    if len(resolvers) > MAX_RESOLVERS:
        raise _bad("resolvers", f"maximum of {MAX_RESOLVERS} resolvers")
    return tuple(resolvers)


def _routes(call: Call, subnet: IPv4Network) -> dict[str, str]:
    """Subnets, or single addresses, and where they lead (sdc-napi, validateRoutes).

    Where to must lie in the subnet: on SmartOS vmadm, and not NAPI, would find that out.
    """
    given = call.params.get("routes") or {}
    if not isinstance(given, dict):
        raise _bad("routes", "must be an object")
    routes = {}
    for to, via in given.items():
        try:
            destination, gateway = IPv4Network(to), IPv4Address(via if isinstance(via, str) else "")
        except ValueError:
            raise _bad("routes", f"invalid route: {to}") from None
        if gateway not in subnet:
            raise _bad("routes", f"{via} is not in {subnet}, so no machine can reach it")
        routes[str(destination)] = str(gateway)
    return routes


def _check_range(subnet: IPv4Network, network: Network) -> None:
    """sdc-napi, lib/models/network.js, validateProvisionRange, with its messages."""
    first, last = IPv4Address(network.provision_start), IPv4Address(network.provision_end)
    for name, address in (("provision_start_ip", first), ("provision_end_ip", last)):
        if address not in subnet:
            raise _bad(name, f"{name} cannot be outside subnet")
    if network.gateway is not None and IPv4Address(network.gateway) not in subnet:
        raise _bad("gateway", "gateway cannot be outside subnet")
    for name, address in (("provision_start_ip", first), ("provision_end_ip", last)):
        if address == subnet.broadcast_address:
            raise _bad(name, f"{name} cannot be the broadcast address")
    if first >= last:
        raise _bad("provision_end_ip", "provision_start_ip must be before provision_end_ip")


def _internet_nat(call: Call) -> bool:
    """sdc-napi, lib/util/validate.js, validateBoolean; true when it is not given."""
    given = boolean(
        call.params, "internet_nat", lambda name, _: _bad(name, "must be a boolean value")
    )
    if given:
        _check_nat(call)
    return given is not False


def _check_nat(call: Call) -> None:
    if not call.center.settings.firewall:
        raise not_implemented(
            "this data center cannot masquerade, because nft is missing; set internet_nat false, "
            "or install it on the host and start again: apt-get install nftables"
        )


def create_network(call: Call) -> Answer:
    """One that is to have a way out and no gateway gets its first address for one.

    Source: sdc-napi, lib/models/network.js, createNetworkObject.
    """
    vlan = _vlan(call)
    _check_fields(call, _NETWORK_FIELDS)
    network = _new_network(call, vlan)
    subnet = IPv4Network(network.subnet)
    _check_range(subnet, network)
    if any(IPv4Network(other.subnet).overlaps(subnet) for other in _own(call)):
        # of all VLANs: they are one fabric (OVERLAP_FABRIC_NET_SQL)
        raise _bad("subnet", "subnet overlaps with another network")
    store = call.center.store
    try:
        with store.transaction():
            network = call.center.engine.networks.with_way_out(network)
            store.documents.add(
                NETWORK, call.account.uuid, network.id, network.name, to_record(network)
            )
    except DocumentTaken:
        raise _name_taken() from None
    except NoAddress as error:
        raise subnet_full(str(error)) from None
    vlans = f"/{call.account.login}/fabrics/default/vlans"
    location = f"{vlans}/{network.vlan_id}/networks/{network.id}"
    return Answer.json(view(network), 201, Location=location)


def _new_network(call: Call, vlan: Record) -> Network:
    name, subnet = _name(call), _subnet(call)
    start, end = _address(call, "provision_start_ip"), _address(call, "provision_end_ip")
    gateway = _address(call, "gateway") if "gateway" in call.params else None
    internet_nat = _internet_nat(call)
    if internet_nat and gateway is None and "internet_nat" in call.params:
        gateway = start
    return Network(
        id=str(uuid.uuid4()),
        name=name,
        description=_text(call, "description") if "description" in call.params else "",
        subnet=str(subnet),
        provision_start=str(start),
        provision_end=str(end),
        nic_tag="fabric",
        public=False,
        gateway=None if gateway is None else str(gateway),
        resolvers=_resolvers(call),
        fabric=True,
        vlan_id=vlan["vlan_id"],
        internet_nat=internet_nat,
        routes=_routes(call, subnet),
    )


def _name_taken() -> ApiError:
    """Names are unique within an account's fabric (sdc-napi, lib/models/network.js, nameStr)."""
    return _bad("name", "Already exists")


def get_network(call: Call) -> Answer:
    return Answer.json(view(_network(call)))


def update_network(call: Call) -> Answer:
    """What CloudAPI does not change it refuses (joyent-schemas, UpdateFabricNetwork)."""
    network = _network(call)
    _check_fields(call, _UPDATED_FIELDS)
    changes: dict[str, Any] = {}
    if "name" in call.params:
        changes["name"] = _name(call)
    if "description" in call.params:
        changes["description"] = _text(call, "description")
    if "provision_start_ip" in call.params:
        changes["provision_start"] = str(_address(call, "provision_start_ip"))
    if "provision_end_ip" in call.params:
        changes["provision_end"] = str(_address(call, "provision_end_ip"))
    subnet = IPv4Network(network.subnet)
    if "resolvers" in call.params:
        changes["resolvers"] = _resolvers(call)
    if "routes" in call.params:
        changes["routes"] = _routes(call, subnet)
    changed = replace(network, **changes)
    _check_range(subnet, changed)
    store = call.center.store
    try:
        with store.transaction():
            store.documents.save(NETWORK, changed.id, changed.name, to_record(changed))
    except DocumentTaken:
        raise _name_taken() from None
    return Answer.json(view(changed))


def delete_network(call: Call) -> Answer:
    network = _network(call)
    # sdc-cloudapi, lib/endpoints/networks.js, deleteFabricNetwork
    if call.account.default_network == network.id:
        raise invalid_argument("cannot delete default network")
    store = call.center.store
    if store.addresses.used(network.id):
        # sdc-napi, lib/models/network.js, deleteNetwork
        raise invalid_argument("network must have no NICs provisioned")
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
