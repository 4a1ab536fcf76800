"""``Machine`` and ``Snapshot``: the calls of smartdc 0.2 on one machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..errors import Gone, UsageError
from ..raw import Record, segment, wire
from .arguments import identifier, read_script
from .offers import Offers
from .values import dt_time, priv, pub, timestamp
from .waiting import DEFAULT_TIMEOUT, wait_one

__all__ = ["Machine", "Snapshot", "dt_time", "priv", "pub", "timestamp"]


class Creator(Protocol):
    """What creates machines: a ``DataCenter``."""

    def create_machine(self, **kwargs: Any) -> Machine: ...


class Machine:
    """One machine.  Attributes hold what CloudAPI said last: ``refresh()`` asks again.

    ``id name type brand state image dataset package memory (MiB) disk (MiB) metadata tags
    networks nics primary_ip created updated (naive UTC) boot_script data (all of it)``
    """

    def __init__(
        self,
        datacenter: Offers,
        machine_id: str | Machine | Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        credentials: bool = False,
    ) -> None:
        self.datacenter = datacenter
        if data is None:
            if machine_id is None:
                raise UsageError("a Machine needs machine_id or data")
            data = datacenter.get_machine(identifier(machine_id), credentials=credentials)
        self.id = str(data["id"])
        self._save(data)

    def _save(self, data: Mapping[str, Any]) -> None:
        self.data: Record = dict(data)
        get = self.data.get
        self.name: str = str(get("name") or "")
        self.type: str | None = get("type")
        self.brand: str | None = get("brand")
        self.state: str = str(get("state") or "unknown")
        self.image: str | None = get("image")
        self.dataset: str | None = get("dataset") or self.image
        self.package: str | None = get("package")
        self.memory: int | None = get("memory")
        self.disk: int | None = get("disk")
        self.primary_ip: str | None = get("primaryIp")
        self.networks: list[str] = _list(get("networks"))
        self.nics: list[Record] = _list(get("nics"))
        self.tags: Record = _dict(get("tags"))
        self._ips: list[str] = [str(ip) for ip in _list(get("ips"))]
        self._save_metadata(_dict(get("metadata")))
        self.created, self.updated = dt_time(get("created")), dt_time(get("updated"))

    def _save_metadata(self, metadata: Record) -> Record:
        rest = dict(metadata)
        rest.pop("credentials", None)
        script = rest.pop("user-script", None)
        self.boot_script: str | None = script if isinstance(script, str) else None
        self.metadata = rest
        return dict(metadata)

    @classmethod
    def create_in_datacenter(cls, datacenter: Creator, **kwargs: Any) -> Machine:
        """See :meth:`DataCenter.create_machine`."""
        return datacenter.create_machine(**kwargs)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<Machine {self.id} {self.name!r} {self.state}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Machine):
            return self.id == other.id
        return self.id == other.get("id") if isinstance(other, Mapping) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def path(self) -> str:
        """Path below the account."""
        return f"machines/{segment(self.id)}"

    @property
    def ips(self) -> list[str]:
        """All addresses; asks again while there is none yet."""
        if not self._ips:
            self.refresh()
        return list(self._ips)

    @property
    def public_ips(self) -> list[str]:
        """The addresses outside of private ranges; first those on networks called public."""
        return self._in_order([ip for ip in self.ips if pub(ip)], public_first=True)

    @property
    def private_ips(self) -> list[str]:
        """The addresses of private ranges; last those on networks called public."""
        return self._in_order([ip for ip in self.ips if priv(ip)], public_first=False)

    def _in_order(self, ips: list[str], public_first: bool) -> list[str]:
        if len(ips) < 2 or not self.nics:
            return ips
        outside = {str(nic.get("ip")) for nic in self.nics if self.datacenter.is_public(nic)}
        return sorted(ips, key=lambda ip: (ip in outside) != public_first)

    def refresh(self, credentials: bool = False) -> Machine:
        """Read all attributes anew.

        :raises Gone: the machine was deleted
        """
        self._save(self.datacenter.get_machine(self.id, credentials=credentials))
        return self

    def status(self) -> str:
        """The state now."""
        return self.refresh().state

    def credentials(self) -> Record:
        """Generated passwords by user."""
        data = self.datacenter.get_machine(self.id, credentials=True)
        return _dict(_dict(data.get("metadata")).get("credentials"))

    def stop(self) -> None:
        self.datacenter.act(self.id, "stop")

    def start(self) -> None:
        self.datacenter.act(self.id, "start")

    def reboot(self) -> None:
        self.datacenter.act(self.id, "reboot")

    def resize(self, package: str | Mapping[str, Any]) -> None:
        """Change to another package (name, id, or its dict)."""
        name = package.get("name") if isinstance(package, Mapping) else package
        self.datacenter.act(self.id, "resize", package=name)

    def rename(self, name: str) -> None:
        self.datacenter.act(self.id, "rename", name=name)

    def enable_firewall(self) -> None:
        self.datacenter.act(self.id, "enable_firewall")

    def disable_firewall(self) -> None:
        self.datacenter.act(self.id, "disable_firewall")

    def delete(self) -> None:
        """Delete it, whether it runs or not."""
        self.datacenter.delete(self.id)

    def poll_until(
        self, state: str, interval: float = 2, timeout: float | None = DEFAULT_TIMEOUT
    ) -> None:
        """Wait until the machine is in ``state``; ``deleted`` is a state too.

        :param interval: seconds between questions
        :param timeout: seconds; None waits for ever
        :raises MachineFailed: it went to ``failed``
        :raises Gone: it was deleted
        :raises WaitTimeout: it did not get there in time
        """

        def read() -> str:
            try:
                return self.status()
            except Gone:
                if state != "deleted":
                    raise
                self.state = "deleted"
                return self.state

        wait_one(
            read,
            lambda now: now == state,
            machine_id=self.id,
            wanted=f"until {state}",
            interval=interval,
            timeout=timeout,
            accept={state},
        )

    def poll_while(
        self, state: str, interval: float = 2, timeout: float | None = DEFAULT_TIMEOUT
    ) -> None:
        """Wait as long as the machine is in ``state``; errors as :meth:`poll_until`."""
        wait_one(
            self.status,
            lambda now: now not in (state, "failed"),
            machine_id=self.id,
            wanted=f"while {state}",
            interval=interval,
            timeout=timeout,
            accept={state},
        )

    def get_metadata(self) -> Record:
        return self._save_metadata(self.datacenter.get_metadata(self.id))

    def update_metadata(self, metadata: Mapping[str, Any] | None = None, **kw: Any) -> Record:
        """Add or change metadata; keys that are no Python names go in a dict."""
        merged = {**(metadata or {}), **kw}
        return self._save_metadata(self.datacenter.set_metadata(self.id, merged))

    def delete_metadata_at_key(self, key: str) -> Record:
        self.datacenter.delete_metadata(self.id, key)
        return self.get_metadata()

    def delete_all_metadata(self) -> Record:
        self.datacenter.delete_all_metadata(self.id)
        return self.get_metadata()

    def set_boot_script(self, filename: str | Path) -> None:
        """The file's text becomes ``user-script``: it runs at the next boot."""
        self.update_metadata({"user-script": read_script(filename)})

    def delete_boot_script(self) -> None:
        self.datacenter.delete_metadata(self.id, "user-script")
        self.boot_script = None

    def get_tags(self) -> Record:
        self.tags = self.datacenter.get_tags(self.id)
        return dict(self.tags)

    def add_tags(self, tags: Mapping[str, Any] | None = None, **kw: Any) -> Record:
        """Add or change tags; returns all of them."""
        self.tags = self.datacenter.set_tags(self.id, {**(tags or {}), **kw})
        return dict(self.tags)

    def replace_tags(self, tags: Mapping[str, Any]) -> Record:
        """These tags and no others."""
        self.tags = self.datacenter.replace_tags(self.id, tags)
        return dict(self.tags)

    def get_tag(self, tag: str) -> str:
        """One tag's value as text.

        :raises KeyError: the machine has no such tag
        """
        return wire(self.get_tags()[tag])

    def delete_tag(self, tag: str) -> None:
        self.datacenter.delete_tag(self.id, tag)
        self.tags.pop(tag, None)

    def delete_all_tags(self) -> None:
        self.datacenter.delete_tags(self.id)
        self.tags = {}

    def audit(self) -> list[Record]:
        return self.datacenter.audit(self.id)

    def snapshots(self) -> list[Snapshot]:
        return [Snapshot(self, data=d) for d in self.datacenter.list_snapshots(self.id)]

    def snapshot(self, name: str) -> Snapshot:
        return Snapshot(self, name)

    def create_snapshot(self, name: str | None = None) -> Snapshot:
        """Queue a snapshot; the server names it when ``name`` is None."""
        return Snapshot(self, data=self.datacenter.create_snapshot(self.id, name))

    def start_from_snapshot(self, name: str) -> Machine:
        """Roll back to a snapshot and boot."""
        self.datacenter.rollback_snapshot(self.id, name)
        return self

    def raw_snapshot_data(self, name: str) -> Record:
        return self.datacenter.get_snapshot(self.id, name)


class Snapshot:
    """A machine's snapshot: ``name machine state created updated``."""

    def __init__(
        self, machine: Machine, name: str | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        self.machine = machine
        if data is None:
            if name is None:
                raise UsageError("a Snapshot needs name or data")
            data = machine.raw_snapshot_data(name)
        self.name = str(data.get("name") or name)
        self._save(data)

    def _save(self, data: Mapping[str, Any]) -> None:
        self.state = str(data.get("state") or "unknown")
        self.created, self.updated = dt_time(data.get("created")), dt_time(data.get("updated"))

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Snapshot {self.name} {self.state} of {self.machine.id}>"

    @property
    def path(self) -> str:
        return f"{self.machine.path}/snapshots/{segment(self.name)}"

    def refresh(self) -> Snapshot:
        self._save(self.machine.raw_snapshot_data(self.name))
        return self

    def status(self) -> str:
        return self.refresh().state

    def delete(self) -> None:
        self.machine.datacenter.delete_snapshot(self.machine.id, self.name)

    def start(self) -> Machine:
        """Roll the machine back to this and boot it."""
        return self.machine.start_from_snapshot(self.name)


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _dict(value: object) -> Record:
    return dict(value) if isinstance(value, dict) else {}
