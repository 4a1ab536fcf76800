"""The root file system of one zone."""

from __future__ import annotations

from pathlib import Path

from localdc.api.compute import ZoneSpec
from localdc.image.layer import ImageError, Layer


def create_root(layer: Layer, spec: ZoneSpec, root: Path) -> None:
    """Make the persistent root of a new zone in `root`, which must not exist.

    Runs inside the data center's user namespace, as its root.  Atomic: `root`
    appears complete or not at all.
    """
    raise ImageError("create_root has not landed yet")


def configure_root(layer: Layer, spec: ZoneSpec, root: Path) -> None:
    """Write what depends on `spec` into `root`: names, addresses, resolvers, keys.

    Called before each boot, and for a running zone when its keys or its name
    change.  Leaves alone what an administrator of the zone changed elsewhere.
    """
    raise ImageError("configure_root has not landed yet")


def zone_hostname(spec: ZoneSpec) -> str:
    """The host name for the zone's UTS namespace: its alias, or its uuid without one."""
    return spec.alias or spec.uuid
