"""A data center of its own and a cluster in it, for the tests of the playbooks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping

import pytest

from .agents import crowded_agent
from .playbooks import REPOSITORY, Cluster, DataCenter, Neighbours


@pytest.fixture(scope="session")
def data_center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataCenter]:
    """As an account is that has changed no setting: without the container name service."""
    yield from started(tmp_path_factory, cns=False)


def started(
    tmp_path_factory: pytest.TempPathFactory,
    *options: str,
    cns: bool,
    package: str = "sample-512M",
    env: Mapping[str, str] | None = None,
) -> Iterator[DataCenter]:
    """A data center with neighbours of a package; with `cns` machines are called by their names.

    Its user has an agent with more keys than sshd hears out.

    `options` are those of `localdc start`, `env` is what the environment has besides.
    """
    store = os.environ.get("LOCALDC_PKGSRC", str(REPOSITORY / ".localdc" / "pkgsrc"))
    data_center = DataCenter(tmp_path_factory.mktemp("localdc"), store)
    with crowded_agent() as agent:
        data_center.env |= {"SSH_AUTH_SOCK": agent, **(env or {})}
        try:
            data_center.python("-m", "localdc", "start", *options)
            data_center.api().update_account(triton_cns_enabled=cns)
            data_center.neighbours = Neighbours(data_center, package)
            yield data_center
        finally:
            data_center.python("-m", "localdc", "stop")


def cluster_of(data_center: DataCenter, name: str) -> Iterator[Cluster]:
    cluster = Cluster(data_center, name)
    if data_center.neighbours:
        data_center.neighbours.resemble(name)
    try:
        yield cluster
    finally:
        cluster.play("teardown.yml", check=False)
        shutil.rmtree(cluster.directory, ignore_errors=True)
        if data_center.neighbours:
            data_center.neighbours.check()


@pytest.fixture(scope="session")
def cluster(data_center: DataCenter) -> Iterator[Cluster]:
    """A running cluster of two engines, shared by the tests that leave it working."""
    for made in cluster_of(data_center, f"shared{os.getpid()}"):
        made.play("site.yml", engines=2)
        yield made


@pytest.fixture
def scratch(data_center: DataCenter, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The name of a cluster that does not exist yet; torn down whatever the test leaves."""
    yield from cluster_of(data_center, f"t{os.getpid()}_{abs(hash(request.node.name)) % 10**6}")


@pytest.fixture(autouse=True)
def _only_as_root_or_mapped_user() -> None:
    if sys.platform != "linux":
        pytest.skip("the embedded data center needs Linux namespaces")
