"""Every path of the API."""

from __future__ import annotations

from localdc.api.http import Route
from localdc.api.routes import (
    account,
    actions,
    admin,
    audit,
    images,
    keys,
    machines,
    metadata,
    networks,
    nics,
    packages,
    tags,
    unsupported,
)

ROUTES: tuple[Route, ...] = (
    *account.ROUTES,
    *actions.ROUTES,
    *admin.ROUTES,
    *audit.ROUTES,
    *images.ROUTES,
    *keys.ROUTES,
    *machines.ROUTES,
    *metadata.ROUTES,
    *networks.ROUTES,
    *nics.ROUTES,
    *packages.ROUTES,
    *tags.ROUTES,
    *unsupported.ROUTES,
)
