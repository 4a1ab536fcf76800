"""Calls of CloudAPI that this data center does not serve: each says so, none pretends."""

from __future__ import annotations

from localdc.api.errors import (
    brand_not_supported,
    machine_has_no_vnc,
    not_available,
    precondition_failed,
    upgrade_required,
)
from localdc.api.http.call import Answer, Call, Handler, Route
from localdc.api.routes import machine_path

_MACHINE = "/:account/machines/:machine"


def _no_migration(call: Call) -> Answer:
    raise precondition_failed("User migration on this VM not allowed")


def _no_vnc(call: Call) -> Answer:
    raise machine_has_no_vnc(f"Machine {machine_path.load(call).uuid} has no VNC console")


def _only_websocket(call: Call) -> Answer:
    raise upgrade_required("the change feed needs a websocket")


def _no_disks(call: Call) -> Answer:
    raise brand_not_supported(f"machines of brand {machine_path.load(call).brand} have no disks")


def _no_image(call: Call) -> Answer:
    raise not_available("images cannot be made or changed in this data center")


def _collection(handler: Handler, path: str) -> list[Route]:
    """Every verb on a collection and its items."""
    return [
        Route(method, f"{path}{suffix}", handler)
        for suffix in ("", "/:item")
        for method in ("GET", "POST", "PUT", "DELETE")
    ]


ROUTES = (
    *_collection(_no_disks, f"{_MACHINE}/disks"),
    Route("GET", f"{_MACHINE}/vnc", _no_vnc),
    Route("GET", "/:account/changefeed", _only_websocket, websocket=True),
    Route("POST", "/:account/images", _no_image),
    Route("POST", "/:account/images/:image", _no_image),
    Route("DELETE", "/:account/images/:image", _no_image),
    Route("GET", "/:account/migrations", _no_migration),
    Route("GET", "/:account/migrations/:machine", _no_migration),
    Route("POST", f"{_MACHINE}/migrate", _no_migration),
)
