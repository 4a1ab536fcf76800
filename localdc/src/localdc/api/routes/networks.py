"""Networks and their addresses (sdc-cloudapi, docs/index.md, Networks)."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network

from localdc.api.catalogue import Network
from localdc.api.engine.networks import Offered, view
from localdc.api.errors import (
    ApiError,
    invalid_argument,
    invalid_field,
    missing_parameter,
    not_found,
    validation_failed,
)
from localdc.api.http.call import Answer, Call, Route
from localdc.api.store.addresses import AddressRecord
from localdc.api.values import boolean, integer

MAX_LIMIT = 1000


def _view(call: Call, offer: Offered) -> dict[str, object]:
    shown = view(offer)
    if call.account.cns_enabled:
        shown["suffixes"] = call.center.cns.suffixes(offer.public, call.account)
    return shown


def list_networks(call: Call) -> Answer:
    networks = call.center.engine.networks.offered(call.account.uuid).values()
    return Answer.json([_view(call, n) for n in networks if n.fabric or not call.flag("fabric")])


def _offer(call: Call) -> Offered:
    offer = call.center.engine.networks.get(call.account.uuid, call.args["network"].lower())
    if offer is None:
        raise not_found(f"{call.args['network']} not found")
    return offer


def get(call: Call) -> Answer:
    return Answer.json(_view(call, _offer(call)))


def _network(call: Call) -> Network:
    """The network whose addresses are asked for; those of pools are not told."""
    offer = _offer(call)
    if offer.pool:
        raise invalid_argument(f"cannot get IPs in a network pool: {offer.id}")
    return offer.networks[0]


def _ip(call: Call, network: Network) -> str:
    text = call.args["ip"]
    try:
        address = IPv4Address(text)
    except AddressValueError:
        raise invalid_argument('property "ip": must be an IP address') from None
    if address not in IPv4Network(network.subnet):
        raise not_found(f"{text} not found")
    return str(address)


def _record_view(call: Call, network: Network, record: AddressRecord) -> dict[str, object]:
    if record.ip == network.gateway:
        return {"ip": record.ip, "reserved": True, "managed": True}
    return record.view()


def _visible(call: Call, record: AddressRecord) -> bool:
    return record.account in (None, call.account.uuid)


def page(call: Call) -> tuple[int, int]:
    """limit and offset; raises 409 ValidationFailed."""
    limit = integer(call.params, "limit", invalid_page)
    offset = integer(call.params, "offset", invalid_page)
    limit = MAX_LIMIT if limit is None else limit
    offset = 0 if offset is None else offset
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid_page("limit", f"must be 1 to {MAX_LIMIT}")
    if offset < 0:
        raise invalid_page("offset", "must be 0 or more")
    return limit, offset


def invalid_page(name: str, problem: str) -> ApiError:
    """A number that VMAPI judges (sdc-vmapi, lib/common/validation.js, validateListVmsParams)."""
    return validation_failed("Invalid Parameters", invalid_field(name, f"{name} {problem}"))


def list_ips(call: Call) -> Answer:
    network = _network(call)
    limit, offset = page(call)
    records = call.center.store.addresses.list(network.id)
    if network.gateway is not None:
        records.append(AddressRecord(network.gateway, True, None, None))
        records.sort(key=lambda record: int(IPv4Address(record.ip)))
    visible = [r for r in records if _visible(call, r)][offset : offset + limit]
    return Answer.json(
        [_record_view(call, network, record) for record in visible],
        X_Query_Limit=str(limit),
        X_Resource_Count=str(len(visible)),
    )


def _record(call: Call, network: Network, ip: str) -> AddressRecord:
    record = call.center.store.addresses.find(network.id, ip)
    if record is None:
        return AddressRecord(ip, False, None, None)
    if not _visible(call, record):
        raise not_found(f"{ip} not found")
    return record


def get_ip(call: Call) -> Answer:
    network = _network(call)
    record = _record(call, network, _ip(call, network))
    return Answer.json(_record_view(call, network, record))


def _reserved_refused(name: str, _: str) -> ApiError:
    return invalid_argument(f"{name} must be set to true or false")


def put_ip(call: Call) -> Answer:
    network = _network(call)
    ip = _ip(call, network)
    # wordings: sdc-cloudapi, lib/endpoints/networks.js, updateNetworkIp
    reserved = boolean(call.params, "reserved", _reserved_refused)
    if reserved is None:
        raise missing_parameter("reserved is a required argument")
    if network.public:
        raise invalid_argument(f"cannot update an IP on a public network: {network.id}")
    if ip == network.gateway:
        raise invalid_argument(f"cannot update managed IP: {ip}")
    _record(call, network, ip)
    store = call.center.store
    with store.transaction():
        store.addresses.reserve(network.id, ip, call.account.uuid, reserved)
    return Answer.json(_record_view(call, network, _record(call, network, ip)))


ROUTES = (
    Route("GET", "/:account/networks", list_networks),
    Route("GET", "/:account/networks/:network", get),
    Route("GET", "/:account/networks/:network/ips", list_ips),
    Route("GET", "/:account/networks/:network/ips/:ip", get_ip),
    Route("PUT", "/:account/networks/:network/ips/:ip", put_ip),
)
