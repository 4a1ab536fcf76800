"""The embedded data center's API without zones, served to the tests of its clients and its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import uvicorn

from localdc.api.http.app import server_config


class Served:
    """An application on a loopback port, in a thread of its own."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, app: Any) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = uvicorn.Server(server_config(app))
        self.thread = threading.Thread(target=asyncio.run, args=[self._serve()], daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 30
        while not self.server.started:
            assert self.thread.is_alive() and time.monotonic() < deadline
            time.sleep(0.005)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self.server.serve(sockets=[self.socket])

    def stop(self) -> None:
        """End it; nothing happens if it has ended."""
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()
