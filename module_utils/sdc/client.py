"""The package smartdc, for modules: `MISSING` says why it cannot be imported, if so.

A module must load without it, to say what to do.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

MISSING: str | None = None

if TYPE_CHECKING:
    from smartdc import clusters, config, errors, keys, lookup, reach
    from smartdc.datacenter import DataCenter
    from smartdc.raw import has_tags, wire
else:
    try:
        from smartdc import clusters, config, errors, keys, lookup, reach
        from smartdc.datacenter import DataCenter
        from smartdc.raw import has_tags, wire
    except ImportError:
        MISSING = traceback.format_exc()
        clusters = config = errors = keys = lookup = reach = None
        DataCenter = has_tags = wire = None

__all__ = [
    "MISSING",
    "DataCenter",
    "clusters",
    "config",
    "errors",
    "has_tags",
    "keys",
    "lookup",
    "reach",
    "wire",
]
