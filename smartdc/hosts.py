"""Machines as hosts of an inventory: their names, groups and variables.

Names, tags and networks are what other people wrote: none of them may make a machine pass for
another one, for a member of a group that it is not in, or for the local host.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .addresses import address, is_private
from .raw import wire

Record = Mapping[str, Any]

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts of these names are the local host to Ansible, whatever their address."""
_GROUPS = frozenset({"all", "ungrouped"})
_COPIED = (
    *("id", "name", "state", "brand", "package", "image", "memory", "disk", "ips", "networks"),
    *("created", "updated", "compute_node", "firewall_enabled"),
)
_KEPT = (*_COPIED, "primaryIp", "tags", "nics")


@dataclass
class Host:
    """A machine in an inventory."""

    machine: Record
    groups: list[str]
    variables: dict[str, Any]
    name: str = ""


def kept(machine: Record) -> dict[str, Any]:
    """What an inventory needs of a machine; no metadata, because they may hold secrets."""
    return {key: machine[key] for key in _KEPT if machine.get(key) is not None}


def safe(text: str) -> str:
    """A group's name that Ansible takes without complaint."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return f"_{name}" if name[:1].isdigit() else name


def grouping(
    wanted: Collection[str],
    datacenter: str,
    images: Mapping[str, str],
    networks: Mapping[str, str],
    pools: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[Record], list[str]]:
    """A function that gives the names of a machine's groups.

    :param wanted: ``cluster role tag state package image network datacenter``
    :param images: id -> name; networks likewise
    :param pools: network -> pool, both by id, of networks that have no name
    """
    center = safe(f"sdc_datacenter_{datacenter}")

    def names(machine: Record) -> Iterable[str]:
        tags = machine.get("tags") or {}
        for key in ("cluster", "role"):
            if key in wanted and tags.get(key) not in (None, ""):
                yield f"{key}_{wire(tags[key])}"
        if "tag" in wanted:
            yield from (f"sdc_tag_{key}_{wire(value)}" for key, value in tags.items())
        for key in ("state", "package"):
            if key in wanted and machine.get(key):
                yield f"sdc_{key}_{machine[key]}"
        if "image" in wanted and machine.get("image"):
            yield f"sdc_image_{images.get(machine['image'], machine['image'])}"
        if "network" in wanted:
            own = (pools.get(n, n) for n in machine.get("networks") or ())
            for network in dict.fromkeys(own):
                yield f"sdc_network_{networks.get(network, network)}"
        if "datacenter" in wanted:
            yield center

    return lambda machine: [safe(name) for name in names(machine)]


def distinguish(hosts: Iterable[Host], groups: Iterable[str] = ()) -> list[Host]:
    """Name the hosts after their machines, each with a name of its own; sorted.

    Machines that share a name become ``NAME-SHORTID`` and get a group ``NAME``.  So does, without
    the group, a machine that is called like a group or like the local host.

    :param groups: names of groups that exist already
    """
    single: dict[str, Host] = {}
    for host in hosts:
        # two sources may lead to the same account
        single.setdefault(host.machine["id"], host)
    ordered = sorted(single.values(), key=lambda h: (h.machine["name"], h.machine["id"]))
    count = Counter(host.machine["name"] for host in ordered)
    taken = {*_GROUPS, *groups}.union(*(host.groups for host in ordered))
    twins = {name: safe(name) for name, n in count.items() if n > 1 and safe(name) not in taken}
    taken.update(twins.values(), LOCAL)
    for host in ordered:
        name, ident = host.machine["name"], host.machine["id"]
        if name in twins:
            host.groups.append(twins[name])
        own = [name] if count[name] == 1 else []
        more = (f"{name}-{ident}{'-' * n}" for n in itertools.count())
        choices = itertools.chain(own, [f"{name}-{ident[:8]}"], more)
        host.name = next(c for c in choices if c not in taken and (c == name or c not in count))
        taken.add(host.name)
    return ordered


def variables(machine: Record) -> dict[str, Any]:
    """What is known of a machine, as variables with the prefix ``sdc_``."""
    found = {f"sdc_{key}": machine[key] for key in _COPIED if key in machine}
    if machine.get("primaryIp"):
        found["sdc_primary_ip"] = machine["primaryIp"]
    # in one dict, because a tag's name need not be a valid variable name
    found["sdc_tags"] = machine.get("tags") or {}
    addresses = [ip for ip in map(address, machine.get("ips") or ()) if ip]
    found["sdc_internal_ips"] = [str(ip) for ip in addresses if is_private(ip)]
    found["sdc_external_ips"] = [str(ip) for ip in addresses if not is_private(ip)]
    return found
