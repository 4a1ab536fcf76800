"""The compute node of the embedded data center: zones from provision to destroy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from localdc.access import forget_host_keys
from localdc.api.compute import ComputeError, ComputeEvents, Firewall, Nic, ZoneSpec
from localdc.image import ImageError, Layer, configure_root, create_root
from localdc.image.root import zone_hostname
from localdc.paths import StateDir, write_atomically
from localdc.pkgsrc.sockets import Fetcher
from localdc.smartos.smf.startd.startd import HALT
from localdc.zones import copies
from localdc.zones.agent import MetadataAgent
from localdc.zones.container import Launch
from localdc.zones.launchclient import LaunchClient, LaunchError
from localdc.zones.network import Network, NetworkError, Wire

log = logging.getLogger(__name__)
T = TypeVar("T")

HALT_SECONDS = 65.0
"""svc.startd gives the services 60 s; see smf_restarter(7)."""
PROVISION_SECONDS = 300.0
"""How long vmadm(8) waits for a new zone to report that it is provisioned."""
POLL_SECONDS = 0.03
REBOOT_STATUS = 6
PROVISIONING = "var/svc/provisioning"
ENVIRONMENT = (("PATH", "/usr/sbin:/usr/bin"), ("LANG", "C"), ("TZ", "UTC"))


@dataclass(slots=True)
class Zone:
    """A zone that runs or is about to.

    `wanted_end` is set once somebody here asked for its end; `status` is the
    wait status of pid 1 once `ended` is set.
    """

    spec: ZoneSpec
    agent: MetadataAgent
    nics: tuple[Nic, ...] = ()
    pid: int | None = None
    started: float = 0.0
    wanted_end: bool = False
    status: int | None = None
    launched: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class ZoneCompute:
    """`localdc.api.compute.Compute` with real zones in the state directory `paths`.

    The zones' /usr is mounted on `paths.usr`; `channel` leads to the launcher.
    """

    def __init__(
        self,
        paths: StateDir,
        layer: Layer,
        wires: Sequence[Wire],
        channel: socket.socket,
        on_lost: Callable[[], None],
        fetcher: Fetcher | None = None,
    ) -> None:
        self.directory = paths.zones
        self.zones: dict[str, Zone] = {}
        self._layer = layer
        self._fetcher = fetcher
        self._paths = paths
        self._wires = wires
        self._network = Network()
        self._launcher = LaunchClient(channel, self._zone_ended, on_lost)
        self._events: ComputeEvents | None = None
        self._closing = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._slots = asyncio.Semaphore(max(4, 2 * (os.cpu_count() or 1)))

    async def start(self, events: ComputeEvents) -> None:
        """See Compute."""
        self._events = events
        self.directory.mkdir(parents=True, exist_ok=True)
        self._launcher.open()
        if self._fetcher is not None:
            await self._fetcher.open()
        await self._network.open(self._wires)
        for leftover in self.directory.glob(".destroyed-*"):
            await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)

    async def close(self) -> None:
        """See Compute."""
        self._closing = True
        for zone in self.zones.values():
            zone.wanted_end = True
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(*(self.halt(uuid) for uuid in list(self.zones)))
        self._launcher.close()
        if self._fetcher is not None:
            self._fetcher.close()
        self._network.close()

    async def provision(self, spec: ZoneSpec) -> None:
        """See Compute."""
        await self._protected(self._provision(spec))

    async def boot(self, spec: ZoneSpec) -> None:
        """See Compute."""
        if not self.root(spec.uuid).is_dir():
            raise ComputeError(f"the root of zone {spec.uuid} is gone; delete the machine")
        await self._protected(self._boot(spec))

    async def halt(self, uuid: str) -> None:
        """See Compute."""
        await self._end(uuid, HALT)

    async def destroy(self, uuid: str) -> None:
        """See Compute."""
        await self._end(uuid, signal.SIGKILL)
        place = self.directory / uuid
        trash = self.directory / f".destroyed-{uuid}-{time.time_ns()}"
        with contextlib.suppress(FileNotFoundError):
            place.rename(trash)
            await asyncio.to_thread(shutil.rmtree, trash)

    async def reconfigure(self, spec: ZoneSpec) -> None:
        """See Compute."""
        await self._describe(spec)
        zone = self.zones.get(spec.uuid)
        if zone is None:
            return
        before = zone.spec
        zone.spec = zone.agent.spec = spec
        if before.authorized_keys != spec.authorized_keys:
            await self._image(configure_root, self._layer, spec, self.root(spec.uuid))

    async def set_firewall(self, uuid: str, firewall: Firewall | None) -> None:
        """See Compute."""
        zone = self.zones.get(uuid)
        if zone is None:
            return
        await zone.launched.wait()
        if zone.pid is None or zone.ended.is_set():
            return
        try:
            await self._network.set_firewall(zone.pid, firewall)
        except NetworkError as error:
            raise ComputeError(f"zone {uuid}: {error}") from error

    async def create_snapshot(self, uuid: str, name: str) -> int:
        """See Compute.  svc.startd stands still meanwhile, so that its repository is whole."""
        running = uuid in self.zones
        if running:
            self._launcher.signal(uuid, signal.SIGSTOP)
        try:
            return await self._files(copies.create, self.root(uuid), self._snapshot(uuid, name))
        finally:
            if running:
                self._launcher.signal(uuid, signal.SIGCONT)

    async def rollback_snapshot(self, uuid: str, name: str) -> None:
        """See Compute."""
        await self._files(copies.rollback, self._snapshot(uuid, name), self.root(uuid))

    async def delete_snapshot(self, uuid: str, name: str) -> None:
        """See Compute."""
        await self._files(copies.remove, self._snapshot(uuid, name))

    async def create_volume(self, volume: str) -> None:
        """See Compute."""
        place = self._paths.volumes / volume
        await self._files(lambda: place.mkdir(parents=True, exist_ok=True))

    async def delete_volume(self, volume: str) -> None:
        """See Compute."""
        await self._files(copies.remove, self._paths.volumes / volume)

    async def _files(self, function: Callable[..., T], *arguments: Any) -> T:
        """Work on files to its end, since half of it would be left behind."""
        try:
            return await asyncio.shield(self._background(asyncio.to_thread(function, *arguments)))
        except OSError as error:
            raise ComputeError(f"{error.filename}: {error.strerror}") from error

    def _snapshot(self, uuid: str, name: str) -> Path:
        return self.directory / uuid / "snapshots" / name

    def root(self, uuid: str) -> Path:
        """Where the zone's root file system is."""
        return self.directory / uuid / "root"

    def console(self, uuid: str) -> Path:
        """Where the output of the zone's pid 1 goes."""
        return self.directory / uuid / "console.log"

    async def _protected(self, work: Coroutine[Any, Any, object]) -> None:
        """Run to the end even if the caller is cancelled: a launch cannot be half done."""
        await asyncio.shield(self._background(work))

    async def _provision(self, spec: ZoneSpec) -> None:
        async with self._slots:
            root = self.root(spec.uuid)
            if not root.is_dir():
                root.parent.mkdir(parents=True, exist_ok=True)
                forget_host_keys(self._paths, {nic.ip for nic in spec.nics})
                await self._image(create_root, self._layer, spec, root)
            zone = await self._boot(spec)
            await self._provisioned(zone)

    async def _boot(self, spec: ZoneSpec) -> Zone:
        zone = self.zones.get(spec.uuid)
        if zone is not None and not zone.ended.is_set():
            zone.spec = zone.agent.spec = spec
            return zone
        if self._closing:
            raise ComputeError("the data center is stopping")
        assert self._events is not None
        zone = Zone(spec, MetadataAgent(spec, self._events, self._fetcher))
        self.zones[spec.uuid] = zone
        try:
            await self._describe(spec)
            await self._image(configure_root, self._layer, spec, self.root(spec.uuid))
            await zone.agent.listen(self.root(spec.uuid))
            await self._launch(zone)
        except BaseException as error:
            await zone.agent.close()
            del self.zones[spec.uuid]
            zone.ended.set()
            if isinstance(error, LaunchError | NetworkError | OSError):
                raise ComputeError(f"cannot boot zone {spec.uuid}: {error}") from error
            raise
        finally:
            zone.launched.set()
        return zone

    async def _launch(self, zone: Zone) -> None:
        spec = zone.spec
        launch = Launch(
            zone=spec.uuid,
            root=str(self.root(spec.uuid)),
            hostname=zone_hostname(spec),
            init=(self._layer.python, "-I", "-S", self._layer.startd),
            environment=ENVIRONMENT,
            binds=(
                (str(self._paths.usr), "/usr", True),
                (str(self._layer.store), "/opt/.pkgsrc", True),
                *(
                    (str(self._paths.volumes / mount.volume), mount.mountpoint, mount.read_only)
                    for mount in spec.mounts
                ),
            ),
            console=str(self.console(spec.uuid)),
        )
        network = await self._network.attach(spec.nics, spec.firewall)
        zone.nics = spec.nics
        try:
            zone.pid = await self._launcher.launch(launch, network)
        except BaseException:
            await self._network.detach(spec.nics)
            raise
        finally:
            os.close(network)
        zone.started = time.time()
        log.info("zone %s (%s) booted, pid %d", spec.uuid, spec.alias, zone.pid)

    async def _provisioned(self, zone: Zone) -> None:
        """Wait until mdata:execute has moved /var/svc/provisioning away."""
        marker = self.root(zone.spec.uuid) / PROVISIONING
        deadline = time.monotonic() + PROVISION_SECONDS
        while os.path.lexists(marker):
            if zone.ended.is_set():
                raise ComputeError(f"the zone ended while it was provisioned: {self._why(zone)}")
            if zone.wanted_end:
                raise ComputeError("the zone was told to stop while it was provisioned")
            if time.monotonic() > deadline:
                zone.wanted_end = True
                await self.halt(zone.spec.uuid)
                raise ComputeError(
                    f"the zone did not finish provisioning in {PROVISION_SECONDS:.0f} s; see "
                    "/var/svc/log/smartdc-mdata:execute.log in its root"
                )
            await asyncio.sleep(POLL_SECONDS)

    async def _end(self, uuid: str, number: int) -> None:
        zone = self.zones.get(uuid)
        if zone is None:
            return
        zone.wanted_end = True
        await zone.launched.wait()
        if number != signal.SIGKILL:
            await self._catches(zone, number)
        if zone.ended.is_set():
            return
        self._launcher.signal(uuid, number)
        try:
            await asyncio.wait_for(zone.ended.wait(), HALT_SECONDS)
        except TimeoutError:
            log.warning("zone %s did not halt in %.0f s; killed", uuid, HALT_SECONDS)
            self._launcher.signal(uuid, signal.SIGKILL)
            await zone.ended.wait()

    async def _catches(self, zone: Zone, number: int) -> None:
        """Wait until pid 1 has a handler: the kernel drops signals to it before, signal(7)."""
        status = Path(f"/proc/{zone.pid}/status")
        deadline = time.monotonic() + HALT_SECONDS
        while not zone.ended.is_set() and time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                (caught,) = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
                if int(caught, 16) >> (number - 1) & 1:
                    return
            await asyncio.sleep(POLL_SECONDS)

    def _zone_ended(self, uuid: str, pid: int, status: int) -> None:
        zone = self.zones.pop(uuid, None)
        if zone is None:
            return
        zone.status = status
        self._background(self._network.detach(zone.nics))
        zone.ended.set()
        self._background(zone.agent.close())
        log.info("zone %s ended: %s", uuid, self._why(zone))
        in_provision = (self.root(uuid) / PROVISIONING).exists()
        if not zone.wanted_end and not in_provision and self._events is not None:
            reboot = os.WIFEXITED(status) and os.WEXITSTATUS(status) == REBOOT_STATUS
            self._background(self._events.zone_exited(uuid, reboot))

    def _why(self, zone: Zone) -> str:
        status = zone.status or 0
        if os.WIFSIGNALED(status):
            text = f"pid 1 was killed by signal {os.WTERMSIG(status)}"
        else:
            text = f"pid 1 exited with status {os.WEXITSTATUS(status)}"
        try:
            lines = self.console(zone.spec.uuid).read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return f"{text}; last output: {lines[-1]}" if lines and status else text

    def _background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, ComputeError):
            log.info("zone work ended: %s", error)
        else:
            log.error("zone work broke", exc_info=error)

    async def _describe(self, spec: ZoneSpec) -> None:
        """Leave a note for `localdc logs`, which also works while nothing runs."""
        place = self.directory / spec.uuid
        if place.is_dir():
            text = json.dumps({"uuid": spec.uuid, "alias": spec.alias})
            write_atomically(place / "zone.json", text, durable=False)

    async def _image(self, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.to_thread(function, *arguments)
        except (ImageError, OSError) as error:
            raise ComputeError(f"cannot make the zone's root: {error}") from error
