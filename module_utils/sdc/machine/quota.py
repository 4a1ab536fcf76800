"""What an account may still create, from the limits that it may read.

A limit as GetAccountLimits answers it: `value`, `used`, `by` (machines, when it is left out; ram in
MiB; quota, which is disk in GiB) and perhaps `check`, with which it counts only machines of one
image name, os or brand (sdc-cloudapi, plugins/provision_limits.js).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from ansible.module_utils.sdc.client import DataCenter, errors

Record = Mapping[str, Any]
Wanted = tuple[Record, Record]
"""Package and image of a machine to be created."""

UNITS = {"machines": "machines", "ram": "MiB of memory", "quota": "GiB of disk"}


def limits_of(api: DataCenter) -> list[dict[str, Any]]:
    """The account's limits; none where they cannot be known.

    A sub-user may lack the right to read them, old servers do not have them, and a server that
    cannot count answers nothing.
    """
    try:
        return api.limits()
    except errors.RequestError:
        return []


def exceeded(limits: Iterable[Record], wanted: Sequence[Wanted]) -> list[str]:
    """Which limits so many new machines would exceed, with the numbers."""
    found = []
    for limit in limits:
        value, used = limit.get("value"), limit.get("used")
        if not _number(value) or not _number(used):
            continue
        concerned = [pair for pair in wanted if _concerns(limit, *pair)]
        more = sum(_amount(limit, package) for package, _ in concerned)
        # a negative value lets nothing be created at all
        if concerned and used + more > max(value, 0):
            unit = UNITS.get(str(limit.get("by")), UNITS["machines"])
            found.append(f"{more:g} more {unit}{_of(limit)}, and {used:g} of {value:g} are in use")
    return found


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _amount(limit: Record, package: Record) -> float:
    if limit.get("by") == "ram":
        return float(package.get("memory") or 0)
    if limit.get("by") == "quota":
        return float(package.get("disk") or 0) / 1024
    return 1.0


def _concerns(limit: Record, package: Record, image: Record) -> bool:
    check = limit.get("check")
    if check == "image":
        return bool(limit.get("image") == image.get("name"))
    if check == "os":
        return bool(limit.get("os") == image.get("os"))
    if check == "brand":
        required = (image.get("requirements") or {}).get("brand")
        return limit.get("brand") == (required or package.get("brand") or "joyent")
    return True


def _of(limit: Record) -> str:
    check = str(limit.get("check") or "")
    return f" ({check} {limit[check]})" if limit.get(check) else ""
