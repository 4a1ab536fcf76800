"""Packages: the sizes of machines (sdc-cloudapi, docs/index.md, Packages)."""

from __future__ import annotations

from fnmatch import fnmatchcase

from localdc.api import lookup
from localdc.api.catalogue import Package
from localdc.api.errors import not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.values import text

_TEXTS = ("name", "version", "group")
_NUMBERS = ("memory", "disk", "swap", "lwps", "vcpus")


def view(package: Package) -> dict[str, object]:
    entry: dict[str, object] = {
        "id": package.id,
        "name": package.name,
        "memory": package.memory,
        "disk": package.disk,
        "swap": package.swap,
        "lwps": package.lwps,
        "vcpus": package.vcpus,
        "version": package.version,
        "group": package.group,
        "description": package.description,
        "default": package.default,
    }
    # most operators leave it out (sdc-cloudapi, lib/packages.js, translate)
    return {**entry, "brand": package.brand} if package.brand else entry


def matches(entry: dict[str, object], name: str, wanted: str) -> bool:
    """A filter of a list: `*` is a wildcard in texts, numbers compare as text."""
    value = entry.get(name, False if name == "flexible_disk" else "")
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    if isinstance(value, int):
        return str(value) == wanted
    pattern = wanted.replace("[", "[[]").replace("?", "[?]")
    return fnmatchcase(str(value), pattern)


def list_packages(call: Call) -> Answer:
    entries = [view(package) for package in call.center.settings.packages if package.active]
    for name in (*_TEXTS, *_NUMBERS, "brand", "flexible_disk"):
        wanted = text(call.params, name)
        if wanted is not None:
            entries = [entry for entry in entries if matches(entry, name, wanted)]
    return Answer.json(entries)


def get(call: Call) -> Answer:
    package = lookup.package(call.center.settings, call.args["package"])
    if package is None:
        raise not_found(f"{call.args['package']} not found")
    return Answer.json(view(package))


ROUTES = (
    Route("GET", "/:account/packages", list_packages),
    Route("GET", "/:account/packages/:package", get),
)
