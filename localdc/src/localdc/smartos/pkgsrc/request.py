"""How a zone asks the compute node for packages that its store does not hold yet.

The zone connects to `/.zonecontrol/packages.sock` and sends one line:

* `summary` - is the repository up?
* `fetch TAG/PKGNAME ...` - put these packages into the store, where TAG is the directory in it.

The answer is any number of lines `begin PKGNAME` (a download begins) and
`error TEXT`, then `end`.  Without an error line everything is in place.
It is plain text because importing json takes longer than all the rest.
"""

# ruff: noqa: PTH118

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "packages.sock"
DIRECTORY = ".zonecontrol"
STORE = "/opt/.pkgsrc/"
MAX_LINE = 1 << 16

SUMMARY, FETCH = "summary", "fetch"
BEGIN, ERROR, END = "begin", "error", "end"


class RequestError(Exception):
    """The compute node cannot provide what was asked for; the message is its reason."""


def path(root: str) -> str | None:
    """The socket below the zone's `root`; None when the zone has no compute node that serves it."""
    found = os.path.join(root, DIRECTORY, NAME)
    return found if os.path.exists(found) else None  # noqa: PTH110


def ask(socket_path: str, *words: str) -> Iterator[str]:
    """Send one request; yields the PKGNAME of each download as it begins.

    Raises RequestError with the compute node's reason, also when it went away.
    """
    from _socket import AF_UNIX, SOCK_STREAM, socket

    connection = socket(AF_UNIX, SOCK_STREAM)
    reasons: list[str] = []
    try:
        connection.connect(socket_path)
        connection.sendall(" ".join(words).encode() + b"\n")
        buffer = b""
        while chunk := connection.recv(MAX_LINE):
            buffer += chunk
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                kind, _, text = line.decode(errors="replace").partition(" ")
                if kind == BEGIN:
                    yield text
                elif kind == ERROR:
                    reasons.append(text)
                elif kind == END:
                    if reasons:
                        raise RequestError("\n".join(reasons))
                    return
    except OSError as error:
        raise RequestError(f"the compute node does not answer: {error.strerror}") from None
    finally:
        connection.close()
    raise RequestError("the compute node hung up")
