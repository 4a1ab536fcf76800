"""A data center and machines for the tests of packages and metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from smartdc import Machine

from embedded.center import PACKAGE, Center
from embedded.faults import faults
from embedded.fixtures import STORE, able, running

__all__ = ["able", "faults"]
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
