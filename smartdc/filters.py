"""Filters over lists of machines, as people write them in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from .errors import UsageError
from .raw import wire

Record = Mapping[str, Any]
Names = Mapping[str, str]

PROPERTIES = ("name", "id", "state", "package", "brand", "image", "network")


def matcher(
    include: Sequence[Record],
    exclude: Sequence[Record],
    images: Names,
    networks: Names,
    pools: Names = MappingProxyType({}),
) -> Callable[[Record], bool]:
    """A function that tells whether a machine passes.

    A filter is a mapping of properties (or ``tag.NAME``) to a shell pattern or a list of them,
    and fits when all of its properties do.  A machine passes when one of ``include`` fits, or
    there is none, and none of ``exclude``.

    :param images: id -> name; networks likewise.  Images and networks fit by id or name
    :param pools: network -> pool, both by id; a machine is in the pools of its networks, too
    :raises UsageError: a filter has an unknown property
    """
    for entry in (*include, *exclude):
        if not isinstance(entry, Mapping) or not entry:
            raise UsageError(f"filter {entry!r} is not a mapping such as {{state: running}}")
        for key in entry:
            if key not in PROPERTIES and not key.startswith("tag."):
                raise UsageError(
                    f"filter on unknown property {key!r}",
                    hint=f"known: {', '.join(PROPERTIES)}, tag.NAME",
                )

    def values(machine: Record, key: str) -> list[str]:
        if key.startswith("tag."):
            tags = machine.get("tags") or {}
            name = key.removeprefix("tag.")
            return [wire(tags[name])] if name in tags else []
        if key == "network":
            own = [str(n) for n in machine.get("networks") or ()]
            ids = own + [pools[i] for i in own if i in pools]
            return ids + [networks[i] for i in ids if i in networks]
        value = str(machine.get(key) or "")
        return [value, images[value]] if key == "image" and value in images else [value]

    def fits(machine: Record, entry: Record) -> bool:
        for key, wanted in entry.items():
            patterns = wanted if isinstance(wanted, list) else [wanted]
            found = values(machine, key)
            if not any(fnmatchcase(v, wire(p)) for v in found for p in patterns):
                return False
        return True

    def passes(machine: Record) -> bool:
        if include and not any(fits(machine, entry) for entry in include):
            return False
        return not any(fits(machine, entry) for entry in exclude)

    return passes
