"""The networks of the data center, and those that accounts make: their fabrics."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from localdc.api.catalogue import Network
from localdc.api.settings import DataCenterSettings
from localdc.api.store import Store
from localdc.api.store.addresses import NoAddress
from localdc.api.store.documents import NETWORK, Record

log = logging.getLogger(__name__)


class Networks:
    """Every network that an account may use."""

    def __init__(self, settings: DataCenterSettings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def of(self, account: str) -> dict[str, Network]:
        """By id: the data center's, then the account's own."""
        own = (from_record(record) for record in self._store.documents.of(NETWORK, account))
        return {network.id: network for network in (*self._settings.networks, *own)}

    def get(self, account: str, identifier: object) -> Network | None:
        return self.of(account).get(identifier) if isinstance(identifier, str) else None

    @property
    def external(self) -> Network:
        """Where fabric networks find their way out to."""
        return next(network for network in self._settings.networks if network.public)

    def with_way_out(self, network: Network) -> Network:
        """The network with an external address, if it is to have one and has none.

        Like Triton's NAT zone it needs a gateway.  Raises NoAddress.
        """
        wanted = network.internet_nat and network.gateway and self._settings.firewall
        if not wanted or network.nat_ip:
            return network
        return replace(network, nat_ip=self._store.addresses.take(self.external))

    def provide_ways_out(self) -> None:
        """For networks that were made when there was no NAT."""
        documents = self._store.documents
        for _, record in documents.every(NETWORK):
            network = from_record(record)
            try:
                changed = self.with_way_out(network)
            except NoAddress as error:
                log.warning("network %s gets no NAT: %s", network.name, error)
                return
            if changed is not network:
                documents.save(NETWORK, network.id, network.name, to_record(changed))

    def default(self, account: str, chosen: str) -> Network:
        """The account's default network: chosen, or the first that is not public."""
        known = self.of(account)
        if chosen in known:
            return known[chosen]
        networks = self._settings.networks
        return next((network for network in networks if not network.public), networks[0])


def to_record(network: Network) -> Record:
    fields: dict[str, Any] = {name: getattr(network, name) for name in Network.__dataclass_fields__}
    return {**fields, "resolvers": list(network.resolvers), "routes": dict(network.routes)}


def from_record(record: Record) -> Network:
    return Network(**{**record, "resolvers": tuple(record["resolvers"])})


def view(network: Network) -> dict[str, object]:
    """As CloudAPI shows it; a fabric network tells more of itself.

    Source: sdc-cloudapi, lib/endpoints/networks.js, translateNetwork.
    """
    shown: dict[str, object] = {
        "id": network.id,
        "name": network.name,
        "public": network.public,
    }
    if network.description:
        shown["description"] = network.description
    if not network.fabric:
        return shown
    shown.update(
        fabric=True,
        subnet=network.subnet,
        provision_start_ip=network.provision_start,
        provision_end_ip=network.provision_end,
    )
    if network.gateway:
        shown["gateway"] = network.gateway
    shown["resolvers"] = list(network.resolvers)
    if network.routes:
        shown["routes"] = dict(network.routes)
    shown["internet_nat"] = network.internet_nat
    shown["vlan_id"] = network.vlan_id
    return shown
