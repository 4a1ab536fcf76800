"""What a data center offers, from a file: packages, images, pools, and what goes with them.

docs/admin.md tells what may stand in it.
"""

from __future__ import annotations

import json
import re
import typing
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from localdc.api.catalogue import BRANDS, IMAGE_OWNER, Image, Package, Pool, networks
from localdc.api.settings import NAMESPACE, check_pool

PUBLIC = Path(__file__).with_name("public.json")
"""Names such as a public cloud has: none of them is in the catalogue of a new data center."""

Thing = TypeVar("Thing", Package, Image, Pool)
_WORDS = {str: "a string", int: "a whole number", bool: "true or false", tuple: "a list of strings"}
_TEXTS = ("cns_public", "cns_private")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.IGNORECASE)
_REQUIRED: Mapping[type, tuple[str, ...]] = {
    Package: ("name", "memory", "disk"),
    Image: ("name", "version"),
    Pool: ("name", "networks"),
}
_POSITIVE = ("memory", "disk", "swap", "lwps", "vcpus", "cpu_cap")
# IMGAPI, docs/index.md, Image manifests
_TYPES = ("zone-dataset", "lx-dataset", "zvol", "docker", "lxd", "other")


class OfferError(ValueError):
    """The file cannot be used; the message names what is wrong."""


def read(text: str) -> dict[str, Any]:
    """Settings of the data center, by their names; raises OfferError."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise OfferError(f"it is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise OfferError("it must hold a JSON object")
    settings: dict[str, Any] = {}
    for name, value in given.items():
        if name == "packages":
            settings[name] = _things(name, value, Package)
        elif name == "images":
            settings[name] = _things(name, value, Image)
        elif name == "pools":
            settings[name] = _things(name, value, Pool)
        elif name == "fabric_package_prefixes":
            settings[name] = _checked(name, value, tuple)
        elif name in _TEXTS:
            settings[name] = _checked(name, value, str)
            if not _DOMAIN.fullmatch(settings[name]):
                raise OfferError(f"{name} must be a name of DNS, such as cns.example")
        else:
            known = ", ".join(("packages", "images", "pools", "fabric_package_prefixes", *_TEXTS))
            raise OfferError(f"{name}: unknown; known are {known}")
    _check_networks(settings)
    return settings


def _check_networks(settings: Mapping[str, Any]) -> None:
    """Raises OfferError for networks, of pools and packages, that a new data center lacks."""
    offered = {network.id for network in networks()}
    try:
        for pool in settings.get("pools", ()):
            check_pool(pool, networks())
            offered = (offered - set(pool.networks)) | {pool.id}
    except ValueError as error:
        raise OfferError(str(error)) from None
    for package in settings.get("packages", ()):
        for ident in package.networks:
            if ident not in offered:
                raise OfferError(
                    f"package {package.name}: no network {ident} in a new data center: "
                    f"{sorted(offered)}"
                )


def _things(name: str, value: object, kind: type[Thing]) -> tuple[Thing, ...]:
    if not isinstance(value, list) or not value:
        raise OfferError(f"{name} must be a list, and not an empty one")
    made = tuple(_thing(f"{name}[{number}]", entry, kind) for number, entry in enumerate(value))
    ids = [thing.id for thing in made]
    twice = sorted({ident for ident in ids if ids.count(ident) > 1})
    if twice:
        raise OfferError(f"{name}: {twice[0]} is there twice")
    return made


def _thing(where: str, entry: object, kind: type[Thing]) -> Thing:
    if not isinstance(entry, dict):
        raise OfferError(f"{where} must be an object")
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {}
    for name, value in entry.items():
        if name not in hints:
            raise OfferError(f"{where}: unknown field {name}; known are {', '.join(hints)}")
        fields[name] = _checked(f"{where}: {name}", value, _kind(hints[name]))
    _sensible(where, fields)
    missing = [name for name in _REQUIRED[kind] if name not in fields]
    if missing:
        raise OfferError(f"{where} lacks {', '.join(missing)}")
    brand = fields.get("brand", (fields.get("requirements") or {}).get("brand"))
    if brand is not None and brand not in BRANDS:
        raise OfferError(f"{where}: brand must be one of {', '.join(BRANDS)}")
    return kind(**{**_defaults(kind, fields), **fields})


def _sensible(where: str, fields: Mapping[str, Any]) -> None:
    """Raises OfferError for values of the right type that no machine could be made of."""
    for name in _POSITIVE:
        if fields.get(name, 1) < 1:
            raise OfferError(f"{where}: {name} must be 1 or more")
    if fields.get("size", 0) < 0:
        raise OfferError(f"{where}: size must not be negative")
    if fields.get("type", _TYPES[0]) not in _TYPES:
        raise OfferError(f"{where}: type must be one of {', '.join(_TYPES)}")
    for name in ("min_ram", "max_ram"):
        least = (fields.get("requirements") or {}).get(name, 0)
        if _checked(f"{where}: {name}", least, int) < 0:
            raise OfferError(f"{where}: {name} must not be negative")


def _defaults(kind: type[Thing], fields: Mapping[str, Any]) -> dict[str, Any]:
    words = (kind.__name__, fields["name"], fields.get("version", ""))
    ident = str(uuid.uuid5(NAMESPACE, " ".join(words)))
    if kind is Pool:
        return {"id": ident}
    if kind is Package:
        return {"id": ident, "swap": 2 * fields["memory"]}
    published = "2025-01-01T00:00:00Z"
    return {"id": ident, "description": "", "published_at": published, "owner": IMAGE_OWNER}


def _kind(hint: Any) -> type:
    """The type to be checked for: `str` of `str | None`, `tuple` of `tuple[str, ...]`."""
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    origin = typing.get_origin(hint)
    if origin in (tuple, Mapping):
        return tuple if origin is tuple else dict
    return options[0] if options else hint  # type: ignore[no-any-return]


def _checked(where: str, value: object, kind: type) -> Any:
    if kind is tuple:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise OfferError(f"{where} must be {_WORDS.get(kind, 'an object')}")
