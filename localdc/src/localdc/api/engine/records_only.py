"""A compute node without zones: machines exist as records only.

The API behaves the same; there is just nothing to log in to.  For tests of the
API itself, and for tests of clients at a scale no zone could follow.
"""

from __future__ import annotations

import asyncio

from localdc.api.compute import ComputeError, ComputeEvents, Firewall, ZoneSpec


class RecordsCompute:
    """Keeps what it was told, in memory.

    provision_seconds: how long a provision takes.
    """

    def __init__(self, provision_seconds: float = 0.0) -> None:
        self.provision_seconds = provision_seconds
        self.zones: dict[str, ZoneSpec] = {}
        self.running: set[str] = set()
        self.firewalls: dict[str, Firewall | None] = {}
        self.snapshots: set[tuple[str, str]] = set()
        self.volumes: set[str] = set()
        self._events: ComputeEvents | None = None

    async def start(self, events: ComputeEvents) -> None:
        self._events = events

    async def close(self) -> None:
        self.running.clear()

    async def provision(self, spec: ZoneSpec) -> None:
        if self.provision_seconds:
            await asyncio.sleep(self.provision_seconds)
        await self.boot(spec)

    async def boot(self, spec: ZoneSpec) -> None:
        if not spec.nics:
            raise ComputeError(f"zone {spec.uuid} has no network interface")
        self.zones[spec.uuid] = spec
        self.firewalls[spec.uuid] = spec.firewall
        self.running.add(spec.uuid)

    async def halt(self, uuid: str) -> None:
        self.running.discard(uuid)

    async def destroy(self, uuid: str) -> None:
        self.running.discard(uuid)
        self.zones.pop(uuid, None)
        self.firewalls.pop(uuid, None)
        self.snapshots = {kept for kept in self.snapshots if kept[0] != uuid}

    async def reconfigure(self, spec: ZoneSpec) -> None:
        self.zones[spec.uuid] = spec

    async def set_firewall(self, uuid: str, firewall: Firewall | None) -> None:
        self.firewalls[uuid] = firewall

    async def create_snapshot(self, uuid: str, name: str) -> int:
        self.snapshots.add((uuid, name))
        return 0

    async def rollback_snapshot(self, uuid: str, name: str) -> None:
        """Records have no files; a data center started anew knows no snapshots either."""

    async def delete_snapshot(self, uuid: str, name: str) -> None:
        self.snapshots.discard((uuid, name))

    async def create_volume(self, volume: str) -> None:
        self.volumes.add(volume)

    async def delete_volume(self, volume: str) -> None:
        self.volumes.discard(volume)

    async def exit_zone(self, uuid: str, *, reboot: bool = False) -> None:
        """End a zone as `halt` or `reboot` typed inside it would."""
        if self._events is None:
            raise RuntimeError("start() was not called")
        self.running.discard(uuid)
        await self._events.zone_exited(uuid, reboot)
