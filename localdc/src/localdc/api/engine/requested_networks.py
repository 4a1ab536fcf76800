"""The networks and addresses that a request wants for a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from localdc.api.catalogue import Network
from localdc.api.engine.networks import Offered
from localdc.api.errors import invalid_argument, not_found

INVALID = "Invalid Networks"


def networks_and_addresses(
    wanted: object, known: Mapping[str, Offered]
) -> list[tuple[str, str | None]]:
    """(network id, wanted address or None), without duplicates; raises 409."""
    if isinstance(wanted, str) and wanted.startswith(("[", "{")):
        try:
            wanted = json.loads(wanted)
        except ValueError:
            raise invalid_argument(INVALID) from None
    entries = wanted if isinstance(wanted, list) else [wanted]
    if len({isinstance(entry, dict) for entry in entries}) > 1:
        # ids and objects do not mix (sdc-cloudapi, lib/machines.js, getCreateOptions)
        raise invalid_argument(INVALID)
    requested: dict[str, str | None] = {}
    for entry in entries:
        network, ip = network_and_address(entry, known)
        requested.setdefault(network.id, ip)
    return list(requested.items())


def network_and_address(
    entry: object, known: Mapping[str, Offered], unknown: str = INVALID
) -> tuple[Offered, str | None]:
    """A uuid, or an object with `ipv4_uuid` and perhaps `ipv4_ips`; raises 404 and 409.

    Of an address with which a network cannot be asked for CloudAPI's lib/validation/networks.js,
    validateNetworkObject, says why.
    """
    ip: str | None = None
    identifier = entry
    if isinstance(entry, dict):
        identifier = entry.get("ipv4_uuid")
        ips = entry.get("ipv4_ips")
        if entry.get("ipv4_count", 1) not in (1, "1"):
            raise invalid_argument(f"{INVALID}: ipv4_count must be 1")
        if ips is not None:
            if not isinstance(ips, list) or len(ips) != 1 or not isinstance(ips[0], str):
                raise invalid_argument(f"{INVALID}: ipv4_ips must hold one address")
            ip = ips[0]
    network = known.get(identifier) if isinstance(identifier, str) else None
    if network is None:
        raise invalid_argument(unknown)
    if ip is not None and not network.listed:
        raise not_found(f"ipv4_uuid: network {network.id} not found")
    if ip is not None and network.pool:
        raise invalid_argument(f"ipv4_uuid: {network.id} cannot specify IP on a network pool")
    if ip is not None:
        check_machine_ip(network.networks[0], ip)
    return network, ip


def check_machine_ip(network: Network, ip: str) -> None:
    """Raises 409 unless a machine may ask for `ip` in `network`.

    On public networks it may not (sdc-cloudapi, lib/validation/networks.js).
    """
    if network.public:
        raise invalid_argument(f"ipv4_uuid: {network.id} cannot specify IP on a public network")
    try:
        address = IPv4Address(ip)
    except AddressValueError:
        raise invalid_argument(f"{INVALID}: {ip} is not an IPv4 address") from None
    subnet = IPv4Network(network.subnet)
    special = {str(subnet.network_address), str(subnet.broadcast_address), network.gateway}
    if address not in subnet or ip in special:
        raise invalid_argument(
            f"{INVALID}: {ip} is not an address for machines of network {network.name}"
        )
