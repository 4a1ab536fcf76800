"""How a zone asks the compute node for its metadata.

The zone connects to the unix socket `/.zonecontrol/metadata.sock` (the path
the SmartOS metadata agent uses) and sends one JSON object per line; every
line is answered by one line, in order.  A connection may carry any number of
requests.

Request: `{"op": "get"|"put"|"delete"|"list", "key": string, "value": string}`;
`key` is absent for `list`, `value` only present for `put`.

Reply: `{"status": "ok", "value": string}` for `get`, `{"status": "ok", "keys":
[text, ...]}` for `list`, `{"status": "ok"}` for `put` and `delete`;
`{"status": "notfound"}` for a `get` of an absent key; `{"status": "error",
"message": text}` for everything that was refused.
"""

from __future__ import annotations

import time
from _json import encode_basestring_ascii, make_scanner
from _socket import AF_UNIX, SOCK_STREAM, socket

SOCKET_PATH = "/.zonecontrol/metadata.sock"
OPERATIONS = ("get", "put", "delete", "list")
MAX_LINE = 16 * 1024 * 1024
"""Longest line either side accepts, in bytes; a client that sends more is cut off."""

_RETRY_SECONDS = 0.2


class ProtocolError(Exception):
    """The other side sent something that is not part of the protocol, or hung up."""


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class _Json:
    """What the scanner of the standard library's json asks for, which by itself is half as long
    in starting as the commands that need it."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, _refuse


_scan = make_scanner(_Json)  # type: ignore[arg-type]  # typeshed has its parameter wrong


def encode(message: dict[str, str | list[str]]) -> bytes:
    """One message as the line that goes over the socket, newline included."""
    fields = (f"{encode_basestring_ascii(name)}:{_text(value)}" for name, value in message.items())
    return f"{{{','.join(fields)}}}\n".encode()


def _text(value: str | list[str]) -> str:
    if isinstance(value, str):
        return str(encode_basestring_ascii(value))
    return f"[{','.join(map(_text, value))}]"


def decode(line: bytes) -> dict[str, object]:
    """The message in one line.

    Raises ProtocolError when the line is not one JSON object.
    """
    try:
        text = line.decode("utf-8", "surrogatepass").strip()
        message, end = _scan(text, 0)
    except (ValueError, StopIteration) as error:
        raise ProtocolError(f"not a JSON line: {error}") from None
    if not isinstance(message, dict) or end != len(text):
        raise ProtocolError("not a JSON object")
    return message


def parse_request(line: bytes) -> tuple[str, str, str]:
    """The (operation, key, value) of a request line, for the serving side.

    `key` and `value` are empty where the operation has none.
    Raises ProtocolError for anything a client must not send.
    """
    message = decode(line)
    op = message.get("op")
    if op not in OPERATIONS:
        raise ProtocolError(f"unknown operation {op!r}; known: {', '.join(OPERATIONS)}")
    key, value = message.get("key", ""), message.get("value", "")
    if not isinstance(key, str) or not isinstance(value, str):
        raise ProtocolError("key and value must be strings")
    if op != "list" and not key:
        raise ProtocolError(f"{op} needs a key")
    return str(op), key, value


def ok(**fields: str | list[str]) -> bytes:
    """The line for a request that succeeded."""
    return encode({"status": "ok", **fields})


def not_found() -> bytes:
    """The line for a `get` of a key that does not exist."""
    return encode({"status": "notfound"})


def error(message: str) -> bytes:
    """The line for a request that was refused."""
    return encode({"status": "error", "message": message})


class Client:
    """A connection to the metadata agent.

    Raises OSError from the constructor when `timeout` seconds pass without
    the agent answering; with `timeout=None` it waits as long as it takes, as
    mdata-get(8) does.
    """

    def __init__(self, path: str = SOCKET_PATH, timeout: float | None = None) -> None:
        self._socket = _connect(path, timeout)
        self._buffer = b""

    def request(self, op: str, key: str = "", value: str | None = None) -> dict[str, object]:
        """Send one request and return the reply.

        Raises ProtocolError or OSError when the agent goes away meanwhile, and
        ProtocolError, before anything is sent, for what it would not accept.
        """
        message: dict[str, str | list[str]] = {"op": op}
        if key:
            message["key"] = key
        if value is not None:
            message["value"] = value
        line = encode(message)
        if len(line) > MAX_LINE:
            raise ProtocolError(
                f"key and value are too long, together at most {MAX_LINE >> 20} MiB"
            )
        self._socket.sendall(line)
        return decode(self._read_line())

    def close(self) -> None:
        """End the connection; the client is of no further use."""
        self._socket.close()

    def _read_line(self) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_LINE:
                raise ProtocolError("reply is too long")
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ProtocolError("the metadata agent closed the connection")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def _connect(path: str, timeout: float | None) -> socket:
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        connection = socket(AF_UNIX, SOCK_STREAM)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            if deadline is not None and time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return connection
