"""The data center's wires: a bridge per network, an interface pair per zone and network.

Network namespaces belong to threads, so everything here runs in one worker
thread that starts and ends every job in the data center's own namespace.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute  # type: ignore[import-untyped]
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

from localdc.api.compute import Firewall, Nic, WayOut
from localdc.zones import packetfilter
from localdc.zones import syscalls as sc

T = TypeVar("T")
FABRIC = "fabric"

THREAD_NAMESPACE = "/proc/thread-self/ns/net"
# No IPv6, so no neighbour discovery wakes an idle zone.
# A new namespace forwards if the host does, and would join what must be apart.
QUIET_SYSCTLS = (
    ("ipv4/ip_forward", "0"),
    ("ipv6/conf/all/disable_ipv6", "1"),
    ("ipv6/conf/default/disable_ipv6", "1"),
)
ROUTER_SYSCTLS = (("ipv4/ip_forward", "1"),)


ROUTE_METRIC = 100


class NetworkError(Exception):
    """The kernel refused a bridge, an interface or an address; the message says which."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One network of the data center.

    `tag` is the NIC tag of the machines on it; `address` (in `subnet`) is held
    by the bridge: the gateway where the network has one, and the source of
    what `localdc connect` opens.
    """

    tag: str
    subnet: str
    address: str


def wire(tag: str, subnet: str, gateway: str | None) -> Wire:
    """The wire of a network; without a gateway the bridge gets the first address."""
    first = str(next(ipaddress.ip_network(subnet).hosts()))
    return Wire(tag, subnet, gateway or first)


@dataclass(frozen=True, slots=True)
class _Plugged:
    """A wire that is there: its bridge's index, the data center's address on it."""

    bridge: int
    address: str


@dataclass(slots=True)
class _Fabric:
    """The wire of a fabric network: who is on it (MACs), and the router that leads out."""

    bridge: int
    users: set[str] = field(default_factory=set)
    router: int = -1
    plugs: list[int] = field(default_factory=list)


class Network:
    """All wires and the zones on them."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="netlink")
        self._route: Any = None
        self._home = -1
        self._wires: dict[str, _Plugged] = {}
        self._fabrics: dict[str, _Fabric] = {}
        self._serial = itertools.count(1)

    async def open(self, wires: Sequence[Wire]) -> None:
        """Make the bridges in the namespace of the calling process."""
        await self._run(self._open, wires)

    async def attach(self, nics: Sequence[Nic], firewall: Firewall | None = None) -> int:
        """Make a network namespace with these interfaces; return its descriptor.

        The firewall is in force before anything runs there.
        The namespace and its interfaces go away with the last process in it
        and the last descriptor of it.  Raises NetworkError.
        """
        return await self._run(self._attach, nics, firewall)

    async def detach(self, nics: Sequence[Nic]) -> None:
        """The zone with these interfaces ended: wires that nobody else uses go."""
        await self._run(self._detach, nics)

    async def set_firewall(self, pid: int, firewall: Firewall | None) -> None:
        """Change the firewall of the namespace in which the process runs.

        Raises NetworkError; does nothing for a process that has ended.
        """
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            await self._run(self._filter, namespace, packetfilter.ruleset(firewall))
        finally:
            os.close(namespace)

    def close(self) -> None:
        """End the worker; the kernel removes bridges with the namespace."""
        self._worker.shutdown(wait=True)
        if self._route is not None:
            self._route.close()

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._worker, lambda: function(*arguments))
        except NetlinkError as error:
            raise NetworkError(f"netlink: {error}") from error
        except (packetfilter.FilterError, subprocess.TimeoutExpired) as error:
            raise NetworkError(f"firewall: {error}") from error
        except OSError as error:
            raise NetworkError(f"{error.filename or 'network'}: {error.strerror}") from error

    def _open(self, wires: Sequence[Wire]) -> None:
        self._home = os.open(THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        _write_sysctls(QUIET_SYSCTLS)
        self._route = IPRoute()
        self._route.link("set", index=1, state="up")
        for number, item in enumerate(wires):
            index = self._add_bridge(f"br{number}")
            prefix = ipaddress.ip_network(item.subnet).prefixlen
            self._route.addr("add", index=index, address=item.address, prefixlen=prefix)
            self._wires[item.tag] = _Plugged(index, item.address)

    def _attach(self, nics: Sequence[Nic], firewall: Firewall | None) -> int:
        namespace, inside = self._namespace()
        try:
            for nic in nics:
                self._plug(inside, nic, namespace)
            if firewall is not None:
                self._filter(namespace, packetfilter.ruleset(firewall))
        except BaseException:
            os.close(namespace)
            self._detach(nics)
            raise
        finally:
            inside.close()
        return namespace

    def _detach(self, nics: Sequence[Nic]) -> None:
        for nic in nics:
            fabric = self._fabrics.get(nic.network_id)
            if fabric is None or nic.mac not in fabric.users:
                continue
            fabric.users.discard(nic.mac)
            if not fabric.users:
                del self._fabrics[nic.network_id]
                self._remove(fabric)

    def _remove(self, fabric: _Fabric) -> None:
        for interface in (*fabric.plugs, fabric.bridge):
            self._route.link("del", index=interface)
        if fabric.router >= 0:
            os.close(fabric.router)

    def _namespace(self) -> tuple[int, Any]:
        """A new network namespace with lo up: its descriptor, and netlink inside."""
        namespace = -1
        sc.unshare(sc.CLONE_NEWNET, "create a network namespace")
        try:
            namespace = os.open(THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            _write_sysctls(QUIET_SYSCTLS)
            inside = IPRoute()
        except BaseException:
            if namespace >= 0:
                os.close(namespace)
            raise
        finally:
            sc.setns(self._home, sc.CLONE_NEWNET, "return to the data center's namespace")
        inside.link("set", index=1, state="up")
        return namespace, inside

    def _filter(self, namespace: int, rules: str, *sysctls: tuple[str, str]) -> None:
        sc.setns(namespace, sc.CLONE_NEWNET, "enter the zone's network namespace")
        try:
            packetfilter.apply(rules)
            _write_sysctls(sysctls)
        finally:
            sc.setns(self._home, sc.CLONE_NEWNET, "return to the data center's namespace")

    def _fabric(self, nic: Nic) -> _Fabric:
        """The wire of a fabric network, which is there while somebody uses it.

        The data center has no address on it: only machines on it reach each other.
        """
        if nic.network_id not in self._fabrics:
            fabric = _Fabric(self._add_bridge(f"br{next(self._serial)}f"))
            self._fabrics[nic.network_id] = fabric
            if nic.way_out is not None and nic.gateway is not None:
                try:
                    self._open_way_out(fabric, nic, nic.gateway, nic.way_out)
                except BaseException:
                    del self._fabrics[nic.network_id]
                    self._remove(fabric)
                    raise
        return self._fabrics[nic.network_id]

    def _open_way_out(self, fabric: _Fabric, nic: Nic, gateway: str, out: WayOut) -> None:
        """A router: a namespace of its own, since two fabric networks may look the same."""
        fabric.router, inside = self._namespace()
        try:
            wire = self._wire(out.nic_tag)
            for interface, bridge, ip, prefix in (
                ("inside", fabric.bridge, gateway, nic.prefix),
                ("outside", wire.bridge, out.ip, out.prefix),
            ):
                peer = {"ifname": interface, "net_ns_fd": fabric.router}
                fabric.plugs.append(self._add_pair(bridge, peer))
                self._address(inside, interface, ip, prefix)
            inside.route("add", gateway=wire.address)
            self._filter(
                fabric.router, packetfilter.masquerade("inside", "outside"), *ROUTER_SYSCTLS
            )
        finally:
            inside.close()

    def _wire(self, tag: str) -> _Plugged:
        if tag not in self._wires:
            known = ", ".join(sorted(self._wires))
            raise NetworkError(f"no network with NIC tag {tag!r}; there are: {known}")
        return self._wires[tag]

    def _add_bridge(self, name: str) -> int:
        """The new bridge's index.

        Its address is given: otherwise it is the lowest of its ports' (br_stp_if.c of
        Linux), changes as machines come and go, and these then send to one that is gone.
        """
        local = f"02:{os.urandom(5).hex(':')}"
        self._route.link("add", ifname=name, kind="bridge", br_mcast_snooping=0, address=local)
        index = self._index(self._route, name)
        self._route.link("set", index=index, state="up")
        return index

    def _add_pair(self, bridge: int, peer: dict[str, Any]) -> int:
        """One end on the bridge, the other as `peer` says; the index of the first."""
        outer = f"z{next(self._serial)}"
        self._route.link("add", ifname=outer, kind="veth", peer=peer)
        index = self._index(self._route, outer)
        self._route.link("set", index=index, master=bridge, state="up")
        return index

    def _address(self, inside: Any, interface: str, ip: str, prefix: int) -> None:
        index = self._index(inside, interface)
        inside.addr("add", index=index, address=ip, prefixlen=prefix)
        inside.link("set", index=index, state="up")

    def _plug(self, inside: Any, nic: Nic, namespace: int) -> None:
        if nic.nic_tag == FABRIC:
            fabric = self._fabric(nic)
            fabric.users.add(nic.mac)
            bridge = fabric.bridge
        else:
            bridge = self._wire(nic.nic_tag).bridge
        peer = {"ifname": nic.interface, "address": nic.mac, "net_ns_fd": namespace}
        self._add_pair(bridge, peer)
        self._address(inside, nic.interface, nic.ip, nic.prefix)
        if nic.primary and nic.gateway:
            inside.route("add", gateway=nic.gateway)
        for to, via in nic.routes:
            # a metric, so that it gives way to what the machine is connected to
            index = self._index(inside, nic.interface)
            inside.route("add", dst=to, gateway=via, priority=ROUTE_METRIC + index)

    @staticmethod
    def _index(route: Any, name: str) -> int:
        found = route.link_lookup(ifname=name)
        if not found:
            raise NetworkError(f"interface {name} vanished")
        return int(found[0])


def _write_sysctls(settings: Iterable[tuple[str, str]]) -> None:
    """/proc/sys/net shows the namespace of the thread that opens it."""
    for name, value in settings:
        path = Path("/proc/sys/net") / name
        if path.exists():
            path.write_text(value)
