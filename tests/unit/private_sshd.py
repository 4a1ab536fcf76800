"""A real sshd on loopback that belongs to one test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded.free_ports import free_block

PROGRAM = shutil.which("sshd", path=f"{os.environ.get('PATH')}:/usr/sbin:/sbin")


def make_key(path: Path) -> Path:
    """An ed25519 key pair at `path` and `path`.pub."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@contextmanager
def private_sshd(home: Path, authorized: Path, *settings: str) -> Iterator[int]:
    """Run an sshd that takes the keys of the file `authorized`; gives its port.

    settings: further lines of its configuration.
    """
    home.chmod(0o700)
    host_key = home / "host"
    if not host_key.exists():
        make_key(host_key)
    port = free_block(1)
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {host_key}",
        f"PidFile {home}/pid",
        f"AuthorizedKeysFile {authorized}",
        "StrictModes no",
        "UsePAM no",
        *settings,
    ]
    config = home / "sshd_config"
    config.write_text("\n".join(lines) + "\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    assert PROGRAM
    daemon = subprocess.Popen([PROGRAM, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not _listens(port):
            assert daemon.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        yield port
    finally:
        daemon.terminate()
        daemon.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
