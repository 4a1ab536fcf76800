"""npm's http-signature, which CloudAPI verifies requests with and its clients sign them with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .install import HERE, Clients

SIGN_SECONDS = 60


def _command(clients: Clients, script: str) -> dict[str, Any]:
    """Arguments of subprocess that run a script of this directory with the installed packages."""
    return {
        "args": [f"{clients.node}/node", str(HERE / script)],
        "env": {"NODE_PATH": str(clients.modules)},
        "stdout": subprocess.PIPE,
        "text": True,
    }


@contextmanager
def verifier(clients: Clients, keys: Mapping[str, str]) -> Iterator[str]:
    """The URL of a server that answers 200, 400 or 401: what http-signature says of a request.

    :param keys: the OpenSSH line of each key id
    """
    with subprocess.Popen(**_command(clients, "verifier.js"), stdin=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(dict(keys)))
        process.stdin.close()
        port = process.stdout.readline().strip()
        try:
            assert port, "the verifier has ended"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def sign(clients: Clients, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The headers of each request, signed; what a request is: signer.js."""
    done = subprocess.run(
        **_command(clients, "signer.js"),
        input=json.dumps(list(requests)),
        check=True,
        timeout=SIGN_SECONDS,
    )
    headers: list[dict[str, str]] = json.loads(done.stdout)
    return headers
