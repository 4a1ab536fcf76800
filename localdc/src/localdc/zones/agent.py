"""The metadata agent: answers `mdata-*` of the zones, as the compute node's agent does.

Namespaces as in SmartOS' agent.js: `sdc:*` is read-only and shows the zone's
own properties, keys that end in `_pw` are internal metadata, everything else
is customer metadata that the zone may change.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from localdc.api.compute import ComputeEvents, Nic, ZoneSpec
from localdc.pkgsrc.sockets import Fetcher, PackageSocket
from localdc.smartos.mdata import protocol
from localdc.smartos.pkgsrc import request

log = logging.getLogger(__name__)

DIRECTORY = Path(protocol.SOCKET_PATH).parent.name
NAME = Path(protocol.SOCKET_PATH).name
READ_ONLY = 'Cannot update the "sdc" Namespace.'
INTERNAL_SUFFIX = "_pw"

Answer = Callable[[str, str, str], Awaitable[bytes]]


def sdc_value(spec: ZoneSpec, key: str) -> str | None:
    """The value of `sdc:`+`key` for this zone; None when there is none.

    JSON for `nics`, `resolvers`, `routes`, `tmpfs` and `volumes`; one tag for
    `tags.NAME`; otherwise a property of the machine, nested ones with dots
    (`nics.0.ip`), as VM.flatten() makes them.
    """
    structured: dict[str, Any] = {
        "nics": [nic_object(nic) for nic in spec.nics],
        "resolvers": list(spec.resolvers),
        "routes": [
            {"linklocal": False, "dst": to, "gateway": via}
            for nic in spec.nics
            for to, via in nic.routes
        ],
        "tmpfs": None,
        "volumes": [],
    }
    if key == "operator-script":
        return spec.internal_metadata.get(key)
    if key in structured:
        return None if structured[key] is None else json.dumps(structured[key])
    if key.startswith("tags."):
        tag = spec.tags.get(key.removeprefix("tags."))
        return None if tag is None else _text(tag)
    return _flatten({**_properties(spec), "nics": structured["nics"]}).get(key)


def nic_object(nic: Nic) -> dict[str, Any]:
    """The fields of a nic that the platform and zones use (facts: mdata, nics)."""
    value: dict[str, Any] = {
        "interface": nic.interface,
        "mac": nic.mac,
        "nic_tag": nic.nic_tag,
        "ip": nic.ip,
        "ips": [f"{nic.ip}/{nic.prefix}"],
        "netmask": nic.netmask,
        "network_uuid": nic.network_id,
        "mtu": 1500,
    }
    if nic.gateway:
        value |= {"gateway": nic.gateway, "gateways": [nic.gateway]}
    if nic.primary:
        value["primary"] = True
    return value


def _properties(spec: ZoneSpec) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "uuid": spec.uuid,
        "zonename": spec.uuid,
        "alias": spec.alias,
        "dns_domain": spec.dns_domain,
        "owner_uuid": spec.owner,
        "server_uuid": spec.server_uuid,
        "image_uuid": spec.image_uuid,
        "datacenter_name": spec.dc_name,
        "package_name": spec.package,
        "brand": "joyent",
        "state": "running",
        "zone_state": "running",
        "autoboot": True,
        "maintain_resolvers": True,
        "max_physical_memory": spec.ram,
        "quota": max(1, spec.disk // 1024),
        "resolvers": list(spec.resolvers),
        "tags": dict(spec.tags),
    }
    if spec.hostname is not None:
        properties["hostname"] = spec.hostname
    if spec.cpu_cap is not None:
        properties["cpu_cap"] = spec.cpu_cap
    return properties


def _flatten(value: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        items = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, list):
        items = [(str(number), item) for number, item in enumerate(value)]
    else:
        return {prefix: _text(value)}
    flat: dict[str, str] = {}
    for name, item in items:
        flat |= _flatten(item, f"{prefix}.{name}" if prefix else name)
    return flat


def _writable(text: str) -> str:
    """`text` with U+FFFD for what UTF-8 cannot hold, half a surrogate pair in somebody's JSON."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


class MetadataAgent:
    """One zone's end of the metadata socket, and of the way to packages beside it.

    `spec` may be replaced at any time; the next request sees the new one.
    Without a `fetcher` packages that are made on demand cannot be had.
    """

    def __init__(
        self, spec: ZoneSpec, events: ComputeEvents, fetcher: Fetcher | None = None
    ) -> None:
        self.spec = spec
        self._events = events
        self._packages = PackageSocket(
            spec.uuid, fetcher, lambda: events.repository_fault(spec.uuid)
        )
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def listen(self, root: Path) -> None:
        """Serve on the sockets below the zone's `root`; once more is an error.

        The zone's root owns that directory, so no link in it is followed.
        """
        directory = _open_directory(root)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, sock=_bind(directory, NAME), limit=protocol.MAX_LINE
            )
            await self._packages.listen(_bind(directory, request.NAME))
        finally:
            os.close(directory)

    async def close(self) -> None:
        """Stop serving and hang up."""
        if self._server is not None:
            self._server.close()
        await self._packages.close()
        for writer in list(self._clients):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                writer.write(await self.answer(line))
                await writer.drain()
        except (ConnectionError, ValueError) as error:
            log.info("zone %s: metadata client cut off: %s", self.spec.uuid, error)
        finally:
            self._clients.discard(writer)
            writer.close()

    async def answer(self, line: bytes) -> bytes:
        """The reply to one request line."""
        try:
            op, key, value = protocol.parse_request(line)
        except protocol.ProtocolError as error:
            return protocol.error(str(error))
        if op == "get":
            found = self._get(key)
            return protocol.not_found() if found is None else protocol.ok(value=_writable(found))
        if op == "list":
            keys = [*self.spec.customer_metadata, *self.spec.internal_metadata]
            return protocol.ok(keys=sorted(map(_writable, keys)))
        if key.startswith("sdc:"):
            return protocol.error(READ_ONLY)
        return await self._put(key, value if op == "put" and value else None)

    def _get(self, key: str) -> str | None:
        if key.startswith("sdc:"):
            return sdc_value(self.spec, key.removeprefix("sdc:"))
        if key.endswith(INTERNAL_SUFFIX):
            return self.spec.internal_metadata.get(key)
        return self.spec.customer_metadata.get(key)

    async def _put(self, key: str, value: str | None) -> bytes:
        try:
            await self._events.put_metadata(self.spec.uuid, key, value)
        except (KeyError, ValueError) as error:
            return protocol.error(str(error.args[0]) if error.args else "refused")
        except Exception:
            log.exception("zone %s: cannot store metadata %s", self.spec.uuid, key)
            return protocol.error("the compute node could not store the value; see its log")
        internal = key.endswith(INTERNAL_SUFFIX)
        field = "internal_metadata" if internal else "customer_metadata"
        metadata = dict(getattr(self.spec, field))
        if value is None:
            metadata.pop(key, None)
        else:
            metadata[key] = value
        if internal:
            self.spec = replace(self.spec, internal_metadata=metadata)
        else:
            self.spec = replace(self.spec, customer_metadata=metadata)
        return protocol.ok()


def _open_directory(root: Path) -> int:
    path = root / DIRECTORY
    path.mkdir(mode=0o700, exist_ok=True)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _bind(directory: int, name: str) -> socket.socket:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        log.debug("no metadata socket left over")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A unix socket's path is limited to 107 bytes; this one never is longer.
        server.bind(f"/proc/self/fd/{directory}/{name}")
        os.chmod(name, 0o600, dir_fd=directory)
    except BaseException:
        server.close()
        raise
    server.setblocking(False)
    return server
