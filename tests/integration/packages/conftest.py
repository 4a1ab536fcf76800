"""A data center with neighbours, and clusters on it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from embedded.center import PACKAGE, Center
from embedded.faults import faults
from embedded.fixtures import STORE, able, running

from ..cluster.conftest import cluster_of
from ..cluster.playbooks import Cluster, DataCenter, Neighbours

__all__ = ["able", "faults"]


@pytest.fixture(scope="session")
def center(able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """A running data center."""
    yield from running(Center(tmp_path_factory.mktemp("packages"), STORE))


@pytest.fixture(scope="module")
def data_center(center: Center) -> Iterator[DataCenter]:
    found = DataCenter(center.state, str(center.store))
    found.neighbours = Neighbours(found, PACKAGE)
    yield found
    found.neighbours.remove()


@pytest.fixture
def cluster(data_center: DataCenter) -> Iterator[Cluster]:
    yield from cluster_of(data_center, f"packages{os.getpid()}")
