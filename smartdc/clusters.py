"""Which machines of an account are those of a cluster, and what they say of it.

The tag ``ipython_cluster`` decides, which only this project writes: ``cluster`` and ``role`` are
anybody's.  What a cluster was made with stands in tags, too: ``engines`` (number of machines for
engines, on the controller's), ``engines_per_machine`` and ``bootstrap``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .raw import MachineCalls, Record

MARK = "ipython_cluster"
INITIAL_ENGINES = 4
_PAST = ("failed", "deleted")


def machines_of(api: MachineCalls, cluster: str, adopt: bool = False) -> list[Record]:
    """The machines of a cluster in every state but ``failed`` and ``deleted``.

    :param adopt: also those that lack the mark and have the cluster's names and tags, as an earlier
        version of this project made them
    """
    own = api.list_machines(tags={MARK: cluster})
    if adopt:
        own += [m for m in api.list_machines(tags={"cluster": cluster}) if adoptable(m, cluster)]
    return [machine for machine in own if machine.get("state") not in _PAST]


def adoptable(machine: Mapping[str, Any], cluster: str) -> bool:
    """Whether a machine without the mark can only have been made for this cluster."""
    tags = machine.get("tags") or {}
    return (
        MARK not in tags
        and str(tags.get("cluster")) == cluster
        and tags.get("role") in ("controller", "engine")
        and is_name_of(str(machine.get("name")), cluster)
    )


def is_name_of(name: str, cluster: str) -> bool:
    """Whether machines of this cluster have such names."""
    return bool(re.fullmatch(rf"{re.escape(cluster)}-(controller|engine-\d+)", name))


def dns_name(alias: str) -> str:
    """A machine's name as DNS takes it: its host name in accounts with CNS, and its name there.

    Source: sdc-cloudapi, lib/machines.js, dnsify.
    """
    return re.sub("[^a-z0-9-]+", "-", alias.lower())


def with_role(machines: Iterable[Record], role: str) -> list[Record]:
    """Those that are ``controller`` or ``engine``."""
    return [machine for machine in machines if (machine.get("tags") or {}).get("role") == role]


def common_tag(machines: Iterable[Record], tag: str) -> str:
    """The value of a tag that some of the machines have; empty if there are several values."""
    values = {str(m["tags"][tag]) for m in machines if tag in (m.get("tags") or {})}
    return values.pop() if len(values) == 1 else ""


def engines_of(machines: Sequence[Record]) -> int:
    """The number of machines for engines that a cluster is to have.

    That is what its controller says, else what there is.  Without a controller it is being made:
    what a first run made before it failed is no reason for fewer.
    """
    present = len(with_role(machines, "engine"))
    controllers = with_role(machines, "controller")
    if not controllers:
        return max(present, INITIAL_ENGINES)
    said = common_tag(controllers, "engines")
    return int(said) if said.isdecimal() else present
