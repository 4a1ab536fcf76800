"""Machines as hosts of an inventory: their groups and variables.

Tags and networks are what other people wrote: none of them may make a machine pass for a member
of a group that it is not in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .addresses import address, split
from .hostnames import safe
from .raw import wire

Record = Mapping[str, Any]

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


def kept(machine: Record) -> dict[str, Any]:
    """What an inventory needs of a machine; no metadata, because they may hold secrets."""
    return {key: machine[key] for key in _KEPT if machine.get(key) is not None}


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


def variables(machine: Record) -> dict[str, Any]:
    """What is known of a machine, as variables with the prefix ``sdc_``."""
    found = {f"sdc_{key}": machine[key] for key in _COPIED if key in machine}
    if machine.get("primaryIp"):
        found["sdc_primary_ip"] = machine["primaryIp"]
    # in one dict, because a tag's name need not be a valid variable name
    found["sdc_tags"] = machine.get("tags") or {}
    external, internal = split(ip for ip in map(address, machine.get("ips") or ()) if ip)
    found["sdc_internal_ips"] = [str(ip) for ip in internal]
    found["sdc_external_ips"] = [str(ip) for ip in external]
    return found
