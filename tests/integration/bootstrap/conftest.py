"""The data center of the cluster tests, and two clusters made in the two ways."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ..cluster.conftest import cluster_of, scratch, started
from ..cluster.playbooks import Cluster, DataCenter

__all__ = ["scratch"]


@pytest.fixture(scope="session")
def data_center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataCenter]:
    """With the container name service; the tests of the cluster do without."""
    yield from started(tmp_path_factory, cns=True)


@pytest.fixture(scope="session")
def by_ssh(data_center: DataCenter) -> Iterator[Cluster]:
    for made in cluster_of(data_center, f"ssh{os.getpid()}"):
        made.play("site.yml", engines=1)
        yield made


@pytest.fixture(scope="session")
def by_metadata(data_center: DataCenter) -> Iterator[Cluster]:
    for made in cluster_of(data_center, f"meta{os.getpid()}"):
        made.play("site.yml", engines=1, bootstrap="metadata")
        yield made
