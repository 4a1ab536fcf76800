"""What the API asks of the compute node, and what the compute node tells the API.

The API owns every record: names, addresses, tags, the state a client sees.
The compute node owns what runs.  They meet in the two protocols below, so the
API runs with zones, or with plain records (`localdc.api.engine.records_only`).

Rules that both sides keep:

* Every call of `Compute` is idempotent.  After a crash the API repeats the
  call it cannot prove finished: `provision` of a zone that is half made makes
  it whole, `boot` of a running zone and `halt` of a stopped one do nothing,
  `destroy` of an unknown zone does nothing.
* The API never has two calls in progress for the same zone.  Calls for
  different zones overlap.
* A call may be cancelled when the data center stops; what it leaves behind
  must be fit for `destroy` or for the same call again.
* `Compute` raises `ComputeError` with a sentence that an operator can act on: the
  log and `/--admin/machines/ID/jobs` have it, users only see that the job failed.  A
  machine whose provision failed is `failed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class ComputeError(Exception):
    """The compute node could not do what was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """How a fabric network reaches another wire: its gateway masquerades as `ip` there.

    Nothing comes in that way but answers.
    """

    nic_tag: str
    ip: str
    prefix: int


@dataclass(frozen=True, slots=True)
class Nic:
    """One network interface of a zone.

    `interface` is `net0`, `net1`, ... in the order of the machine's networks;
    `nic_tag` is the wire it hangs on: `external`, `internal`, or `fabric`, of
    which each `network_id` has one of its own.
    `primary` marks the interface whose gateway is the default route; `routes` are
    further ones, (subnet, gateway).  `way_out` None = behind the gateway is nothing.
    """

    interface: str
    mac: str
    ip: str
    netmask: str
    prefix: int
    gateway: str | None
    network_id: str
    network_name: str
    nic_tag: str
    primary: bool
    routes: tuple[tuple[str, str], ...] = ()
    way_out: WayOut | None = None


@dataclass(frozen=True, slots=True)
class FirewallRule:
    """One rule as a zone's packet filter needs it: addresses and numbers only.

    direction: `in` or `out`, seen from the zone.  action: `allow` or `block`.
    protocol: tcp, udp, icmp, icmp6, ah or esp.  peers: addresses and subnets of the
    other side, of IPv4 or IPv6, None = any.  ports: (first, last) ranges, empty =
    all.  types: ICMP type and code (None = any code), empty = all.  Earlier rules win.
    """

    direction: str
    action: str
    protocol: str
    peers: tuple[str, ...] | None
    ports: tuple[tuple[int, int], ...] = ()
    types: tuple[tuple[int, int | None], ...] = ()


Firewall = tuple[FirewallRule, ...]
"""The rules of a zone whose firewall is on, in order.

What no rule speaks of: outgoing traffic passes, pings are answered, all else
that comes in is dropped.
"""


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume in a zone; `mountpoint` is an absolute path."""

    volume: str
    mountpoint: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """Everything the compute node may know about a zone.

    ram and disk are MiB, cpu_cap is percent of one core (None = no cap).
    `owner` is the account's uuid, `alias` the machine's name, `hostname` what
    CloudAPI set besides; None = the zone's host name is its uuid.  Values of
    `tags` are str, bool, int or float; metadata values are text.
    `customer_metadata` is what `mdata-get` answers (`user-script` and
    `root_authorized_keys` included), `internal_metadata` holds the passwords
    (`*_pw`).  `authorized_keys` are OpenSSH public key lines for root.
    `firewall` None = off; it is in force before the zone's first process runs.
    """

    uuid: str
    alias: str
    hostname: str | None
    owner: str
    image_uuid: str
    image_name: str
    image_version: str
    package: str
    nics: tuple[Nic, ...]
    ram: int
    disk: int
    cpu_cap: int | None
    tags: Mapping[str, str | bool | int | float]
    customer_metadata: Mapping[str, str]
    internal_metadata: Mapping[str, str]
    authorized_keys: tuple[str, ...]
    resolvers: tuple[str, ...]
    dc_name: str
    server_uuid: str
    dns_domain: str
    firewall: Firewall | None = None
    mounts: tuple[Mount, ...] = ()


class ComputeEvents(Protocol):
    """What the compute node reports; implemented by the machine engine."""

    async def zone_exited(self, uuid: str, reboot: bool) -> None:
        """The zone ended by itself: halted from inside, or crashed.

        Not sent for an end that `halt`, `destroy` or `close` brought about.
        With `reboot` the API boots the zone again; otherwise the machine
        becomes `stopped`.  Returns at once; the work is queued.
        """

    async def put_metadata(self, uuid: str, key: str, value: str | None) -> None:
        """The zone wrote (`mdata-put`) or, with None, deleted a metadata key.

        The change is committed when this returns; no `reconfigure` follows.
        Raises KeyError for an unknown zone and ValueError for a bad key.
        """

    async def repository_fault(self, uuid: str) -> str | None:
        """Why the package repository does not answer this zone; None when it does."""


class Compute(Protocol):
    """A compute node."""

    async def start(self, events: ComputeEvents) -> None:
        """Get ready for the other calls; boots nothing.  Called once, first."""

    async def close(self) -> None:
        """Halt every zone in good order.  Called once, last."""

    async def provision(self, spec: ZoneSpec) -> None:
        """Make root and network, boot, and return once the zone runs."""

    async def boot(self, spec: ZoneSpec) -> None:
        """Boot a zone that was provisioned before; return once it runs."""

    async def halt(self, uuid: str) -> None:
        """Shut the zone down in good order; return once it has ended."""

    async def destroy(self, uuid: str) -> None:
        """End the zone without ceremony and remove everything it has."""

    async def reconfigure(self, spec: ZoneSpec) -> None:
        """Tags, metadata, keys, name or size changed.

        A running zone sees the new values through its metadata at once, a
        stopped one at its next boot.
        """

    async def set_firewall(self, uuid: str, firewall: Firewall | None) -> None:
        """Change the packet filter of a running zone at once; None = off."""

    async def create_snapshot(self, uuid: str, name: str) -> int:
        """Keep a copy of the zone's root; returns its size in bytes."""

    async def rollback_snapshot(self, uuid: str, name: str) -> None:
        """Put the copy in place of the root of a zone that does not run."""

    async def delete_snapshot(self, uuid: str, name: str) -> None:
        """Remove a copy; one that is not there is no error."""

    async def create_volume(self, volume: str) -> None:
        """Make an empty volume."""

    async def delete_volume(self, volume: str) -> None:
        """Remove a volume and what is in it; one that is not there is no error."""
