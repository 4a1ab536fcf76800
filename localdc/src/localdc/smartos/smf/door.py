"""The client's side of the repository door."""

# ruff: noqa: PTH119, PTH120 (pathlib costs start-up time)
from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_STREAM
from _socket import socket as Socket

from .model import Groups, SmfError, decode
from .wire import LENGTH, framed, pack_request, unpack_answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Wire = dict[str, Any]

DEFAULT = "/etc/svc/volatile/repository_door"
# as SVCCFG_REPOSITORY and friends on illumos: lets tests talk to a daemon of their own
VARIABLE = "LOCALDC_SMF_DOOR"


class NotRunning(SmfError):
    """Nobody answers at the door."""


class Door:
    """A connection to svc.startd; every `call` is one request and its answer."""

    def __init__(self, path: str | None = None) -> None:
        path = path or os.environ.get(VARIABLE) or DEFAULT
        self._socket = Socket(AF_UNIX, SOCK_STREAM)
        directory = os.open(os.path.dirname(path) or ".", os.O_PATH)
        try:
            name = os.path.basename(path)
            self._socket.connect(f"/proc/self/fd/{directory}/{name}")
        finally:
            os.close(directory)

    def call(self, op: str, **arguments: Any) -> Any:
        """The result of request `op`; SmfError as svc.startd raised it."""
        self._socket.sendall(framed(pack_request({"op": op, **arguments})))
        length = int.from_bytes(self._read(LENGTH), "big")
        answer = unpack_answer(self._read(length))
        if "error" in answer:
            raise SmfError(answer["error"], answer["code"])
        return answer["ok"]

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise NotRunning("Connection to repository server broken.", "broken")
            data += part
        return data

    def groups(self, fmri: str, view: str = "running", group: str | None = None) -> Groups:
        """Property groups of an entity, values of protected ones left out."""
        wanted = {} if group is None else {"group": group}
        return decode(self.call("get", fmri=fmri, view=view, **wanted)["groups"])


def connect() -> Door:
    """The door, or NotRunning with the message of the SMF commands."""
    try:
        return Door()
    except OSError as error:
        raise NotRunning(
            f"Could not connect to repository server: {error.strerror}. Is svc.startd running?",
            "broken",
        ) from None
