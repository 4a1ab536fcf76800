"""Free ports."""

from __future__ import annotations

import contextlib
import random
import socket


def free_block(count: int) -> int:
    """The first of so many free ports of 127.0.0.1 in a row."""
    while True:
        base = random.randrange(20000, 32000)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(base, base + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return base
