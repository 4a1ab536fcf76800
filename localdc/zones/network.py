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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute  # type: ignore[import-untyped]
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

from localdc.api.compute import Firewall, Nic
from localdc.zones import packetfilter
from localdc.zones import syscalls as sc

T = TypeVar("T")
FABRIC = "fabric"

THREAD_NAMESPACE = "/proc/thread-self/ns/net"
QUIET_SYSCTLS = (
    ("ipv6/conf/all/disable_ipv6", "1"),
    ("ipv6/conf/default/disable_ipv6", "1"),
)


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


class Network:
    """All wires and the zones on them."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="netlink")
        self._route: Any = None
        self._home = -1
        self._bridges: dict[str, int] = {}
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

    async def set_firewall(self, pid: int, firewall: Firewall | None) -> None:
        """Change the firewall of the namespace in which the process runs.

        Raises NetworkError; does nothing for a process that has ended.
        """
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            await self._run(self._filter, namespace, firewall)
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
        _write_sysctls()
        self._route = IPRoute()
        self._route.link("set", index=1, state="up")
        for number, item in enumerate(wires):
            name = f"br{number}"
            self._route.link("add", ifname=name, kind="bridge", br_mcast_snooping=0)
            index = self._index(self._route, name)
            prefix = ipaddress.ip_network(item.subnet).prefixlen
            self._route.addr("add", index=index, address=item.address, prefixlen=prefix)
            self._route.link("set", index=index, state="up")
            self._bridges[item.tag] = index

    def _attach(self, nics: Sequence[Nic], firewall: Firewall | None) -> int:
        namespace = -1
        sc.unshare(sc.CLONE_NEWNET, "create a network namespace")
        try:
            namespace = os.open(THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            _write_sysctls()
            inside = IPRoute()
        except BaseException:
            if namespace >= 0:
                os.close(namespace)
            raise
        finally:
            sc.setns(self._home, sc.CLONE_NEWNET, "return to the data center's namespace")
        try:
            inside.link("set", index=1, state="up")
            for nic in nics:
                self._plug(inside, nic, namespace)
            if firewall is not None:
                self._filter(namespace, firewall)
        except BaseException:
            os.close(namespace)
            raise
        finally:
            inside.close()
        return namespace

    def _filter(self, namespace: int, firewall: Firewall | None) -> None:
        sc.setns(namespace, sc.CLONE_NEWNET, "enter the zone's network namespace")
        try:
            packetfilter.apply(firewall)
        finally:
            sc.setns(self._home, sc.CLONE_NEWNET, "return to the data center's namespace")

    def _bridge(self, nic: Nic) -> int:
        """The bridge of a network; that of a fabric network is made when first used.

        The data center has no address on it: only machines on it reach each other.
        """
        name = nic.network_id if nic.nic_tag == FABRIC else nic.nic_tag
        if name not in self._bridges:
            if nic.nic_tag != FABRIC:
                known = ", ".join(sorted(self._bridges))
                raise NetworkError(f"no network with NIC tag {nic.nic_tag!r}; there are: {known}")
            interface = f"br{next(self._serial)}f"
            self._route.link("add", ifname=interface, kind="bridge", br_mcast_snooping=0)
            index = self._index(self._route, interface)
            self._route.link("set", index=index, state="up")
            self._bridges[name] = index
        return self._bridges[name]

    def _plug(self, inside: Any, nic: Nic, namespace: int) -> None:
        bridge = self._bridge(nic)
        outer = f"z{next(self._serial)}"
        peer = {"ifname": nic.interface, "address": nic.mac, "net_ns_fd": namespace}
        self._route.link("add", ifname=outer, kind="veth", peer=peer)
        self._route.link("set", index=self._index(self._route, outer), master=bridge, state="up")
        index = self._index(inside, nic.interface)
        inside.addr("add", index=index, address=nic.ip, prefixlen=nic.prefix)
        inside.link("set", index=index, state="up")
        if nic.primary and nic.gateway:
            inside.route("add", gateway=nic.gateway)

    @staticmethod
    def _index(route: Any, name: str) -> int:
        found = route.link_lookup(ifname=name)
        if not found:
            raise NetworkError(f"interface {name} vanished")
        return int(found[0])


def _write_sysctls() -> None:
    """No IPv6, so no neighbour discovery wakes an idle zone.

    /proc/sys/net shows the namespace of the thread that opens it.
    """
    for name, value in QUIET_SYSCTLS:
        path = Path("/proc/sys/net") / name
        if path.exists():
            path.write_text(value)
