"""One data center for the tests that only use it, and fresh ones for those that break it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from smartdc import Machine

from embedded.center import Center
from embedded.fixtures import STORE, able, running
from embedded.users import unprivileged, user

__all__ = ["able", "unprivileged", "user"]


@pytest.fixture(scope="session")
def center(able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """A running data center."""
    yield from running(Center(tmp_path_factory.mktemp("dc"), STORE))


@pytest.fixture
def fresh(able: None, tmp_path: Path) -> Iterator[Center]:
    """A running data center for one test."""
    yield from running(Center(tmp_path / "dc", STORE))


@pytest.fixture(scope="session")
def pair(center: Center) -> Iterator[tuple[Machine, Machine]]:
    """Two running machines of the shared data center."""
    first, second = center.create("alpha", "beta", tags={"role": "test"})
    yield first, second
    center.delete(first, second)
