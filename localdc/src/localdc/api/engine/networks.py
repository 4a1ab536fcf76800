"""The networks of the data center, and those that accounts make: their fabrics."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from localdc.api.catalogue import Network, Pool
from localdc.api.model import NicRecord
from localdc.api.settings import DataCenterSettings
from localdc.api.store import Store
from localdc.api.store.addresses import NoAddress
from localdc.api.store.documents import NETWORK, Record

log = logging.getLogger(__name__)


class PoolFull(NoAddress):
    """No network of the pool has a free address (sdc-napi, lib/util/errors.js, PoolFullError)."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What a machine can be attached to: a network, or a pool of some.

    networks: where its addresses come from, in the order in which they are tried.  listed: false
    for a network of a pool, which only AddNic takes (sdc-cloudapi, lib/nics.js, getNetwork).
    """

    id: str
    name: str
    description: str
    networks: tuple[Network, ...]
    pool: bool = False
    listed: bool = True

    @property
    def public(self) -> bool:
        return self.networks[0].public

    @property
    def fabric(self) -> bool:
        return not self.pool and self.networks[0].fabric


class Networks:
    """Every network that an account may use.

    pools: what of them is offered by pools only; those of the settings, until somebody changes it.
    """

    def __init__(self, settings: DataCenterSettings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self.pools: tuple[Pool, ...] = settings.pools

    def of(self, account: str) -> dict[str, Network]:
        """By id: the data center's, those of pools included, then the account's own."""
        own = (from_record(record) for record in self._store.documents.of(NETWORK, account))
        return {network.id: network for network in (*self._settings.networks, *own)}

    def attachable(self, account: str) -> dict[str, Offered]:
        """By id what AddNic takes: pools, then networks, those of pools included."""
        known = self.of(account)
        found: dict[str, Offered] = {}
        members: set[str] = set()
        for pool in sorted(self.pools, key=lambda pool: pool.id):
            # NAPI keeps and tries the networks of a pool in the order of their ids
            networks = tuple(known[ident] for ident in sorted(pool.networks))
            found[pool.id] = Offered(pool.id, pool.name, pool.description, networks, pool=True)
            members.update(pool.networks)
        for network in known.values():
            found[network.id] = Offered(
                network.id,
                network.name,
                network.description,
                (network,),
                listed=network.id not in members,
            )
        return found

    def offered(self, account: str) -> dict[str, Offered]:
        """By id what ListNetworks shows: pools, and networks that are in none."""
        return {i: offer for i, offer in self.attachable(account).items() if offer.listed}

    def get(self, account: str, identifier: object) -> Offered | None:
        return self.offered(account).get(identifier) if isinstance(identifier, str) else None

    def allocate(
        self, offer: Offered, machine: str, account: str, wanted: str | None, primary: bool
    ) -> NicRecord:
        """An address of a network, or of the first of a pool with room; raises NoAddress."""
        for network in offer.networks:
            try:
                return self._store.addresses.allocate(network, machine, account, wanted, primary)
            except NoAddress:
                if not offer.pool:
                    raise
        raise PoolFull(f"All networks in pool {offer.id} are full")

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

    def default(self, account: str, chosen: str) -> str:
        """The id of the account's default network: chosen, or the first that is not public."""
        offered = self.offered(account)
        if chosen in offered:
            return chosen
        first = next(iter(offered))
        return next((offer.id for offer in offered.values() if not offer.public), first)


def to_record(network: Network) -> Record:
    fields: dict[str, Any] = {name: getattr(network, name) for name in Network.__dataclass_fields__}
    return {**fields, "resolvers": list(network.resolvers), "routes": dict(network.routes)}


def from_record(record: Record) -> Network:
    return Network(**{**record, "resolvers": tuple(record["resolvers"])})


def view(network: Network | Offered) -> dict[str, object]:
    """As CloudAPI shows it; a fabric network tells more of itself, a pool nothing of its networks.

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
    if isinstance(network, Offered):
        (network,) = network.networks
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
