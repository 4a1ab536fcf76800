"""The Node.js clients of package.json, installed once into a directory that later runs find."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..center import DEFAULT_STORE

HERE = Path(__file__).parent
CACHE = DEFAULT_STORE.parent
"""Where they are installed for all tests."""
FILES = ("package.json", "package-lock.json", ".npmrc")
OLDEST_NODE = 18
# smartdc 9.0.1 calls functions that Node.js 23 has no more.
NEWEST_NODE_OF_SDC = 22
INSTALL_SECONDS = 600


class Missing(Exception):
    """The clients cannot run here; the text says what to install."""


@dataclass(frozen=True)
class Clients:
    """`modules` is node_modules, `node` the directory of `node` and `npm`.

    `no_sdc` says why the sdc-* commands cannot run; empty if they can.
    """

    modules: Path
    node: str
    no_sdc: str


def find_node() -> tuple[str, int]:
    """The directory of `node` and `npm`, and the major version.

    Raises Missing where there is none that a client runs on.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    node = shutil.which("node", path=path)
    if node is None or shutil.which("npm", path=str(Path(node).parent)) is None:
        raise Missing("node and npm are not installed; run tools/prepare tests")
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    version = int(shown.lstrip("v").split(".")[0])
    if version < OLDEST_NODE:
        raise Missing(f"{node} is {shown.strip()}; the clients need {OLDEST_NODE} or newer")
    return str(Path(node).parent), version


def install(cache: Path) -> Clients:
    """The clients, installed where they are not yet.

    :param cache: where the installations of all versions of package-lock.json are kept
    """
    node, version = find_node()
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
    too_new = version > NEWEST_NODE_OF_SDC
    reason = f"sdc-* runs on Node.js up to {NEWEST_NODE_OF_SDC}; this is {version}"
    return Clients(place / "node_modules", node, reason if too_new else "")


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
