"""On which network that the account is offered an interface is, where some of them are pools.

An operator may offer networks as a pool.  ListNetworks shows the pool like a network and hides
its members, and an interface that was asked for in the pool shows the member (sdc-cloudapi,
lib/middleware/networks.js; sdc-napi, lib/models/nic/provision.js).  So an interface on a network
that is not listed is in a pool, and which one has to be found out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from .addresses import SHARED, Address, address, addresses, is_private, split
from .errors import APIError, Forbidden, NotFound, UsageError

if TYPE_CHECKING:
    from .client import Client

Record = Mapping[str, Any]
Nic = TypeVar("Nic", bound=Record)


def interfaces(machine: Record) -> list[Record]:
    """A machine's NICs; those of an old server without their addresses."""
    nics = machine.get("nics")
    return list(nics) if nics else [{"network": n} for n in machine.get("networks") or ()]


def is_pool_refusal(error: APIError) -> bool:
    """Whether the answer to ListNetworkIPs says that it was asked of a pool.

    Source: sdc-cloudapi, lib/endpoints/networks.js, validateNetworkForIps.
    """
    return error.status == 409 and "network pool" in str(error)


class Pools:
    """The offered networks of interfaces; asks only when one is on a network that is not listed.

    Where pools of both kinds come into question, an external address is of a public one, and an
    internal address of another, as `split` tells them apart: that is certain where the account's
    machines have both.  Where they have two of one kind, the primary one is likely the public
    one: CreateMachine makes it so (sdc-cloudapi, lib/machines.js, getCreateOptions).

    :param networks: all that ListNetworks shows
    """

    def __init__(self, api: Client, networks: Sequence[Record]) -> None:
        self._api = api
        self._listed = {str(network["id"]): network for network in networks}
        self._known: dict[tuple[str, bool], tuple[str, ...]] = {}

    def possible(self, nic: Record, *, certain: bool = False) -> tuple[str, ...]:
        """Ids of the offered networks that an interface may be on.

        One, where that is clear; none for a network that is in no pool of the account.

        :param certain: leave open what is only likely
        """
        if nic.get("network") is None:
            return ()
        network = str(nic["network"])
        if network in self._listed:
            return (network,)
        key = network, certain
        if key not in self._known:
            pools = self._pools_with(network, address(nic.get("ip")), certain)
            self._known[key] = tuple(str(pool["id"]) for pool in pools)
        return self._known[key]

    def of(self, nic: Record) -> str | None:
        """Id of the offered network that an interface is on; None where that is not clear."""
        possible = self.possible(nic)
        return possible[0] if len(possible) == 1 else None

    def on(self, nics: Iterable[Nic], network: str, *, certain: bool = False) -> list[Nic]:
        """The interfaces that are on an offered network, at least one of them.

        :param certain: as in :meth:`possible`
        :raises UsageError: there is none, and one may be
        """
        nics = list(nics)
        found = [nic for nic in nics if self.possible(nic, certain=certain) == (network,)]
        doubtful = [n for n in nics if network in self.possible(n, certain=certain)]
        if found or not doubtful:
            return found
        if certain or not self._fill(doubtful, self._all_possible(doubtful)):
            raise self._doubt(doubtful[0], certain)
        return doubtful[:1]

    def missing(self, nics: Iterable[Record], wanted: Sequence[str]) -> list[str]:
        """The offered networks, of those wanted, that no interface is on.

        :raises UsageError: it cannot be told which of them are
        """
        nics = list(nics)
        known = {self.of(nic) for nic in nics}
        absent = [network for network in wanted if network not in known]
        several = [nic for nic in nics if len(self.possible(nic)) > 1]
        doubtful = [nic for nic in several if not set(absent).isdisjoint(self.possible(nic))]
        if not doubtful:
            return absent
        pools = self._all_possible(doubtful)
        if self._fill(doubtful, pools):
            return [network for network in absent if network not in pools]
        raise self._doubt(doubtful[0])

    def all_of(self, nics: Iterable[Record]) -> list[str]:
        """The offered networks that interfaces are on, each once; none if one is on no such.

        :raises UsageError: it cannot be told
        """
        nics = list(nics)
        doubtful = [nic for nic in nics if len(self.possible(nic)) > 1]
        found = [self.of(nic) for nic in nics if nic not in doubtful]
        pools = self._all_possible(doubtful)
        if not self._fill(doubtful, pools):
            raise self._doubt(doubtful[0])
        known = [network for network in (*found, *pools) if network is not None]
        return list(dict.fromkeys(known)) if None not in found else []

    def members(self, machines: Iterable[Record]) -> dict[str, str]:
        """Network -> pool, of the networks of machines that are not listed, where that is clear."""
        found: dict[str, str] = {}
        for nic in (nic for machine in machines for nic in interfaces(machine)):
            pool = self.of(nic)
            if pool is not None and pool != nic["network"]:
                found[str(nic["network"])] = pool
        return found

    def unclear(self, machines: Iterable[Record]) -> list[str]:
        """In words, the networks of machines that may be in several pools."""
        nics = [nic for machine in machines for nic in interfaces(machine)]
        doubts = {str(nic["network"]): nic for nic in nics if len(self.possible(nic)) > 1}
        return [self._doubt(nic).message for nic in doubts.values()]

    def _all_possible(self, nics: Iterable[Record]) -> list[str]:
        return list(dict.fromkeys(pool for nic in nics for pool in self.possible(nic)))

    @staticmethod
    def _fill(doubtful: Sequence[Record], pools: Sequence[str]) -> bool:
        """Whether there is an interface for each of the pools that they may be in."""
        return len(doubtful) >= len(pools)

    def _doubt(self, nic: Record, certain: bool = False) -> UsageError:
        possible = self.possible(nic, certain=certain)
        names = " or ".join(str(self._listed[pool]["name"]) for pool in possible)
        which = " ".join(str(nic[key]) for key in ("mac", "ip") if nic.get(key))
        return UsageError(
            f"interface {which} is in the pool {names}; the data center does not say in which "
            f"({nic.get('network')} is a network that it does not list)",
            hint="name the interface by its mac, as sdc_nic can",
        )

    # --- finding out -----------------------------------------------------------------------

    def _pools_with(self, network: str, ip: Address | None, certain: bool) -> list[Record]:
        """The pools that a network which is not listed may be in."""
        if len({bool(pool.get("public")) for pool in self._pools}) < 2:
            return self._pools
        public = self._flag(network)
        if public is None:
            public = self._by_address(network, ip, certain)
        return [pool for pool in self._pools if public in (None, bool(pool.get("public")))]

    @cached_property
    def _pools(self) -> list[Record]:
        """What is listed and may be a pool: a fabric network is none."""
        return [n for n in self._listed.values() if not n.get("fabric") and self._may_be_pool(n)]

    def _may_be_pool(self, network: Record) -> bool:
        try:
            self._api.network_ips(str(network["id"]), limit=1)
        except APIError as error:
            if error.status >= 500:
                raise
            # what may not be asked, or is not known to an old server, tells nothing
            return is_pool_refusal(error) or error.status in (403, 404, 405)
        return False

    def _flag(self, network: str) -> bool | None:
        """Whether a network is public, of a server that hides members from the list alone."""
        try:
            return self._api.get_network(network).get("public")
        except (NotFound, Forbidden):
            return None

    def _by_address(self, network: str, ip: Address | None, certain: bool) -> bool | None:
        """Whether the network of an address is public; None where it does not tell."""
        if ip is None:
            return None
        if not is_private(ip) and ip not in SHARED:
            return True
        external, internal = split([ip, *self._ips])
        if external and internal:
            return ip in external
        if certain:
            return None
        if not self._roles:
            return ip in external
        roles = self._roles.get(network, set())
        return roles == {True} if len(roles) == 1 else None

    @cached_property
    def _roles(self) -> dict[str, set[bool]]:
        """Of networks on machines that are in two which are not listed: primary there or not."""
        found: dict[str, set[bool]] = {}
        known = {None, *self._listed}
        for machine in self._machines:
            nics = [nic for nic in interfaces(machine) if nic.get("network") not in known]
            if len({nic["network"] for nic in nics}) > 1:
                for nic in nics:
                    found.setdefault(str(nic["network"]), set()).add(bool(nic.get("primary")))
        return found

    @cached_property
    def _ips(self) -> list[Address]:
        return [ip for machine in self._machines for ip in addresses(machine)]

    @cached_property
    def _machines(self) -> list[Record]:
        return list(self._api.list_machines())
