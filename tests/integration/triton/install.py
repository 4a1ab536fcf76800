"""The Node.js clients of package.json, installed once into a directory that later runs find."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", ".npmrc")
# smartdc 9.0.1 calls functions that Node.js 23 has no more.
NODES = range(18, 23)
INSTALL_SECONDS = 600


class Missing(Exception):
    """The clients cannot run here; the text says what to install."""


def find_node() -> str:
    """The directory of `node` and `npm`.

    Raises Missing where there is none that all clients run on.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    node = shutil.which("node", path=path)
    if node is None or shutil.which("npm", path=str(Path(node).parent)) is None:
        raise Missing("node and npm are not installed; as root: apt-get install nodejs npm")
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(shown.lstrip("v").split(".")[0]) not in NODES:
        raise Missing(f"node is {shown.strip()}; the clients run on {NODES[0]} to {NODES[-1]}")
    return str(Path(node).parent)


def install(cache: Path) -> tuple[Path, str]:
    """node_modules with the clients, and the directory of `node`.

    :param cache: where the installations of all versions of package-lock.json are kept
    """
    node = find_node()
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()
    place = cache / f"clients-{digest[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "clients.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            scratch = cache / f".{place.name}"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            for name in FILES:
                shutil.copy(HERE / name, scratch)
            _npm_ci(scratch, node)
            scratch.rename(place)
    return place / "node_modules", node


def _npm_ci(directory: Path, node: str) -> None:
    done = subprocess.run(
        [f"{node}/npm", "ci"],
        cwd=directory,
        env={**os.environ, "PATH": os.pathsep.join([node, os.environ.get("PATH", "")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
    if done.returncode:
        raise AssertionError(f"npm ci failed in {directory}:\n{done.stdout}{done.stderr}")
