"""Every path of the API."""

from __future__ import annotations

from localdc.api.http.call import Route
from localdc.api.routes import (
    accesskeys,
    account,
    actions,
    admin,
    audit,
    fabrics,
    fwrules,
    images,
    keys,
    machines,
    metadata,
    networks,
    nics,
    packages,
    policies,
    repository,
    roles,
    snapshots,
    tags,
    unsupported,
    users,
    volumes,
)

ROUTES: tuple[Route, ...] = (
    *accesskeys.ROUTES,
    *account.ROUTES,
    *actions.ROUTES,
    *admin.ROUTES,
    *audit.ROUTES,
    *fabrics.ROUTES,
    *fwrules.ROUTES,
    *images.ROUTES,
    *keys.ROUTES,
    *machines.ROUTES,
    *metadata.ROUTES,
    *networks.ROUTES,
    *nics.ROUTES,
    *packages.ROUTES,
    *policies.ROUTES,
    *roles.ROUTES,
    *repository.ROUTES,
    *snapshots.ROUTES,
    *tags.ROUTES,
    *unsupported.ROUTES,
    *users.ROUTES,
    *volumes.ROUTES,
)
