"""Whether the data center has the package, the image and the networks of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import lookup
from ..client import Client
from ..errors import UsageError
from .finding import Finding, asked

SMALLEST = 512
"""MiB of memory without which no controller and no engine runs."""


def package(api: Client, wanted: str) -> Finding:
    """The package of new machines, by name or id; empty for the smallest that fits."""
    packages = asked("Package", api.list_packages)
    if isinstance(packages, Finding):
        return packages
    if not wanted:
        return Finding("Package", "ok", f"none named, of {len(packages)} the smallest that fits")
    try:
        found = lookup.package(packages, wanted)
    except UsageError as error:
        return Finding("Package", "problem", f"{error}; see also Cluster for one that fits")
    says = f"{found['name']}, {found['memory']} MiB"
    if not found.get("active", True):
        return Finding("Package", "problem", f"{says}, is not active: name another one")
    if found["memory"] < SMALLEST:
        return Finding("Package", "problem", f"{says}: a machine needs {SMALLEST} MiB or more")
    return Finding("Package", "ok", says)


def image(api: Client, wanted: str) -> Finding:
    """The image of new machines, by name, name@version or id."""
    images = asked("Image", api.list_images)
    if isinstance(images, Finding):
        return images
    try:
        found = lookup.image(images, wanted)
    except UsageError as error:
        return Finding("Image", "problem", str(error))
    says = f"{found['name']}@{found['version']} ({found['id']})"
    if found.get("os") != "smartos":
        return Finding(
            "Image",
            "problem",
            f"{says} has {found.get('os')} and not SmartOS: take for example base-64-lts",
        )
    return Finding("Image", "ok", says)


def networks(api: Client, wanted: Sequence[str]) -> Finding:
    """The networks of new machines, by name or id; none for the data center's choice."""
    offered = asked("Networks", api.list_networks)
    if isinstance(offered, Finding):
        return offered
    if not offered:
        return Finding("Networks", "problem", "the account has none: ask the operator for one")
    try:
        chosen = [lookup.network(offered, name.partition("=")[0]) for name in wanted]
    except UsageError as error:
        return Finding("Networks", "problem", str(error))
    names = ", ".join(_described(network) for network in chosen or offered)
    says = names if chosen else f"none named, the data center chooses, mostly of: {names}"
    if all(network.get("public") for network in chosen or offered):
        return Finding(
            "Networks",
            "note",
            f"{says}. None is private: engines reach the controller over the Internet, signed and "
            "not encrypted (docs/accounts.md, Networks)",
        )
    return Finding("Networks", "ok", says)


def _described(network: dict[str, Any]) -> str:
    return f"{network.get('name')} ({'public' if network.get('public') else 'private'})"


def limits(api: Client) -> Finding:
    """What the account may have at most; whether that is enough, the plan of a run tells."""
    found = asked("Limits", api.limits)
    if isinstance(found, Finding):
        return Finding("Limits", "not known", "met as they come, since they cannot be read")
    said = [_limit(limit) for limit in found if "value" in limit]
    return Finding("Limits", "ok", "; ".join(said) or "none, or none that the data center tells")


def _limit(limit: dict[str, Any]) -> str:
    unit = {"ram": "MiB of memory", "quota": "GiB of disk"}.get(str(limit.get("by")), "machines")
    check = limit.get("check")
    only = f" ({check} {limit.get(check)})" if check else ""
    return f"{limit.get('used', '?')} of {limit['value']} {unit}{only} in use"
