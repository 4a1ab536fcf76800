"""The zones' way to the package repository: a socket in each, and the fetcher behind it.

The protocol is described in localdc.smartos.pkgsrc.request.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from localdc.smartos.pkgsrc import request

log = logging.getLogger(__name__)

NO_FETCHER = (
    "the process that downloads packages is gone; restart the data center: "
    "python -m localdc stop, python -m localdc start"
)

Fault = Callable[[], Awaitable[str | None]]


class FetchError(Exception):
    """A package cannot be had; the message says why."""


class Fetcher:
    """The daemon's end of the fetcher process.  Requests are queued there."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect to the running event loop."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._channel)
        self._reading = asyncio.create_task(self._read(reader))

    def close(self) -> None:
        """Let the process end."""
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()

    async def fetch(self, names: list[str]) -> AsyncIterator[str]:
        """Have packages made; yields the PKGNAME of each download as it begins.

        Raises FetchError.
        """
        if self._reading is None or self._reading.done() or self._writer is None:
            raise FetchError(NO_FETCHER)
        number = next(self._ids)
        messages = self._waiting[number] = asyncio.Queue()
        try:
            self._writer.write(json.dumps({"id": number, "packages": names}).encode() + b"\n")
            while True:
                message = await messages.get()
                if "begin" not in message:
                    break
                yield message["begin"]
        finally:
            del self._waiting[number]
        if "error" in message:
            raise FetchError(message["error"])

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                message = json.loads(line)
                waiting = self._waiting.get(message["id"])
                if waiting is not None:
                    waiting.put_nowait(message)
        finally:
            for waiting in self._waiting.values():
                waiting.put_nowait({"error": NO_FETCHER})


class PackageSocket:
    """One zone's end of the way to the repository.

    `fault` tells why the repository is down for this zone, None when it is not.
    """

    def __init__(self, zone: str, fetcher: Fetcher | None, fault: Fault) -> None:
        self._zone = zone
        self._fetcher = fetcher
        self._fault = fault
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def listen(self, listener: socket.socket) -> None:
        """Serve on a socket that is bound already."""
        self._server = await asyncio.start_unix_server(
            self._accept, sock=listener, limit=request.MAX_LINE
        )

    async def close(self) -> None:
        """Stop serving and hang up."""
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            operation, *names = (await reader.readline()).decode(errors="replace").split()
            if not await _while_connected(reader, self._answer(operation, names, writer)):
                log.info("zone %s: pkgin went away", self._zone)
        except (ConnectionError, ValueError) as error:
            log.info("zone %s: package client cut off: %s", self._zone, error)
        except Exception:
            log.exception("zone %s: the package socket failed", self._zone)
            writer.write(f"{request.ERROR} the compute node failed; see its log\n".encode())
            writer.write(f"{request.END}\n".encode())
        finally:
            writer.close()

    async def _answer(self, operation: str, names: list[str], writer: asyncio.StreamWriter) -> None:
        reason = await self._fault()
        try:
            if reason is not None:
                raise FetchError(reason)
            if operation == request.FETCH:
                await self._fetch(names, writer)
            elif operation != request.SUMMARY:
                raise FetchError(f"unknown operation {operation}")
        except FetchError as error:
            for line in str(error).splitlines():
                writer.write(f"{request.ERROR} {line}\n".encode())
        writer.write(f"{request.END}\n".encode())
        with contextlib.suppress(ConnectionError):
            await writer.drain()

    async def _fetch(self, names: list[str], writer: asyncio.StreamWriter) -> None:
        if self._fetcher is None:
            raise FetchError(NO_FETCHER)
        log.info("zone %s asks for %s", self._zone, " ".join(names))
        async for name in self._fetcher.fetch(names):
            writer.write(f"{request.BEGIN} {name}\n".encode())
            await writer.drain()


async def _while_connected(reader: asyncio.StreamReader, work: Coroutine[Any, Any, None]) -> bool:
    """Do `work`, which ends early when the client hangs up (False), or with the caller."""
    tasks = working, _ = asyncio.create_task(work), asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
        return working.done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
