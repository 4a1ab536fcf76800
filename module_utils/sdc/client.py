"""The package smartdc, for modules: `MISSING` says why it cannot be imported, if so.

A module must load without it, to say what to do.
"""

from __future__ import annotations

import traceback

MISSING: str | None = None
ADVICE = (
    "the Python package smartdc of this repository cannot be imported: run the task on localhost "
    "with ansible_python_interpreter={{ ansible_playbook_python }}"
)

__all__ = [
    "ADVICE",
    "MISSING",
    "Client",
    "addresses",
    "clusters",
    "config",
    "errors",
    "firewall",
    "has_tags",
    "keys",
    "lookup",
    "pools",
    "ssh",
    "values",
    "wire",
]

try:
    from smartdc import (
        addresses,
        clusters,
        config,
        errors,
        firewall,
        keys,
        lookup,
        pools,
        ssh,
        values,
    )
    from smartdc.client import Client
    from smartdc.raw import has_tags, wire
except ImportError:
    MISSING = traceback.format_exc()
    globals().update(dict.fromkeys({*__all__} - {"ADVICE", "MISSING"}))
