"""The addresses of machines, and which of them is preferred."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .errors import UsageError

Record = Mapping[str, Any]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

WORDS = ("primary", "external", "internal")
PRIVATE = tuple(
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
SHARED = ipaddress.ip_network("100.64.0.0/10")
"""Not routed on the internet, and not private either (RFC 6598): what it is depends on the other
addresses of a machine.  External networks of embedded data centers are in it."""


@functools.cache
def address(text: str | None) -> Address | None:
    """An address, or None for what is none, such as ``dhcp``."""
    try:
        return ipaddress.ip_address(text or "")
    except ValueError:
        return None


@functools.cache
def is_private(ip: Address) -> bool:
    """Whether an address lies in private address space (RFC 1918, 4193)."""
    return any(ip in block for block in PRIVATE if block.version == ip.version)


def split(ips: Iterable[Address]) -> tuple[list[Address], list[Address]]:
    """The external and the internal ones of a machine's addresses.

    A shared one (RFC 6598) is internal beside a global one, else external.
    """
    ips = list(ips)
    shared = [ip for ip in ips if ip in SHARED]
    private = [ip for ip in ips if is_private(ip)]
    beside_global = len(private) + len(shared) < len(ips)
    internal = {*private, *(shared if beside_global else ())}
    return [ip for ip in ips if ip not in internal], [ip for ip in ips if ip in internal]


def innermost(ips: Sequence[Address]) -> Address | None:
    """The last private one of a machine's addresses, else the last shared one, else the last."""
    for group in ([ip for ip in ips if is_private(ip)], [ip for ip in ips if ip in SHARED], ips):
        if group:
            return group[-1]
    return None


def addresses(machine: Record) -> list[Address]:
    """A machine's addresses, the primary one first; ``dhcp`` left out."""
    texts = [machine.get("primaryIp"), *(machine.get("ips") or [])]
    return list(dict.fromkeys(ip for ip in map(address, texts) if ip is not None))


def is_block(text: str) -> bool:
    """Whether a preference is a CIDR block."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def network_names(preferences: Iterable[str]) -> list[str]:
    """The preferences that are names or ids of networks."""
    return [p for p in preferences if p not in WORDS and not is_block(p)]


def no_pool(nic: Record) -> str | None:
    """The pool of an interface, where there are none."""
    del nic
    return None


def chooser(
    preferences: Sequence[str],
    networks: Mapping[str, str],
    pool_of: Callable[[Record], str | None] = no_pool,
) -> Callable[[Record], str | None]:
    """A function that gives a machine's address.

    :param preferences: in order: ``primary``, ``external``, ``internal``, CIDR blocks, and names
        or ids of networks
    :param networks: id -> name of the account's networks
    :param pool_of: gives the id of the pool that an interface is in
    :raises UsageError: there is no such network
    """
    tests = [_test(preference, networks, pool_of) for preference in preferences]

    def choose(machine: Record) -> str | None:
        known = addresses(machine)
        for test in tests:
            for ip in known:
                if test(machine, ip):
                    return str(ip)
        return None

    return choose


def _test(
    preference: str, networks: Mapping[str, str], pool_of: Callable[[Record], str | None]
) -> Callable[[Record, Address], bool]:
    if preference == "primary":
        return lambda machine, ip: ip == address(machine.get("primaryIp"))
    if preference in WORDS:
        return lambda machine, ip: ip in split(addresses(machine))[preference == "internal"]
    if is_block(preference):
        block = ipaddress.ip_network(preference)
        return lambda _, ip: ip in block
    ids = {ident for ident, name in networks.items() if preference in (ident, name)}
    if not ids:
        raise UsageError(
            f"address {preference!r} is neither primary, external, internal, a CIDR block nor a "
            "network of the account",
            hint=f"networks: {', '.join(sorted(set(networks.values()))) or 'none'}",
        )

    def in_network(machine: Record, ip: Address) -> bool:
        nics = [n for n in machine.get("nics") or () if address(n.get("ip")) == ip]
        return any(n.get("network") in ids or pool_of(n) in ids for n in nics)

    return in_network
