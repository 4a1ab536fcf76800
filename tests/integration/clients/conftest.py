"""The CloudAPI clients of others, unmodified, against data centers of ours.

Their only preparation is what a user does: eval "$(python -m localdc env)".
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..localdc.center import REPOSITORY, Center
from ..localdc.conftest import STORE, able, running
from .clients import Clients

__all__ = ["able"]

PINNED = REPOSITORY / "tests" / "clients"
FILES = ("package.json", "package-lock.json")
INSTALL_SECONDS = 300


@pytest.fixture(scope="session")
def packages() -> Path:
    """Where the clients are installed; installs them once per set of versions."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm is not installed: apt-get install nodejs npm")
    digest = hashlib.sha256(b"".join((PINNED / name).read_bytes() for name in FILES)).hexdigest()
    place = Path(
        os.environ.get("LOCALDC_CLIENTS", REPOSITORY / ".localdc" / f"clients-{digest[:12]}")
    )
    done = place / "installed"
    if not done.exists():
        place.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(PINNED / name, place / name)
        # No scripts: they would only build optional parts, with a compiler.
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        made = subprocess.run(
            command,
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
        if made.returncode:
            pytest.skip(f"npm cannot install the clients:\n{made.stderr[-2000:]}")
        done.touch()
    return place / "node_modules"


@pytest.fixture(scope="session")
def zones(
    able: None, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clients]:
    """Clients of a data center with real zones."""
    for center in running(Center(tmp_path_factory.mktemp("zones") / "dc", STORE)):
        yield Clients(center, packages, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def records(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """Clients of a data center of records, where provisioning takes its time."""
    center = Center(tmp_path_factory.mktemp("records") / "dc", STORE)
    try:
        center.run("start", "--records-only", "--provision-seconds", "2.5", "--throttle", "off")
        yield Clients(center, packages, tmp_path_factory.mktemp("home"))
    finally:
        center.run("purge", check=False)
