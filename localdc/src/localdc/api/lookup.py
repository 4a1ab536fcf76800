"""What an image or a package that a client names is."""

from __future__ import annotations

from localdc.api.catalogue import Image, Package
from localdc.api.settings import DataCenterSettings


def image(settings: DataCenterSettings, identifier: object) -> Image | None:
    """By id, or by URN.

    A URN may be partial: `sdc:sdc:base64:` means the newest version, as the
    data centers of 2013 had it.
    """
    if not isinstance(identifier, str):
        return None
    for known in settings.images:
        if known.id == identifier.lower():
            return known
    if ":" not in identifier:
        return None
    wanted = identifier.split(":")
    matching = [
        known
        for known in settings.images
        if any(_urn_matches(wanted, urn.split(":")) for urn in known.urns)
    ]
    return max(matching, key=lambda known: version_key(known.version), default=None)


def _urn_matches(wanted: list[str], urn: list[str]) -> bool:
    return len(wanted) <= len(urn) and all(
        part in ("", "*", has) for part, has in zip(wanted, urn, strict=False)
    )


def package(settings: DataCenterSettings, name_or_id: object) -> Package | None:
    """By id, or by name, of which the newest active version counts."""
    matching = [
        p for p in settings.packages if name_or_id == p.id or (p.active and name_or_id == p.name)
    ]
    return max(matching, key=lambda p: version_key(p.version), default=None)


def version_key(version: str) -> tuple[tuple[int, str], ...]:
    """Orders `1.10.0` after `1.9.0`."""
    parts = version.replace("-", ".").split(".")
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)
