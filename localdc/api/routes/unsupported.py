"""Calls of CloudAPI that this data center does not serve: each says so, none pretends."""

from __future__ import annotations

from localdc.api.errors import ApiError, not_implemented
from localdc.api.http import Answer, Call, Handler, Route

_MACHINE = "/:account/machines/:machine"


def _refuse(what: str) -> Handler:
    def handler(call: Call) -> Answer:
        raise not_implemented(f"{what} are not supported by this data center")

    return handler


def _none(call: Call) -> Answer:
    """There are no sub-users, roles or policies, which an empty list says truly."""
    return Answer.json([])


def _no_migration(call: Call) -> Answer:
    raise ApiError(412, "PreconditionFailed", "User migration on this VM not allowed")


def _collection(what: str, path: str, *more: str) -> list[Route]:
    """Every verb on a collection, its items, and further paths."""
    refuse = _refuse(what)
    return [
        Route(method, f"{path}{suffix}", refuse)
        for suffix in ("", "/:item", *more)
        for method in ("GET", "POST", "PUT", "DELETE")
    ]


def _empty(what: str, path: str) -> list[Route]:
    routes = [route for route in _collection(what, path) if route.pattern != path]
    return [Route("GET", path, _none), Route("POST", path, _refuse(what)), *routes]


ROUTES = (
    *_collection("access keys", "/:account/accesskeys"),
    *_collection("firewall rules", "/:account/fwrules", "/:item/:verb"),
    *_collection("volumes", "/:account/volumes"),
    *_collection("fabric VLANs", "/:account/fabrics/default/vlans"),
    *_collection("fabric networks", "/:account/fabrics/default/vlans/:vlan/networks"),
    *_collection("snapshots", f"{_MACHINE}/snapshots"),
    *_collection("disks", f"{_MACHINE}/disks"),
    *_empty("sub-users", "/:account/users"),
    *_empty("roles", "/:account/roles"),
    *_empty("policies", "/:account/policies"),
    Route("GET", "/:account/volumesizes", _refuse("volumes")),
    Route("GET", f"{_MACHINE}/fwrules", _refuse("firewall rules")),
    Route("POST", f"{_MACHINE}/nics", _refuse("changes of network interfaces")),
    Route("DELETE", f"{_MACHINE}/nics/:mac", _refuse("changes of network interfaces")),
    Route("GET", f"{_MACHINE}/vnc", _refuse("consoles")),
    Route("GET", "/:account/changefeed", _refuse("change feeds")),
    Route("POST", "/:account/images", _refuse("new images")),
    Route("POST", "/:account/images/:image", _refuse("changes of images")),
    Route("DELETE", "/:account/images/:image", _refuse("changes of images")),
    Route("GET", "/:account/migrations", _no_migration),
    Route("GET", "/:account/migrations/:machine", _no_migration),
    Route("POST", f"{_MACHINE}/migrate", _no_migration),
)
