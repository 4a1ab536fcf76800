"""The data center's one process: pid 1 of its namespaces.

It serves CloudAPI on the socket that the command line opened on the host,
keeps the zones, and answers on the control socket.  When it ends, for whatever
reason, the kernel ends and removes everything else with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import uvicorn

from localdc import LocalDCError, access
from localdc.api.catalogue import BRANDS, USUAL, networks, widened
from localdc.api.compute import Compute, ComputeError
from localdc.api.engine.records_only import RecordsCompute
from localdc.api.http.app import create_app, server_config
from localdc.api.routes import ROUTES
from localdc.api.settings import AccountKey, DataCenterSettings
from localdc.api.store import StoreError
from localdc.daemon.control import ControlServer
from localdc.daemon.external import settle
from localdc.daemon.nameserver import NameServer
from localdc.daemon.options import StartOptions, offered
from localdc.image import ImageError, Layer, build_layer
from localdc.paths import StateDir, write_atomically
from localdc.pkgsrc.sockets import Fetcher
from localdc.pkgsrc.store import Store
from localdc.zones import packetfilter
from localdc.zones import syscalls as sc
from localdc.zones.manager import Zone, ZoneCompute
from localdc.zones.network import NetworkError, wire

log = logging.getLogger("localdc")

VARIABLE = "LOCALDC_DAEMON"
RECORDS_AT_ONCE = 10_000
METADATA_SECONDS = 0.4
OPEN_FILES = 65536
"""A zone takes a descriptor or two, a client one; the usual soft limit is 1024."""
KNOWN_ERRORS = (LocalDCError, ImageError, StoreError, ComputeError, NetworkError, OSError)


@dataclass(frozen=True, slots=True)
class Handover:
    """What the command line hands to the daemon: descriptors and places."""

    state: str
    packages: str
    url: str
    api: int
    lock: int
    ready: int
    fetcher: int | None
    store: dict[str, str]
    options: dict[str, Any]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_environment() -> Handover:
        return Handover(**json.loads(os.environ[VARIABLE]))


class Server(uvicorn.Server):
    """uvicorn, with the signals left to the daemon and no tick while nothing happens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told_to_stop = asyncio.Event()

    async def main_loop(self) -> None:
        await self.told_to_stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Daemon:
    """One running data center."""

    records_only = False

    def __init__(self, handover: Handover, launcher: socket.socket | None) -> None:
        self.handover = handover
        self.options = StartOptions(**handover.options)
        self.paths = StateDir(Path(handover.state), Path(handover.packages))
        self.pid = int(os.environ.get("LOCALDC_PID") or os.getpid())
        self.started = time.time()
        self.ready = os.fdopen(handover.ready, "w", buffering=1)
        self._launcher = launcher
        self._zones: Mapping[str, Zone] = {}
        self._stopping = False
        self._server: Server | None = None
        self._app: Any = None
        self._addresses: tuple[str, ...] = ()

    def run(self) -> None:
        """Serve until told to stop.

        Raises one of KNOWN_ERRORS when the data center cannot be set up.
        """
        self._tell(progress="preparing the image")
        store = {**self.handover.store, "root": Path(self.handover.store["root"])}
        packages = Store(**store)  # type: ignore[arg-type]
        layer = build_layer(self.paths.root, packages, lenient=self.options.lenient)
        self._mount_usr(layer)
        self._run(lambda settings: self._zone_compute(layer, settings))

    def _run(self, compute: Callable[[DataCenterSettings], Compute]) -> None:
        key = access.ensure_key(self.paths)
        agent = access.start_agent(self.paths, key)
        settings = self.settings(key)
        try:
            asyncio.run(self._serve(settings, compute(settings), key))
        finally:
            access.stop_agent(agent)
            access.remove_traces(self.paths)

    def settings(self, key: access.AccountKeyPair) -> DataCenterSettings:
        """What the data center is like."""
        external = settle(
            self.paths, self.options.external_network, lambda text: self._tell(progress=text)
        )
        return DataCenterSettings(
            **offered(self.paths),
            networks=networks(external),
            name=access.NAME,
            account=access.ACCOUNT,
            keys=(AccountKey("localdc", key.public),),
            url=self.handover.url,
            throttle=self.options.bucket(),
            compute_nodes=self.options.compute_nodes,
            admin_token=access.ensure_admin_token(self.paths),
            firewall=packetfilter.program() is not None,
            metadata_seconds=METADATA_SECONDS,
            repository=self._repository(),
        )

    def _repository(self) -> Path | None:
        store = self.handover.store
        return Path(store["root"], store["repository"]) if store else None

    def _mount_usr(self, layer: Layer) -> None:
        if any(":" in str(path) or "," in str(path) for path in (layer.usr,)):
            raise LocalDCError(
                f"overlayfs cannot use {layer.usr}: a colon or comma in the path. "
                "Set LOCALDC_DIR to a directory without them."
            )
        self.paths.usr.mkdir(exist_ok=True)
        options = f"lowerdir={layer.usr}:/usr"
        flags = sc.MS_RDONLY | sc.MS_NODEV
        sc.mount("localdc", str(self.paths.usr), "overlay", flags, options)

    def _zone_compute(self, layer: Layer, settings: DataCenterSettings) -> Compute:
        assert self._launcher is not None
        wires = [wire(n.nic_tag, n.subnet, n.gateway) for n in settings.networks]
        self._addresses = tuple(w.address for w in wires)
        assert self.handover.fetcher is not None
        fetcher = Fetcher(socket.socket(fileno=self.handover.fetcher))
        compute = ZoneCompute(
            self.paths, layer, wires, self._launcher, self._launcher_lost, fetcher
        )
        self._zones = compute.zones
        return compute

    async def _serve(
        self, settings: DataCenterSettings, compute: Compute, key: access.AccountKeyPair
    ) -> None:
        self._app = create_app(settings, self.paths.database, compute, ROUTES)
        api = socket.socket(fileno=self.handover.api)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        control = ControlServer(self)
        # The lifespan is run here, not by uvicorn, to see its errors.
        async with self._app.router.lifespan_context(self._app):
            names = NameServer(self._app.state.center.cns)
            await names.open(self._addresses)
            self._server = Server(server_config(self._app, lifespan="off"))
            if self._stopping:
                return
            control.open(self.paths.control)
            self._publish(key)
            self._tell(ready=True)
            self.ready.close()
            await self._server.serve(sockets=[api])
            self._stopping = True
            self.paths.datacenter.unlink(missing_ok=True)
        names.close()
        control.close()
        log.info("stopped")

    def _publish(self, key: access.AccountKeyPair) -> None:
        process = {
            "pid": self.pid,
            "started": _start_ticks(),
            "pid_namespace": None if self.records_only else Path("/proc/self/ns/pid").stat().st_ino,
        }
        write_atomically(self.paths.process, json.dumps(process) + "\n")
        access.write_ssh_config(self.paths)
        access.write_descriptor(self.paths, key, self.handover.url, self.pid)
        log.info("%s listens on %s", access.NAME, self.handover.url)

    def _launcher_lost(self) -> None:
        if not self._stopping:
            # Without the launcher no zone can start or be waited for; the next
            # start repairs, as after a power failure.
            log.critical("the launcher process ended; the data center goes down")
            os._exit(70)

    def _tell(self, **message: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.ready.write(json.dumps(message) + "\n")

    # What the control socket shows and steers

    def status(self) -> dict[str, Any]:
        center = self._app.state.center
        progress = center.engine.progress
        machines = []
        # The data center itself is on no fabric network.
        wired = {network.id for network in center.settings.networks}
        alive = list(center.store.machines.alive())
        owners = {m.account: center.store.accounts.find(m.account) for m in alive}
        for machine in alive:
            zone = self._zones.get(machine.uuid)
            machines.append(
                {
                    "uuid": machine.uuid,
                    "name": machine.name,
                    "state": "provisioning" if machine.state == "ready" else machine.state,
                    "ips": [nic.ip for nic in machine.nics],
                    "reachable": [nic.ip for nic in machine.nics if nic.network in wired],
                    "dns_names": center.cns.names(machine, owners[machine.account]),
                    "pid": zone.pid if zone else None,
                    "started": zone.started if zone else None,
                }
            )
        return {
            "name": access.NAME,
            "url": self.handover.url,
            "pid": self.pid,
            "started": self.started,
            "stopping": self._stopping,
            "records_only": self.records_only,
            "boot": {"total": progress.total, "done": progress.done, "failed": progress.failed},
            "machines": sorted(machines, key=lambda machine: str(machine["name"])),
        }

    def stop(self) -> None:
        self._stopping = True
        if self._server is not None:
            self._server.told_to_stop.set()

    def remaining(self) -> int | None:
        return len(self._zones) if self._stopping else None

    def fail(self, error: BaseException) -> None:
        """Tell the waiting command line why there will be no data center."""
        text = str(error)
        if isinstance(error, OSError) and error.strerror:
            text = f"{error.filename or 'start'}: {error.strerror}"
        if not self.ready.closed:
            self._tell(error=text)


def _start_ticks() -> int:
    """When this process began, in clock ticks since boot, proc(5)."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[19])


class RecordsDaemon(Daemon):
    """A data center whose machines exist as records only: an ordinary process."""

    records_only = True

    def run(self) -> None:
        self._run(lambda _: RecordsCompute(self.options.provision_seconds))

    def settings(self, key: access.AccountKeyPair) -> DataCenterSettings:
        """As with zones, but room for thousands of machines on networks that nobody chose."""
        settings = super().settings(key)
        return replace(
            settings,
            networks=tuple(
                widened(network) if IPv4Network(network.subnet) in USUAL else network
                for network in settings.networks
            ),
            provision_concurrency=RECORDS_AT_ONCE,
            brands=BRANDS,
            firewall=True,
        )


def main(launcher: socket.socket | None) -> int:
    """The daemon's program; LOCALDC_DAEMON in the environment holds its handover.

    Without a launcher there are no zones, only records.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    handover = Handover.from_environment()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, OPEN_FILES)), hard))
    for descriptor in (handover.api, handover.lock, handover.ready, handover.fetcher):
        if descriptor is not None:
            os.set_inheritable(descriptor, False)
    daemon = RecordsDaemon(handover, None) if launcher is None else Daemon(handover, launcher)
    try:
        daemon.run()
    except KNOWN_ERRORS as error:
        log.error("cannot run: %s", error, exc_info=not isinstance(error, LocalDCError))
        daemon.fail(error)
        return 1
    except BaseException as error:
        log.exception("the data center broke down")
        daemon.fail(error)
        return 1
    return 0
