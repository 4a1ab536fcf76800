"""The control socket: what the command line asks of the running daemon.

One JSON object per line in either direction.  Requests: `{"op": "status"}`,
`{"op": "reachable", "seconds": N}`, `{"op": "stop"}`, `{"op": "knows", "host": H}`,
which tells whether H is the address of a machine, and of which kind, and `{"op": "connect",
"host": H, "port": P}`, which is answered with a connected descriptor.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from localdc import LocalDCError

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
SSH_PORT = 22
MAX_LINE = 65536


class Subject(Protocol):
    """What the control socket shows and steers: the daemon."""

    def status(self) -> dict[str, Any]:
        """What `localdc status` shows; `machines` have name, uuid, state, ips."""

    def stop(self) -> None:
        """Begin the orderly end."""

    def remaining(self) -> int | None:
        """How many zones still run while stopping; None before that."""


class ControlServer:
    """Serves the control socket of one daemon."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: socket.socket | None = None

    def open(self, path: Path) -> None:
        """Listen on `path`, which may be longer than sockaddr_un allows."""
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _directory(path) as name:
            server.bind(name)
        path.chmod(0o600)
        server.listen(128)
        server.setblocking(False)
        self._server = server
        asyncio.get_running_loop().add_reader(server, self._accept, server)

    def close(self) -> None:
        """Stop listening; requests in progress end with the daemon."""
        if self._server is not None:
            asyncio.get_running_loop().remove_reader(self._server)
            self._server.close()

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = server.accept()
            client.setblocking(False)
            task = asyncio.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            request = json.loads(await _read_line(client))
            if request["op"] == "connect":
                await self._connect(client, str(request["host"]), int(request["port"]))
                return
            async for message in self._answer(request):
                await loop.sock_sendall(client, _line(message))
        except (OSError, ValueError, KeyError, LocalDCError) as error:
            with contextlib.suppress(OSError):
                await loop.sock_sendall(client, _line({"error": str(error)}))
        finally:
            client.close()

    async def _answer(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        if request["op"] == "status":
            yield self._subject.status()
        elif request["op"] == "reachable":
            yield {"unreachable": await self._unreachable(float(request["seconds"]))}
        elif request["op"] == "knows":
            host, machines = request["host"], self._subject.status()["machines"]
            known = any(host in machine["reachable"] for machine in machines)
            fabric = not known and any(host in machine["ips"] for machine in machines)
            yield {"known": known, "fabric": fabric}
        elif request["op"] == "stop":
            self._subject.stop()
            while True:
                yield {"remaining": self._subject.remaining()}
                await asyncio.sleep(0.5)
        else:
            raise ValueError(f"unknown operation {request['op']!r}")

    async def _connect(self, client: socket.socket, host: str, port: int) -> None:
        address = self._address(host)
        where = "" if address == host else f"{address}: "
        try:
            connection = await _open(address, port, CONNECT_SECONDS)
        except TimeoutError:
            raise LocalDCError(f"{where}no answer in {CONNECT_SECONDS:.0f} s") from None
        except OSError as error:
            # asyncio's text names the call, not the reason
            raise LocalDCError(f"{where}{os.strerror(error.errno or 0)}") from None
        with connection:
            connection.setblocking(True)
            socket.send_fds(client, [_line({"ok": True})], [connection.fileno()])

    def _address(self, host: str) -> str:
        """The address of a machine given by address, name, uuid or short id.

        Raises LocalDCError for what cannot be reached from here.
        """
        status = self._subject.status()
        if status["records_only"]:
            raise LocalDCError(
                "the machines of this data center are records only (localdc start --records-only): "
                "there is nothing to log in to"
            )
        machines = status["machines"]
        with contextlib.suppress(ValueError):
            address = str(ipaddress.ip_address(host))
            owners = [machine for machine in machines if address in machine["ips"]]
            if owners and not any(address in machine["reachable"] for machine in owners):
                raise _behind(owners[0], address)
            return address
        for machine in machines:
            known = (machine["name"], machine["uuid"], machine["uuid"][:8], *machine["dns_names"])
            if host not in known or not machine["ips"]:
                continue
            if not machine["reachable"]:
                raise _behind(machine, machine["ips"][0])
            return str(machine["reachable"][0])
        raise LocalDCError("no machine of this data center has this name or address")

    async def _unreachable(self, seconds: float) -> list[str]:
        """The names of running machines whose sshd does not answer in time."""
        running = [m for m in self._subject.status()["machines"] if m["state"] == "running"]

        async def late(machine: dict[str, Any]) -> str | None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while True:
                        with contextlib.suppress(OSError):
                            (await _open(machine["reachable"][0], SSH_PORT, seconds)).close()
                            return None
                        await asyncio.sleep(0.05)
            return str(machine["name"])

        found = await asyncio.gather(*(late(m) for m in running if m["reachable"]))
        return [name for name in found if name is not None]


def _behind(machine: dict[str, Any], address: str) -> LocalDCError:
    """The error for an address on a fabric network, with the ways there."""
    name = machine["name"]
    return LocalDCError(
        f"{address} of {name} is on a fabric network; go through a machine that is also on a "
        f"network of the data center: ssh -J root@ITS_ADDRESS root@{address}, "
        f"or: triton inst tag set {name} tritoncli.ssh.proxy=ITS_NAME"
    )


async def _open(address: str, port: int, seconds: float) -> socket.socket:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(loop.sock_connect(connection, (address, port)), seconds)
    except BaseException:
        connection.close()
        raise
    return connection


async def _read_line(client: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        chunk = await asyncio.get_running_loop().sock_recv(client, MAX_LINE)
        if not chunk or len(line) > MAX_LINE:
            raise ValueError("incomplete request")
        line += chunk
    return line


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


@contextlib.contextmanager
def _directory(path: Path) -> Iterator[str]:
    """A short name for `path`, valid inside the block."""
    handle = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{path.name}"
    finally:
        os.close(handle)


def ask(
    path: Path,
    request: dict[str, Any],
    each: Callable[[dict[str, Any]], None] | None = None,
    timeout: float | None = 30.0,
) -> dict[str, Any] | None:
    """Send one request to the daemon; the last line of its answer.

    None when no daemon listens.  `each` gets every line.  Raises LocalDCError
    with the daemon's message when it refuses, and after `timeout` seconds of silence.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(timeout)
    last: dict[str, Any] = {}
    with client:
        try:
            with _directory(path) as name:
                client.connect(name)
            client.sendall(_line(request))
            with client.makefile("rb") as replies:
                for line in replies:
                    last = json.loads(line)
                    if "error" in last:
                        raise LocalDCError(str(last["error"]))
                    if each is not None:
                        each(last)
        except TimeoutError:
            raise LocalDCError(f"The daemon does not answer on {path}.") from None
        except (FileNotFoundError, ConnectionError):
            return last if last else None
    return last
