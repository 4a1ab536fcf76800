"""The records of the data center, and how a machine looks to its clients."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Scalar = str | bool | int | float

# What ListMachines leaves out unless asked for with `tombstone`.
GONE = ("deleted", "failed")


def now_iso(ago: timedelta = timedelta()) -> str:
    """The present, or a time ago, as CloudAPI writes it: `2016-01-04T12:55:50.539Z`."""
    return (datetime.now(UTC) - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dns_label(text: str) -> str:
    """A login or a machine's name as it stands in DNS (triton-cns, lib/vm-to-zones.js)."""
    return re.sub(r"[^a-z0-9-]+", "-", text.lower())


@dataclass(slots=True)
class Account:
    uuid: str
    login: str
    email: str
    created: str
    updated: str
    profile: dict[str, str] = field(default_factory=dict)
    cns_enabled: bool = False
    default_network: str = ""
    disabled: bool = False


@dataclass(slots=True)
class Key:
    name: str
    fingerprint: str
    line: str

    def view(self) -> dict[str, object]:
        return {"name": self.name, "fingerprint": self.fingerprint, "key": self.line}


@dataclass(slots=True)
class NicRecord:
    """An address that a machine holds; `network` is the network's id."""

    mac: str
    ip: str
    netmask: str
    prefix: int
    gateway: str | None
    network: str
    primary: bool
    # `provisioning` until the machine was booted with it; then as the machine.
    state: str | None = None

    def view(self, state: str) -> dict[str, object]:
        nic: dict[str, object] = {"mac": self.mac, "primary": self.primary, "ip": self.ip}
        nic["netmask"] = self.netmask
        if self.gateway:
            nic["gateway"] = self.gateway
        nic["state"] = self.state or state
        nic["network"] = self.network
        return nic


@dataclass(slots=True)
class Machine:
    """A machine; memory and disk in MiB.

    state: as CloudAPI names it.  autoboot: runs again after the data center
    was restarted.  requested: (network id, wanted address or None) in order.
    reason: why provisioning failed, else None.  volumes: what is mounted where
    (id, name, mode, mountpoint).  hostname, dns_domain: what creation set, and
    nothing changes later; None = the compute node's default.  compute_node: its id, from
    the start; None for a machine that an earlier version has not got round to provision.
    """

    uuid: str
    account: str
    name: str
    state: str
    image: str
    package: str
    memory: int
    disk: int
    brand: str
    type: str
    created: str
    updated: str
    requested: list[tuple[str, str | None]]
    autoboot: bool = False
    cpu_cap: int | None = None
    nics: list[NicRecord] = field(default_factory=list)
    tags: dict[str, Scalar] = field(default_factory=dict)
    metadata: dict[str, Scalar] = field(default_factory=dict)
    internal_metadata: dict[str, str] = field(default_factory=dict)
    firewall_enabled: bool = False
    deletion_protection: bool = False
    compute_node: str | None = None
    reason: str | None = None
    volumes: list[dict[str, str]] = field(default_factory=list)
    hostname: str | None = None
    dns_domain: str | None = None

    def to_record(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_record(cls, record: str) -> Machine:
        data: dict[str, Any] = json.loads(record)
        data["nics"] = [NicRecord(**nic) for nic in data["nics"]]
        data["requested"] = [(network, ip) for network, ip in data["requested"]]
        return cls(**data)

    @property
    def allocated_to(self) -> str | None:
        """The compute node as clients see it: None until there are addresses."""
        return None if self.state == "provisioning" and not self.nics else self.compute_node

    def visible_metadata(self) -> dict[str, Scalar]:
        """Metadata without passwords, which only `credentials` may show."""
        return {k: v for k, v in self.metadata.items() if not k.endswith("_pw")}

    def credentials(self) -> dict[str, Scalar]:
        """`{"root": "secret"}` of `root_pw`, from both kinds of metadata."""
        secrets: dict[str, Scalar] = {**self.metadata, **self.internal_metadata}
        return {k.removesuffix("_pw"): v for k, v in secrets.items() if k.endswith("_pw")}

    def view(self) -> dict[str, object]:
        """The machine object of API version 7.1 and later, without credentials."""
        nic_state = "running" if self.state == "running" else "stopped"
        view: dict[str, object] = {
            "id": self.uuid,
            "name": self.name,
            "type": self.type,
            "brand": self.brand,
            "state": self.state,
            "image": self.image,
            "ips": [nic.ip for nic in self.nics],
            "memory": self.memory,
            "disk": self.disk,
            "deletion_protection": self.deletion_protection,
            "metadata": self.visible_metadata(),
            "tags": self.tags,
            "created": self.created,
            "updated": self.updated,
            "networks": [nic.network for nic in self.nics],
        }
        if self.nics:
            view["nics"] = [nic.view(nic_state) for nic in self.nics]
            primary = next((nic for nic in self.nics if nic.primary), self.nics[0])
            view["primaryIp"] = primary.ip
        view["firewall_enabled"] = self.firewall_enabled
        view["compute_node"] = self.allocated_to
        view["package"] = self.package
        return view


@dataclass(slots=True)
class Job:
    """One queued piece of work for a machine.

    internal: made by the data center itself; the audit does not show it.
    resumed: was running when the data center was killed.
    """

    id: int
    machine: str
    action: str
    params: Mapping[str, Any]
    internal: bool
    resumed: bool
