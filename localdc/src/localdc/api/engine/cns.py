"""Triton's Container Name Service: what the machines are called, and what DNS says of them.

Two zones, as Triton's public data centers have them: one lists the addresses on
public networks, the other all the rest.  Or one for all of them, as a new Triton
comes up (the settings say which).  Names, tags and when a name is listed:
docs/metadata.md and lib/vm-to-zones.js, lib/flag-filter.js of triton-cns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from localdc.api.catalogue import Network
from localdc.api.engine.networks import Networks
from localdc.api.model import Account, Machine, dns_label
from localdc.api.settings import DataCenterSettings
from localdc.api.store import Store

SERVICES = "triton.cns.services"
DISABLED = "triton.cns.disable"
STATUS = "triton.cns.status"
# The label of the name server itself; shorter than any login.
SERVER = "ns"


@dataclass(frozen=True, slots=True)
class Record:
    """A resource record without its name: type and data, as in a zone file."""

    kind: str
    data: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a name in `zone`; records None = there is no such name."""

    zone: str
    records: list[Record] | None


@dataclass(frozen=True, slots=True)
class _Zone:
    """A zone of DNS and whose addresses it lists: those on public networks, on others, or both."""

    name: str
    kinds: tuple[bool, ...]

    def lists(self, network: Network) -> bool:
        return network.public in self.kinds


class Cns:
    """Reads the store at every question, so that an answer is never older than it."""

    def __init__(self, settings: DataCenterSettings, store: Store, networks: Networks) -> None:
        self._settings = settings
        self._store = store
        self._networks = networks
        kinds: dict[str, tuple[bool, ...]] = {}
        for suffix, public in ((settings.cns_public, True), (settings.cns_private, False)):
            kinds[suffix] = (*kinds.get(suffix, ()), public)
        self._zones = [_Zone(f"{settings.name}.{suffix}", of) for suffix, of in kinds.items()]

    def suffixes(self, public: bool, account: Account) -> list[str]:
        """What names that mean addresses of a network end with, by whether it is public."""
        zone = next(zone for zone in self._zones if public in zone.kinds)
        return [f"{kind}.{dns_label(account.login)}.{zone.name}" for kind in ("svc", "inst")]

    def names(self, machine: Machine, account: Account) -> list[str]:
        """All names of a machine; none when the account or the machine does not want them."""
        if not _listed(machine, account):
            return []
        known = self._networks.of(machine.account)
        services = _services(machine) if _serves(machine) else {}
        found: dict[str, None] = {}
        for zone in self._zones:
            for network in _networks_in(zone, machine, known):
                for owner in _owners(account):
                    names = [f"{label}.inst.{owner}.{zone.name}" for label in _labels(machine)]
                    names += [f"{label}.svc.{owner}.{zone.name}" for label in services]
                    found |= dict.fromkeys(names)
                    if network.fabric:
                        own = dns_label(network.name)
                        found |= dict.fromkeys(f"{own}.{name}" for name in names)
        return list(found)

    def lookup(self, name: str) -> Answer | None:
        """What there is under a lower-case name without final dot; None = not our zone."""
        for zone in self._zones:
            if name == zone.name:
                return Answer(zone.name, [])
            if name.endswith(f".{zone.name}"):
                labels = name.removesuffix(f".{zone.name}").split(".")
                return Answer(zone.name, self._records(zone, labels))
        return None

    def server(self, zone: str) -> str:
        """The name of the name server, in a zone."""
        return f"{SERVER}.{zone}"

    def _records(self, zone: _Zone, labels: list[str]) -> list[Record] | None:
        if labels == [SERVER]:
            networks = (n for n in self._settings.networks if zone.lists(n))
            return [Record("A", ip) for network in networks for ip in network.resolvers]
        account = self._store.accounts.labelled(labels[-1])
        if account is None or not account.cns_enabled:
            return None
        if len(labels) == 1 or (len(labels) == 2 and labels[0] in ("inst", "svc")):
            return []
        *network, label, kind = labels[:-1]
        if kind not in ("inst", "svc") or len(network) > 1:
            return None
        wanted = network[0] if network else None
        if kind == "inst":
            return self._instance(zone, account, label, wanted) or None
        return self._service(zone, account, label, wanted) or None

    def _instance(
        self, zone: _Zone, account: Account, label: str, network: str | None
    ) -> list[Record]:
        records: list[Record] = []
        for machine in self._store.machines.labelled(account.uuid, label):
            if _listed(machine, account):
                records += self._addresses(zone, machine, network)
        return records

    def _service(
        self, zone: _Zone, account: Account, label: str, network: str | None
    ) -> list[Record]:
        records: list[Record] = []
        for machine in self._store.machines.running_with_tag(account.uuid, SERVICES):
            services = _services(machine)
            if label not in services or not _listed(machine, account) or not _serves(machine):
                continue
            addresses = self._addresses(zone, machine, network)
            records += addresses
            if addresses:
                target = f"{_labels(machine)[-1]}.inst.{_owners(account)[-1]}.{zone.name}."
                records += [Record("SRV", f"0 10 {port} {target}") for port in services[label]]
        return records

    def _addresses(self, zone: _Zone, machine: Machine, wanted: str | None) -> list[Record]:
        known = self._networks.of(machine.account)
        networks = {
            network.id
            for network in _networks_in(zone, machine, known)
            if wanted is None or (network.fabric and dns_label(network.name) == wanted)
        }
        found = [Record("A", nic.ip) for nic in machine.nics if nic.network in networks]
        return [*found, Record("TXT", f'"{machine.uuid}"')] if found else []


def _networks_in(zone: _Zone, machine: Machine, known: dict[str, Network]) -> Iterator[Network]:
    for nic in machine.nics:
        network = known.get(nic.network)
        if network is not None and zone.lists(network):
            yield network


def _listed(machine: Machine, account: Account) -> bool:
    return account.cns_enabled and machine.tags.get(DISABLED) in (None, False, "false")


def _serves(machine: Machine) -> bool:
    """Whether a machine stands behind its services: only one that runs and is not quiesced."""
    return machine.state == "running" and machine.metadata.get(STATUS, "up") != "down"


def _services(machine: Machine) -> dict[str, list[int]]:
    """Service to ports, of a tag like `web:80:priority=1,api:port=8080,db`."""
    found: dict[str, list[int]] = {}
    tag = machine.tags.get(SERVICES)
    for entry in tag.split(",") if isinstance(tag, str) else ():
        label, *options = entry.strip().split(":")
        if not label:
            continue
        ports = [option.removeprefix("port=") for option in options]
        numbers = [int(float(port)) for port in ports if port.isdecimal()]
        found.setdefault(label.lower(), []).extend(numbers[-1:])
    return found


def _labels(machine: Machine) -> list[str]:
    """The last one is the primary."""
    return list(dict.fromkeys((machine.uuid, dns_label(machine.name))))


def _owners(account: Account) -> list[str]:
    return [account.uuid, dns_label(account.login)]
