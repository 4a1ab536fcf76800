"""Sockets of programs that tests start."""

from __future__ import annotations

import socket
from pathlib import Path


def listens(path: Path) -> bool:
    """Whether somebody takes connections; a socket is there a moment before anybody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
