"""Find images, packages and networks by what people write: id, name, name@version, URN."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .errors import LookupFailed, UsageError

Record = dict[str, Any]
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_uuid(text: str) -> bool:
    return bool(_UUID.fullmatch(text))


def near(wanted: str, names: Iterable[str], count: int = 5) -> list[str]:
    """The names most like ``wanted``, best first; if none is alike, some of those there are."""
    known = sorted({name for name in names if name})
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(wanted.lower(), lower, count, 0.4)
    return [lower[name] for name in close] or known[:count]


def image(images: Sequence[Record], wanted: str) -> Record:
    """The image with this id, ``name``, ``name@version`` or URN ``sdc:sdc:name:[version]``.

    Without a version the newest (``published_at``) active one.  The names in the URNs of 2013
    had neither hyphens nor ``-lts``: ``base64`` finds ``base-64-lts``.

    :raises LookupFailed: none; with the nearest names
    """
    if is_uuid(wanted):
        found = [i for i in images if i.get("id") == wanted]
    else:
        name, version = _name_version(wanted)
        found = [i for i in images if i.get("name") == name and _fits(i, version)]
        if not found and ":" in wanted:
            found = [i for i in images if _plain(i.get("name")) == _plain(name)]
            found = [i for i in found if _fits(i, version)]
        found = [i for i in found if i.get("state", "active") == "active"] or found
    if not found:
        names = [f"{i.get('name')}@{i.get('version')}" for i in images]
        raise LookupFailed("image", wanted, near(wanted, names))
    return max(found, key=lambda i: (str(i.get("published_at") or ""), str(i.get("version") or "")))


def package(packages: Sequence[Record], wanted: str) -> Record:
    """The package with this id or name (the newest version of it).

    :raises LookupFailed: none; with the nearest names
    """
    found = [p for p in packages if wanted in (p.get("id"), p.get("name"))]
    if not found:
        raise LookupFailed("package", wanted, near(wanted, (str(p.get("name")) for p in packages)))
    return max(found, key=lambda p: _version_key(str(p.get("version") or "")))


def network(networks: Sequence[Record], wanted: str) -> Record:
    """The network with this id or name.

    :raises LookupFailed: none, or several of that name
    """
    found = [n for n in networks if wanted in (n.get("id"), n.get("name"))]
    if not found:
        raise LookupFailed("network", wanted, near(wanted, (str(n.get("name")) for n in networks)))
    if len(found) > 1:
        ids = ", ".join(str(n.get("id")) for n in found)
        raise UsageError(f"{len(found)} networks are named {wanted!r}", hint=f"use an id: {ids}")
    return found[0]


def _name_version(wanted: str) -> tuple[str, str]:
    if wanted.count(":") >= 2:
        parts = wanted.split(":")
        return parts[2] if len(parts) > 2 else "", parts[3] if len(parts) > 3 else ""
    name, _, version = wanted.partition("@")
    return name, version


def _fits(item: Record, version: str) -> bool:
    own = str(item.get("version") or "")
    return not version or own == version or own.startswith(version + ".")


def _plain(name: object) -> str:
    return re.sub(r"-lts$|-", "", str(name or ""))


def _version_key(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)]
