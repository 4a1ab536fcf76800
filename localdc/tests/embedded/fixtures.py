"""What tests of a running data center begin with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .center import DEFAULT_STORE, Center

STORE = Path(os.environ.get("LOCALDC_PKGSRC", DEFAULT_STORE))


@pytest.fixture(scope="session")
def able(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips, with the doctor's words, where the kernel has no namespaces for us."""
    doctor = Center(tmp_path_factory.mktemp("doctor") / "dc", STORE).run("doctor", check=False)
    if doctor.returncode:
        pytest.skip(f"no data center can run here:\n{doctor.stdout}")


def running(center: Center) -> Iterator[Center]:
    try:
        center.run("start")
        yield center
    finally:
        center.run("purge", check=False)
