"""The door of the repository: a unix socket on which clients ask svc.startd (see ``wire``)."""

# ruff: noqa: PTH101, PTH103, PTH108 (pathlib costs start-up time)
from __future__ import annotations

import os
import struct
from _socket import AF_UNIX, SO_PEERCRED, SOCK_STREAM, SOL_SOCKET
from _socket import socket as Socket

from ..model import SmfError
from ..wire import LENGTH, framed, pack_answer, unpack_request
from .loop import READ, WRITE, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Wire = dict[str, Any]
    Handler = Callable[["Peer", Wire], Any]

REQUEST_MAX = 16 << 20
_CHUNK = 1 << 16
_CREDENTIALS = struct.Struct("3i")


class Later:
    """A handler's result that comes later: `ready` is asked after every batch of events."""

    __slots__ = ("ready",)

    def __init__(self, ready: Callable[[], object]) -> None:
        # returns None while there is nothing to answer yet
        self.ready = ready


class Peer:
    """One client, with the user id that the kernel vouches for."""

    __slots__ = ("_input", "_output", "connection", "server", "uid", "waiting")

    def __init__(self, server: Server, connection: Socket) -> None:
        raw = connection.getsockopt(SOL_SOCKET, SO_PEERCRED, _CREDENTIALS.size)
        self.uid: int = _CREDENTIALS.unpack(raw)[1]
        self.server = server
        self.connection = connection
        self.waiting: Later | None = None
        self._input = bytearray()
        self._output = bytearray()

    def read(self) -> None:
        """Take in what has come and answer every complete request."""
        try:
            data = self.connection.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._input += data
        if not data or len(self._input) > REQUEST_MAX:
            self.server.drop(self)
            return
        while self.waiting is None and len(self._input) >= LENGTH:
            end = LENGTH + int.from_bytes(self._input[:LENGTH], "big")
            if end > REQUEST_MAX:
                self.server.drop(self)
                return
            if len(self._input) < end:
                return
            body = bytes(self._input[LENGTH:end])
            del self._input[:end]
            self.server.answer(self, body)

    def reply(self, answer: Wire) -> None:
        """Send an answer; what the socket does not take now is sent as it drains."""
        self._output += framed(pack_answer(answer))
        self._flush()

    def _flush(self) -> None:
        try:
            while self._output:
                sent = self.connection.send(self._output)
                del self._output[:sent]
        except BlockingIOError:
            # no further requests before this one has been read
            self.server.loop.watch(self.connection.fileno(), WRITE, self._ready)
            return
        except OSError:
            self._output.clear()
        self.server.loop.watch(self.connection.fileno(), READ, self.read)

    def _ready(self) -> None:
        self._flush()
        if not self._output:
            self.read()


class Server:
    """Accepts clients and hands their requests to `handlers` by the name in ``op``."""

    def __init__(self, loop: Loop, path: str, handlers: dict[str, Handler]) -> None:
        self.loop = loop
        self.handlers = handlers
        self.peers: set[Peer] = set()
        self.path = path
        self._socket = _listen(path)
        loop.watch(self._socket.fileno(), READ, self._accept)

    def _accept(self) -> None:
        try:
            fd, _address = self._socket._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        connection = Socket(AF_UNIX, SOCK_STREAM, 0, fd)
        connection.setblocking(False)
        peer = Peer(self, connection)
        self.peers.add(peer)
        self.loop.watch(connection.fileno(), READ, peer.read)
        # the request is usually there already
        peer.read()

    def answer(self, peer: Peer, body: bytes) -> None:
        """Handle one request; errors become answers."""
        try:
            request = unpack_request(body)
            handler = self.handlers.get(request.get("op", ""))
            if handler is None:
                raise SmfError("unknown request", "protocol")
            result = handler(peer, request)
        except SmfError as error:
            peer.reply({"error": str(error), "code": error.code})
            return
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            peer.reply({"error": f"malformed request: {error!r}", "code": "protocol"})
            return
        except Exception:
            # the client must not wait for ever for what went wrong here
            self.drop(peer)
            raise
        if isinstance(result, Later):
            peer.waiting = result
        else:
            peer.reply({"ok": result})

    def settle(self) -> None:
        """Answer the requests whose result has come."""
        for peer in [peer for peer in self.peers if peer.waiting is not None]:
            later = peer.waiting
            try:
                result = later.ready() if later else None
            except SmfError as error:
                peer.waiting = None
                peer.reply({"error": str(error), "code": error.code})
                continue
            if result is not None:
                peer.waiting = None
                peer.reply({"ok": result})

    def drop(self, peer: Peer) -> None:
        """Forget a client that has gone, and what it waited for."""
        self.peers.discard(peer)
        self.loop.forget(peer.connection.fileno())
        peer.connection.close()

    def close(self) -> None:
        """Stop listening and remove the door."""
        self.loop.forget(self._socket.fileno())
        self._socket.close()
        os.unlink(self.path)


def _listen(path: str) -> Socket:
    parent, name = os.path.split(path)
    os.makedirs(parent, exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    listening = Socket(AF_UNIX, SOCK_STREAM)
    directory = os.open(parent, os.O_PATH | os.O_CLOEXEC)
    try:
        # socket paths end at 107 bytes; this way only the name counts
        listening.bind(f"/proc/self/fd/{directory}/{name}")
    finally:
        os.close(directory)
    # everybody may ask; what is answered depends on the user id
    os.chmod(path, 0o666)
    listening.listen(64)
    listening.setblocking(False)
    return listening
