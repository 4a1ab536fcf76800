"""The process outside the data center that downloads packages for it.

The data center has no network of the host, so it cannot reach the package
index.  `localdc start` leaves this process behind on the host, connected to
the daemon by a socket.  It ends, and its children with it, when the daemon's
end of the socket is closed, however the daemon ended.

Requests are JSON lines: `{"id": N, "packages": [PKGNAME, ...]}`.  They are
worked off one after the other by `localdc.pkgsrc.demand`, whose messages are
passed on with the `id` added.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from localdc.paths import package_path

VARIABLE = "LOCALDC_PACKAGES"
MAX_LINE = 1 << 16


def spawn(packages: Path, log: Path) -> socket.socket:
    """Start the process for the store at `packages`; returns the daemon's end.

    The process runs until that end, and every copy of it, is closed.
    """
    near, far = socket.socketpair()
    with far, log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "localdc.pkgsrc.fetcher"],
            env={**os.environ, VARIABLE: str(packages), "PYTHONPATH": package_path()},
            cwd="/",
            stdin=far.fileno(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    # it outlives this process, which need not wait for it
    process.returncode = 0
    return near


def main() -> int:
    """Serve on the socket that is the standard input."""
    channel = socket.socket(fileno=os.dup(0))
    try:
        for line in _lines(channel):
            _serve(channel, json.loads(line))
    except OSError as error:
        print(f"fetcher: {error}", file=sys.stderr)
    # pip and compilers that are still at work
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(0, signal.SIGKILL)
    return 0


def _lines(channel: socket.socket) -> Iterator[bytes]:
    buffer = b""
    while chunk := channel.recv(MAX_LINE):
        buffer += chunk
        *complete, buffer = buffer.split(b"\n")
        yield from complete


def _serve(channel: socket.socket, request: dict[str, object]) -> None:
    packages = request["packages"]
    assert isinstance(packages, list)
    worker = subprocess.Popen(
        [sys.executable, "-m", "localdc.pkgsrc.demand", *packages],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert worker.stdout is not None
    poller = select.poll()
    poller.register(channel, select.POLLRDHUP)
    poller.register(worker.stdout, select.POLLIN)
    buffer, settled = b"", False
    while True:
        ready = [descriptor for descriptor, _ in poller.poll()]
        if channel.fileno() in ready:
            raise ConnectionResetError("the data center is gone")
        chunk = os.read(worker.stdout.fileno(), MAX_LINE)
        if not chunk:
            break
        buffer += chunk
        *complete, buffer = buffer.split(b"\n")
        for line in complete:
            message = json.loads(line)
            settled = settled or "begin" not in message
            _send(channel, request, message)
    worker.wait()
    if not settled:
        text = f"the package builder ended with status {worker.returncode}; see localdc.log"
        _send(channel, request, {"error": text})


def _send(channel: socket.socket, request: dict[str, object], message: dict[str, object]) -> None:
    channel.sendall(json.dumps({**message, "id": request["id"]}).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
