"""`/--admin/settings`: what the owner of a data center changes while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from localdc.api.engine.badday import BadDay, public_pool
from localdc.api.engine.datacenter import DataCenter
from localdc.api.engine.records_only import RecordsCompute
from localdc.api.errors import invalid_argument
from localdc.api.http.call import Answer, Call, Route
from localdc.api.settings import MAX_COMPUTE_NODES, Throttle

MAX_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Setting:
    """read: its value as JSON.  check: the value, raises 409.  apply: makes it hold."""

    read: Callable[[DataCenter], object]
    check: Callable[[DataCenter, Any], Any]
    apply: Callable[[DataCenter, Any], None]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seconds(name: str) -> Callable[[DataCenter, Any], float]:
    def check(_: DataCenter, value: Any) -> float:
        if not _number(value) or not 0 <= value <= MAX_SECONDS:
            raise invalid_argument(f"{name} must be a number, 0 to {MAX_SECONDS}")
        return float(value)

    return check


def _throttle(_: DataCenter, value: Any) -> Throttle | None:
    if value is None:
        return None
    if isinstance(value, dict) and value.keys() == {"burst", "rate"}:
        burst, rate = value["burst"], value["rate"]
        if _number(burst) and burst == int(burst) >= 1 and _number(rate) and rate > 0:
            return Throttle(int(burst), float(rate))
    raise invalid_argument('throttle must be null or {"burst": 1 or more, "rate": more than 0}')


def _throttle_status(_: DataCenter, value: Any) -> int:
    if value not in (420, 429):
        raise invalid_argument("throttle_status must be 429 or 420")
    return int(value)


def _compute_nodes(_: DataCenter, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_COMPUTE_NODES:
        raise invalid_argument(f"compute_nodes must be a whole number, 1 to {MAX_COMPUTE_NODES}")
    return value


def _provision_seconds(center: DataCenter, value: Any) -> float:
    if not isinstance(center.compute, RecordsCompute):
        raise invalid_argument("provision_seconds is for --records-only; order a fault instead")
    return _seconds("provision_seconds")(center, value)


def _range(_: DataCenter, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) == 2 and all(map(_number, value)):
        least, most = value
        if 0 <= least <= most <= MAX_SECONDS:
            return float(least), float(most)
    raise invalid_argument(
        f"change_seconds must be null or [least, most], in seconds, 0 to {MAX_SECONDS}"
    )


def _flag(_: DataCenter, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid_argument("public_pool must be true or false")
    return value


def _bad_day(center: DataCenter, value: Any) -> BadDay | None:
    """True or an object of what is to be otherwise than on the usual bad day; raises 409."""
    if value in (None, False):
        return None
    given = {} if value is True else value
    names = {part.name for part in fields(BadDay)}
    if not isinstance(given, dict) or not given.keys() <= names:
        known = " ".join(sorted(names))
        raise invalid_argument(f"bad_day must be true, false or an object with some of: {known}")
    checked = {name: _BAD_DAY[name](center, part) for name, part in given.items()}
    return BadDay(**checked)


def _seed(_: DataCenter, value: Any) -> int:
    if type(value) is not int:
        raise invalid_argument("seed must be a whole number")
    return value


def _share(_: DataCenter, value: Any) -> float:
    if not _number(value) or not 0 <= value < 1:
        raise invalid_argument("failing must be a number, 0 or more and less than 1")
    return float(value)


def _days_range(center: DataCenter, value: Any) -> tuple[float, float]:
    found = _range(center, value)
    return found or (0.0, 0.0)


_BAD_DAY: Mapping[str, Callable[[DataCenter, Any], Any]] = {
    "seed": _seed,
    "change_seconds": _days_range,
    "keys_cache_seconds": _seconds("keys_cache_seconds"),
    "lists_cache_seconds": _seconds("lists_cache_seconds"),
    "reboot_seconds": _seconds("reboot_seconds"),
    "failing": _share,
    "public_pool": _flag,
}


def _set_keys_cache(center: DataCenter, seconds: float) -> None:
    center.keys_cache_seconds = seconds
    center.keys_cached.clear()


def _set_lists_cache(center: DataCenter, seconds: float) -> None:
    center.lists_cache_seconds = seconds
    center.lists_cached.clear()


def _set_provision_seconds(center: DataCenter, seconds: float) -> None:
    assert isinstance(center.compute, RecordsCompute)
    center.compute.provision_seconds = seconds


def _set_throttle_status(center: DataCenter, status: int) -> None:
    center.buckets.status = status


def _set_compute_nodes(center: DataCenter, count: int) -> None:
    center.engine.placement.count = count


def _set_public_pool(center: DataCenter, wanted: bool) -> None:
    pools, settings = center.settings.pools, center.settings
    center.engine.networks.pools = public_pool(settings.networks, pools) if wanted else pools


def _set_bad_day(center: DataCenter, day: BadDay | None) -> None:
    """Begin one, or end it: then all of it is as in a new data center."""
    usual = BadDay(0, (0.0, 0.0), 0.0, 0.0, 0.0, 0.0, public_pool=False)
    now = day or usual
    center.bad_day = day
    center.engine.pace.set(now.change_seconds if day else None, now.seed)
    center.faults.standing = now.faults()
    center.faults.seed(now.seed)
    _set_keys_cache(center, now.keys_cache_seconds)
    _set_lists_cache(center, now.lists_cache_seconds)
    _set_public_pool(center, now.public_pool)


SETTINGS: Mapping[str, Setting] = {
    # the first, so that what stands beside it in a request holds
    "bad_day": Setting(
        lambda center: center.bad_day and asdict(center.bad_day), _bad_day, _set_bad_day
    ),
    "throttle": Setting(
        lambda center: center.buckets.limits and asdict(center.buckets.limits),
        _throttle,
        lambda center, limits: center.buckets.change(limits),
    ),
    "throttle_status": Setting(
        lambda center: center.buckets.status, _throttle_status, _set_throttle_status
    ),
    "keys_cache_seconds": Setting(
        lambda center: center.keys_cache_seconds, _seconds("keys_cache_seconds"), _set_keys_cache
    ),
    "lists_cache_seconds": Setting(
        lambda center: center.lists_cache_seconds,
        _seconds("lists_cache_seconds"),
        _set_lists_cache,
    ),
    "change_seconds": Setting(
        lambda center: center.engine.pace.seconds,
        _range,
        lambda center, seconds: center.engine.pace.set(seconds, 0),
    ),
    "public_pool": Setting(
        lambda center: center.engine.networks.pools != center.settings.pools,
        _flag,
        _set_public_pool,
    ),
    "compute_nodes": Setting(
        lambda center: center.engine.placement.count, _compute_nodes, _set_compute_nodes
    ),
    "provision_seconds": Setting(
        lambda center: getattr(center.compute, "provision_seconds", None),
        _provision_seconds,
        _set_provision_seconds,
    ),
}


def show(call: Call) -> Answer:
    center = call.center
    view = {name: setting.read(center) for name, setting in SETTINGS.items()}
    if not isinstance(center.compute, RecordsCompute):
        del view["provision_seconds"]
    return Answer.json(view)


def change(call: Call) -> Answer:
    """All of them, or none when one makes no sense."""
    center, params = call.center, call.params
    unknown = params.keys() - SETTINGS.keys()
    if unknown:
        known = " ".join(sorted(SETTINGS))
        raise invalid_argument(f"unknown setting {min(unknown)}; known: {known}")
    checked = {
        name: setting.check(center, params[name])
        for name, setting in SETTINGS.items()
        if name in params
    }
    for name, value in checked.items():
        SETTINGS[name].apply(center, value)
    return show(call)


ROUTES = (
    Route("GET", "/--admin/settings", show, access="admin"),
    Route("PUT", "/--admin/settings", change, access="admin"),
)
