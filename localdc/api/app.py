"""The application: CloudAPI of one data center over one compute node."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from localdc.api.center import Center, ensure_account
from localdc.api.changefeed import Feed
from localdc.api.cns import Cns
from localdc.api.compute import Compute
from localdc.api.engine import Engine
from localdc.api.faults import FaultBook
from localdc.api.http import Router
from localdc.api.protocol import TRANSPORT, Dispatcher
from localdc.api.routes import ROUTES
from localdc.api.settings import DataCenterSettings
from localdc.api.store import Store
from localdc.api.throttle import Buckets


class CloudApi(Starlette):
    """Knows the connection of each request: it must be prompt, and faults cut it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        scope[TRANSPORT] = transport
        connection = transport and transport.get_extra_info("socket")
        if connection is not None:
            # asyncio does so only where it made the listening socket itself; without
            # it a body waits 40 ms for the acknowledgement of its headers.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await super().__call__(scope, receive, send)


def create_app(settings: DataCenterSettings, store_path: Path, compute: Compute) -> Starlette:
    """The API of a data center whose state is the SQLite file `store_path`.

    Starting the application opens the file, repairs what a crash left, and sets
    the machines booting that ran before; requests are answered meanwhile.
    `app.state.center.engine.progress` tells how far that is.  Stopping it halts
    every zone in good order.

    Raises, at start: StoreError, ComputeError, ValueError (a key in the
    settings that is not one).
    """

    def center() -> Center:
        found: Center = app.state.center
        return found

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        store = Store(store_path)
        try:
            ensure_account(store, settings)
            faults = FaultBook()
            engine = Engine(store, compute, settings, faults)
            buckets = Buckets(settings.throttle)
            feed = Feed()
            store.listeners.append(feed.changed)
            cns = Cns(settings, store, engine.networks)
            app.state.center = Center(settings, store, engine, faults, buckets, compute, feed, cns)
            try:
                await engine.start()
                yield
            finally:
                await engine.close()
        finally:
            store.close()

    dispatcher = Dispatcher(Router(ROUTES), center)
    app = CloudApi(routes=[Mount("/", app=dispatcher)], lifespan=lifespan)
    return app


def server_config(app: Starlette, **options: object) -> uvicorn.Config:
    """A uvicorn configuration that leaves every header to the application.

    options: further arguments of uvicorn.Config, such as host and port.
    """
    defaults: dict[str, object] = {
        "server_header": False,
        "date_header": False,
        "access_log": False,
        "log_config": None,
        "lifespan": "on",
        "http": "h11",
        "ws": "wsproto",
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": 5,
    }
    return uvicorn.Config(app, **{**defaults, **options})  # type: ignore[arg-type]
