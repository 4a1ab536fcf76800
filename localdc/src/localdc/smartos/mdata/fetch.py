"""Start method of svc:/smartdc/mdata:fetch: the zone's metadata, on every boot, as files.

What the service does on SmartOS is in mdata-fetch of smartos-live; addresses,
routes and resolvers, which it sets there, are set by the compute node here.
"""

# ruff: noqa: PTH105, PTH108, PTH123

from __future__ import annotations

import os
import sys

from . import protocol

FILES = {
    "user-data": ("/var/db/mdata-user-data", 0o600),
    "user-script": ("/var/svc/mdata-user-script", 0o700),
    "sdc:operator-script": ("/var/svc/mdata-operator-script", 0o700),
}
EXECUTE = "svc:/smartdc/mdata:execute"
_EXIT_FATAL = 95


def main() -> int:
    """Write the files, then have the scripts executed."""
    try:
        write_files(protocol.Client())
    except (OSError, protocol.ProtocolError) as error:
        print(f"cannot fetch metadata: {error}", file=sys.stderr)
        return _EXIT_FATAL
    from ..smf.commands.client import run

    return run("svcadm", ["enable", EXECUTE])


def write_files(client: protocol.Client, root: str = "") -> None:
    """Make every file of `FILES` hold its key's value, or be absent with it.

    Raises ProtocolError when the agent refuses a key.
    """
    for key, (path, mode) in FILES.items():
        reply = client.request("get", key)
        value = reply.get("value")
        if reply.get("status") == "ok" and isinstance(value, str):
            _write(root + path, value, mode)
            print(f"{key} written to {path}")
        elif reply.get("status") == "notfound":
            _remove(root + path)
        else:
            raise protocol.ProtocolError(f"{key}: {reply.get('message', 'refused')}")


def _write(path: str, text: str, mode: int) -> None:
    with open(f"{path}.new", "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text if text.endswith("\n") else f"{text}\n")
    os.replace(f"{path}.new", path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
