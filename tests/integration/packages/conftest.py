"""A data center and machines for the tests of packages and metadata."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smartdc import Machine

from ..cluster.conftest import cluster_of
from ..cluster.playbooks import Cluster, DataCenter, Neighbours
from ..localdc.center import PACKAGE, Center
from ..localdc.conftest import STORE, able, running

__all__ = ["able"]
BASE = "2f1dc911-6401-4fa4-8e9d-67ea2e39c271"


@pytest.fixture(scope="session")
def center(able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """A running data center."""
    yield from running(Center(tmp_path_factory.mktemp("packages"), STORE))


class Zone:
    """A machine that commands run in by ssh."""

    def __init__(self, center: Center, machine: Machine) -> None:
        self.center = center
        self.machine = machine
        self.address = str(machine.primary_ip)
        self.root = Path(center.state) / "zones" / str(machine.id) / "root"

    def run(self, command: str) -> tuple[int, str]:
        """Exit status and all output of a command."""
        marked = f"PATH=$PATH:/opt/local/bin:/opt/local/sbin; {{ {command}\n}} 2>&1; echo status=$?"
        output, _, status = self.center.ssh(self.address, marked).rpartition("status=")
        return int(status), output

    def succeed(self, command: str) -> str:
        status, output = self.run(command)
        assert status == 0, output
        return output

    def settle(self) -> None:
        """Wait until the boot script has run, well or ill."""
        state = "svcs -H -o sta smartdc/mdata:execute"
        self.succeed(f"until {state} | grep -Eq 'ON|MNT'; do sleep 0.1; done")


NewZone = Callable[..., Zone]


@pytest.fixture
def new_zone(center: Center) -> Iterator[NewZone]:
    """Makes machines, which are deleted after the test."""
    machines: list[Machine] = []

    def make(image: str = BASE, **more: object) -> Zone:
        name = f"packages-{len(machines)}"
        machine = center.api().create_machine(name, PACKAGE, image=image, **more)
        machines.append(machine)
        machine.poll_until("running", interval=0.3, timeout=120)
        machine.refresh()
        return Zone(center, machine)

    yield make
    center.delete(*machines)


@pytest.fixture
def zone(new_zone: NewZone) -> Zone:
    """A machine of the image that most use."""
    return new_zone()


class Faults:
    """The admin call for faults."""

    def __init__(self, center: Center) -> None:
        self._url = f"{center.descriptor()['url']}/--admin/faults"
        self._token = (center.state / "admin_token").read_text().strip()

    def _call(self, method: str, body: dict[str, object] | None = None) -> None:
        request = urllib.request.Request(
            self._url,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
            },
        )
        urllib.request.urlopen(request, timeout=10).close()

    def order(self, kind: str, **fields: object) -> None:
        self._call("POST", {"kind": kind, **fields})

    def withdraw(self) -> None:
        self._call("DELETE")


@pytest.fixture
def faults(center: Center) -> Iterator[Faults]:
    made = Faults(center)
    yield made
    made.withdraw()


@pytest.fixture(scope="module")
def data_center(center: Center) -> Iterator[DataCenter]:
    found = DataCenter(center.state, str(center.store))
    found.neighbours = Neighbours(found, PACKAGE)
    yield found
    found.neighbours.remove()


@pytest.fixture
def cluster(data_center: DataCenter) -> Iterator[Cluster]:
    yield from cluster_of(data_center, f"packages{os.getpid()}")
