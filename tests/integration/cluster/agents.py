"""ssh-agents as people have them: with many keys, of which none or one is the right one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded.sockets import listens

from .playbooks import eventually, run

STRANGERS = 8
"""More than sshd hears out (sshd_config(5), MaxAuthTries 6)."""


@contextmanager
def crowded_agent() -> Iterator[str]:
    """The socket of a real agent whose keys open no machine."""
    # a socket's path may have 107 bytes
    directory = Path(tempfile.mkdtemp(prefix="agent", dir="/tmp"))
    socket = directory / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        eventually("the agent listens", lambda: listens(socket), 10)
        for number in range(STRANGERS):
            key = directory / f"strange{number}"
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key), env=dict(os.environ))
            add(str(socket), key)
        yield str(socket)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(directory)


def add(socket: str, key: Path) -> None:
    """Give an agent one more key."""
    run("ssh-add", "-q", str(key), env={**os.environ, "SSH_AUTH_SOCK": socket})
