"""Provisioning limits of an account, as CloudAPI's plugin provision_limits has them.

What a limit may say, what counts, and the refusal: plugins/provision_limits.js of
sdc-cloudapi.  Only the owner of the data center sets them: docs/admin.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localdc.api.catalogue import Image, Package
from localdc.api.errors import invalid_argument, not_authorized
from localdc.api.model import Machine
from localdc.api.settings import DataCenterSettings
from localdc.api.store import Store
from localdc.api.store.documents import LIMITS
from localdc.api.store.machines import Query

EXCEEDED = "Quota exceeded; to have your limits raised please contact Support"
BY = ("machines", "ram", "quota")
CHECKS = ("brand", "image", "os")
Limit = dict[str, Any]


def parse(given: object) -> list[Limit]:
    """What an admin call asks for; raises 409."""
    if not isinstance(given, list):
        raise invalid_argument("limits must be a list of objects")
    return [_parse_one(entry) for entry in given]


def _parse_one(entry: object) -> Limit:
    if not isinstance(entry, dict):
        raise invalid_argument("limits: each must be an object with a value")
    value, by, check = entry.get("value"), entry.get("by", BY[0]), entry.get("check")
    if not isinstance(value, int) or isinstance(value, bool) or value < -1:
        raise invalid_argument(
            "limits: value must be a number; 0 is no limit, -1 lets nothing be made"
        )
    if by not in BY:
        raise invalid_argument(f"limits: by must be one of {', '.join(BY)}")
    what = entry.get(check) if check in CHECKS else None
    if check is not None and (not isinstance(what, str) or not what):
        raise invalid_argument(
            f"limits: check must be one of {', '.join(CHECKS)}; the field of that name says which"
        )
    unknown = sorted(str(name) for name in entry.keys() - {"value", "by", "check", check})
    if unknown:
        raise invalid_argument(f"limits: unknown field {unknown[0]}")
    # what is left out is left out in the answers, too: the plugin adds nothing but `used`
    limit: Limit = {"by": by, "value": value} if "by" in entry else {"value": value}
    return limit if check is None or what == "any" else {**limit, "check": check, check: what}


def set_limits(store: Store, account: str, limits: list[Limit]) -> None:
    """Replace the limits of an account (its uuid)."""
    with store.transaction():
        store.documents.remove(LIMITS, account)
        store.documents.add(LIMITS, account, account, account, {"limits": limits})


def used(store: Store, settings: DataCenterSettings, account: str) -> list[Limit]:
    """The limits in force, with what is used of each: machines, MiB of RAM, GiB of disk."""
    limits = [limit for limit in _limits(store, account) if limit["value"] != 0]
    if not limits:
        return []
    images = {image.id: image for image in settings.images}
    machines = store.machines.find(Query(account, limit=-1))
    return [{**limit, "used": _count(limit, machines, images)} for limit in limits]


def check(
    store: Store,
    settings: DataCenterSettings,
    account: str,
    image: Image | None,
    package: Package,
    resized: Machine | None = None,
) -> None:
    """Raises 403 when a new machine, or one of another size, would be too much."""
    for limit in used(store, settings, account):
        if limit["value"] < 0:
            raise not_authorized(EXCEEDED)
        if image is not None and not _concerns(limit, image):
            continue
        more = {"machines": 1, "ram": package.memory, "quota": package.disk // 1024}
        if resized is not None:
            more["ram"] -= resized.memory
            more["quota"] -= resized.disk // 1024
            if _by(limit) == "machines":
                continue
        if limit["used"] + more[_by(limit)] > limit["value"]:
            raise not_authorized(EXCEEDED)


def _limits(store: Store, account: str) -> list[Limit]:
    record = store.documents.get(LIMITS, account, account)
    limits: list[Limit] = record["limits"] if record else []
    return limits


def _concerns(limit: Limit, image: Image) -> bool:
    what = {"brand": image.brand, "image": image.name, "os": image.os}
    check = limit.get("check")
    return check is None or limit[check] == what[check]


def _by(limit: Limit) -> str:
    return str(limit.get("by", BY[0]))


def _count(limit: Limit, machines: Iterable[Machine], images: Mapping[str, Image]) -> int:
    concerned = [
        machine
        for machine in machines
        if "check" not in limit
        or ((image := images.get(machine.image)) is not None and _concerns(limit, image))
    ]
    if _by(limit) == "ram":
        return sum(machine.memory for machine in concerned)
    if _by(limit) == "quota":
        return sum(machine.disk for machine in concerned) // 1024
    return len(concerned)
