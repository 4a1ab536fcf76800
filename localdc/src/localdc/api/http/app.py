"""The application: CloudAPI of one data center over one compute node."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.types import Lifespan, Receive, Scope, Send

from localdc.api.accounts.throttle import Buckets
from localdc.api.compute import Compute
from localdc.api.engine.changefeed import Feed
from localdc.api.engine.cns import Cns
from localdc.api.engine.datacenter import DataCenter, ensure_account
from localdc.api.engine.faults import Faults
from localdc.api.engine.queue import Engine
from localdc.api.http.call import Route, Router
from localdc.api.http.protocol import TRANSPORT, Dispatcher
from localdc.api.settings import DataCenterSettings
from localdc.api.store import Store


class CloudApi(Starlette):
    """Knows the connection of each request: it must be prompt, and faults cut it."""

    def __init__(self, dispatcher: Dispatcher, lifespan: Lifespan[Starlette]) -> None:
        super().__init__(lifespan=lifespan)
        self._dispatcher = dispatcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        scope[TRANSPORT] = transport
        connection = transport and transport.get_extra_info("socket")
        if connection is not None:
            # asyncio does so only where it made the listening socket itself; without
            # it a body waits 40 ms for the acknowledgement of its headers.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._dispatcher(scope, receive, send)


def create_app(
    settings: DataCenterSettings, store_path: Path, compute: Compute, routes: Iterable[Route]
) -> Starlette:
    """The API of a data center whose state is the SQLite file `store_path`.

    Starting the application opens the file, repairs what a crash left, and sets
    the machines booting that ran before; requests are answered meanwhile.
    `app.state.center.engine.progress` tells how far that is.  Stopping it halts
    every zone in good order.

    Raises, at start: StoreError, ComputeError, ValueError (a key in the
    settings that is not one).
    """

    def center() -> DataCenter:
        found: DataCenter = app.state.center
        return found

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        store = Store(store_path)
        try:
            ensure_account(store, settings)
            faults = Faults()
            engine = Engine(store, compute, settings, faults)
            buckets = Buckets(settings.throttle)
            feed = Feed()
            store.listeners.append(feed.changed)
            cns = Cns(settings, store, engine.networks)
            app.state.center = DataCenter(
                settings, store, engine, faults, buckets, compute, feed, cns
            )
            try:
                await engine.start()
                yield
            finally:
                await engine.close()
        finally:
            store.close()

    dispatcher = Dispatcher(Router(routes), center)
    app = CloudApi(dispatcher, lifespan)
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
