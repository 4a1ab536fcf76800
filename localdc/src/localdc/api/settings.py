"""What the owner of a data center may choose; everything else is state."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from localdc.api import catalogue
from localdc.api.catalogue import Image, Network, Package, Pool

NAMESPACE = uuid.UUID("6f3c2a5e-7a34-4c7e-9e0b-3b4c1de1a5f0")
COMPUTE_NODES = 3
MAX_COMPUTE_NODES = 1000


@dataclass(frozen=True, slots=True)
class AccountKey:
    """An SSH public key (OpenSSH line) that the account has from the start."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Throttle:
    """A token bucket per account: `burst` calls at once, then `rate` a second.

    The defaults are those of CloudAPI (sdc-cloudapi, docs/admin.md).
    """

    burst: int = 30
    rate: float = 10.0


@dataclass(frozen=True, slots=True)
class DataCenterSettings:
    """One data center.

    account, email, keys: the account that owns it; the keys are put back at
        every start, so a user cannot lock himself out for good.
    pools: what of the networks is offered by pools only.
    url: what clients call the data center; None = the Host they asked for.
    throttle: None = no limit.
    admin_token: bearer token of `/--admin`; None = no admin calls.
    provision_concurrency: zones provisioned or booted at the same time.
    max_clock_skew: seconds a request's Date may differ from our clock.
    dns_domain: what machines search names in.
    cns_public, cns_private: below them lie the zones of CNS, NAME.SUFFIX: one for addresses
        on public networks, one for all others; when they are the same, one for all.
    fabric_package_prefixes: what names of packages begin with whose machines may be on fabric
        networks; empty = all.
    compute_nodes: how many there are; all of them are this computer.
    brands: what the compute nodes can run.
    firewall: the compute nodes enforce firewalls; otherwise they are refused.
    fabrics: new accounts get a VLAN and a network of their own, as on Triton.
    repository: directory of the package repository; None = there is none.
    metadata_seconds: how long a change of metadata takes at least, when nothing
        else waits for the machine.
    """

    name: str = "localdc"
    account: str = "localdc"
    email: str = "root@localhost"
    keys: tuple[AccountKey, ...] = ()
    networks: tuple[Network, ...] = field(default_factory=catalogue.networks)
    pools: tuple[Pool, ...] = ()
    images: tuple[Image, ...] = field(default_factory=catalogue.images)
    packages: tuple[Package, ...] = field(default_factory=catalogue.packages)
    throttle: Throttle | None = field(default_factory=Throttle)
    admin_token: str | None = None
    url: str | None = None
    provision_concurrency: int = 8
    max_clock_skew: float = 300.0
    dns_domain: str = "local"
    cns_public: str = "triton.local"
    cns_private: str = "cns.local"
    fabric_package_prefixes: tuple[str, ...] = ()
    compute_nodes: int = COMPUTE_NODES
    brands: tuple[str, ...] = ("joyent", "joyent-minimal")
    firewall: bool = False
    metadata_seconds: float = 0.0
    fabrics: bool = True
    repository: Path | None = None

    def __post_init__(self) -> None:
        if not self.networks or not any(network.public for network in self.networks):
            raise ValueError("a data center needs at least one public network")
        for network in self.networks:
            check_network(network)
        for pool in self.pools:
            check_pool(pool, self.networks)
        if not 1 <= self.compute_nodes <= MAX_COMPUTE_NODES:
            raise ValueError(f"a data center has 1 to {MAX_COMPUTE_NODES} compute nodes")

    @property
    def server_uuid(self) -> str:
        """The id of the first compute node."""
        return self.node_uuid(0)

    def node_uuid(self, number: int) -> str:
        """The id of a compute node, the first one being 0; follows from the data center's name."""
        which = f" {number}" if number else ""
        return str(uuid.uuid5(NAMESPACE, f"server {self.name}{which}"))


def check_pool(pool: Pool, networks: Iterable[Network]) -> None:
    """Raise ValueError for a pool that NAPI would refuse (lib/models/network-pool.js)."""
    known = {network.id: network for network in networks}
    missing = [ident for ident in pool.networks if ident not in known]
    if missing or not pool.networks:
        lack = f"there is no network {missing[0]}" if missing else "it has no networks"
        raise ValueError(f"pool {pool.name}: {lack}")
    if pool.id in known:
        raise ValueError(f"pool {pool.name}: {pool.id} is the id of a network")
    if len({known[ident].nic_tag for ident in pool.networks}) > 1:
        raise ValueError(f"pool {pool.name}: its networks have different NIC tags")


def check_network(network: Network) -> None:
    """Raise ValueError when the addresses of a network contradict each other."""
    subnet = IPv4Network(network.subnet)
    first = IPv4Address(network.provision_start)
    last = IPv4Address(network.provision_end)
    if first not in subnet or last not in subnet or first > last:
        raise ValueError(f"network {network.name}: {first} - {last} is not a range in {subnet}")
    if network.gateway is None:
        return
    gateway = IPv4Address(network.gateway)
    if gateway not in subnet or first <= gateway <= last:
        raise ValueError(
            f"network {network.name}: gateway {gateway} must lie in {subnet}, "
            f"outside of {first} - {last}"
        )
