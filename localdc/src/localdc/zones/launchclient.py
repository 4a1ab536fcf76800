"""The daemon's side of the launcher."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Callable

from localdc.zones.container import Launch
from localdc.zones.launcher import MAX_MESSAGE


class LaunchError(Exception):
    """A zone's first process could not be started; the message names the step."""


class LaunchClient:
    """Starts and signals zones through the launcher process.

    `on_exit(zone, pid, wait status)` is called in the event loop when pid 1 of
    a zone has ended, `on_lost()` when the launcher itself has.
    """

    def __init__(
        self,
        channel: socket.socket,
        on_exit: Callable[[str, int, int], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._on_exit = on_exit
        self._on_lost = on_lost
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._serial = itertools.count(1)

    def open(self) -> None:
        """Begin to listen; needs the running event loop."""
        asyncio.get_running_loop().add_reader(self._channel, self._receive)

    def close(self) -> None:
        """Let the launcher end."""
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()

    async def launch(self, launch: Launch, network: int) -> int:
        """Start a zone and return its pid once it has executed its init.

        Raises LaunchError with the step that failed.
        """
        number = next(self._serial)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        message = {"op": "launch", "id": number, **launch.to_json()}
        self._send(message, (network,))
        return await future

    def signal(self, zone: str, number: int) -> None:
        """Send a signal to the zone's pid 1; does nothing when it has ended."""
        self._send({"op": "signal", "zone": zone, "signal": int(number)})

    def _send(self, message: dict[str, object], descriptors: tuple[int, ...] = ()) -> None:
        data = json.dumps(message).encode()
        try:
            socket.send_fds(self._channel, [data], descriptors)
        except OSError as error:
            raise LaunchError(f"the launcher process is gone: {error.strerror}") from error

    def _receive(self) -> None:
        while True:
            try:
                data = self._channel.recv(MAX_MESSAGE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lost()
                return
            self._handle(json.loads(data))

    def _handle(self, message: dict[str, object]) -> None:
        if "exit" in message:
            pid, status = message["pid"], message["status"]
            assert isinstance(pid, int) and isinstance(status, int)
            self._on_exit(str(message["exit"]), pid, status)
            return
        number = message["id"]
        assert isinstance(number, int)
        future = self._waiting.pop(number)
        if future.done():
            return
        pid = message.get("pid")
        if isinstance(pid, int):
            future.set_result(pid)
        else:
            future.set_exception(LaunchError(str(message.get("error"))))

    def _lost(self) -> None:
        asyncio.get_running_loop().remove_reader(self._channel)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LaunchError("the launcher process ended"))
        self._waiting.clear()
        self._on_lost()
