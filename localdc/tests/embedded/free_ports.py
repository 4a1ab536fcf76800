"""Free ports, for servers that cannot choose one themselves."""

from __future__ import annotations

import contextlib
import os
import random
import socket

# Below the ports that the kernel gives to whoever asks for any; each process of a parallel run
# has a part of them for itself.
FIRST, SHARE, SHARES = 20000, 750, 16


def free_block(count: int) -> int:
    """The first of so many free ports of 127.0.0.1 in a row."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST + worker % SHARES * SHARE
    while True:
        base = random.randrange(first, first + SHARE - count)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(base, base + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return base
