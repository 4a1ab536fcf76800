"""A data center and a user who has nothing but the line of `localdc env`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from embedded.center import Center
from embedded.clients.install import CACHE, Clients, Missing, install
from embedded.clients.shell import IMAGE, PACKAGE, Shell, created_id
from embedded.fixtures import STORE, able, running

__all__ = ["able"]
SCRIPT = "#!/bin/bash\nmdata-get greeting >/var/tmp/greeting\n"


@pytest.fixture(scope="session")
def clients() -> Clients:
    try:
        return install(CACHE)
    except Missing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def center(
    clients: Clients, able: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Center]:
    """A running data center that only these tests use."""
    yield from running(Center(tmp_path_factory.mktemp("clients") / "dc", STORE))


@pytest.fixture(scope="session")
def shell(center: Center, clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The shell of a user whose home directory is empty."""
    shell = Shell.open(center, tmp_path_factory.mktemp("home"), clients)
    # The limit of calls per account has a test of its own.
    shell.admin("settings", {"throttle": None}, method="PUT")
    return shell


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("script") / "user-script"
    path.write_text(SCRIPT)
    return str(path)


@pytest.fixture(scope="session")
def web(shell: Shell, script: str) -> str:
    """The id of the machine `web`, which tests may change but leave running."""
    options = ["-n", "web", "-t", "role=web", "-t", "weight=5", "-t", "spare=true"]
    options += ["-m", "greeting=good day", "--script", script]
    output = shell.triton("instance", "create", "-w", *options, IMAGE, PACKAGE)
    assert "Created instance web" in output
    return created_id(output)


@pytest.fixture
def faults(shell: Shell) -> Iterator[Shell]:
    """The shell, for tests that order faults; none is left afterwards."""
    yield shell
    shell.admin("faults", method="DELETE")
