"""The user's own commands on records of machines, which need no zones and so no Linux.

With bootstrap=metadata nothing but CloudAPI makes a cluster; what is left out is the controller, to
which the rest of site.yml connects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ...unit.modules.modules_support import INTERNAL, TWO_POOLS, Cloud
from .playing import command

MAKE = ("site.yml", "--tags=machines", "-e", "bootstrap=metadata")


class User:
    """Runs the commands of Ansible in the repository, with files of its own."""

    def __init__(self, directory: Path, cloud: Cloud) -> None:
        self.cloud = cloud
        self.file = directory / "records/ipcontroller-client.json"
        self.environment = {**cloud.environment, "HOME": str(directory)}

    def run(self, program: str, *words: str) -> str:
        done = command(program, *words, environment=self.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def play(self, *words: str) -> str:
        options = ("-e", "cluster=records", "-e", f"client_file={self.file}")
        return self.run("ansible-playbook", *words, *options)

    def inventory(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("ansible-inventory", "--list"))
        return found


@pytest.fixture
def user(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[User]:
    """Of a data center with the settings that the test gives."""
    cloud = Cloud(tmp_path, **getattr(request, "param", {}))
    yield User(tmp_path, cloud)
    cloud.stop()


def test_a_cluster_from_nothing_to_nothing(user: User) -> None:
    user.play(*MAKE, "-e", "engines=2", "--check")
    assert user.cloud.machines() == {}
    user.play(*MAKE, "-e", "engines=2")
    first = user.cloud.machines()
    assert sorted(first) == [
        "records-controller",
        "records-engine-001",
        "records-engine-002",
    ]
    assert (user.file.parent / "engine-boot.sh").exists()
    inventory = user.inventory()
    assert len(inventory["cluster_records"]["hosts"]) == 3
    assert len(inventory["role_engine"]["hosts"]) == 2
    user.play(*MAKE, "-e", "engines=3")
    grown = user.cloud.machines()
    assert len(grown) == 4 and all(grown[name]["id"] == first[name]["id"] for name in first)
    created = user.cloud.count("POST", "/machines")
    user.play(*MAKE)
    assert user.cloud.machines().keys() == grown.keys()
    assert user.cloud.count("POST", "/machines") == created
    assert "4 machine(s) deleted, none left" in user.play("teardown.yml")
    assert user.cloud.machines() == {}


@pytest.mark.parametrize("user", [TWO_POOLS], indirect=True)
def test_a_cluster_in_network_pools(user: User) -> None:
    """Machines show networks that are not listed; new ones are in the pools of the others."""
    user.play(*MAKE, "-e", "engines=1", "-e", "machine_networks=Private")
    user.play(*MAKE, "-e", "engines=2")
    machines = user.cloud.machines()
    assert {tuple(machine["networks"]) for machine in machines.values()} == {(INTERNAL.id,)}
    asked = user.cloud.count("POST")
    user.play(*MAKE, "-e", "machine_networks=Private")
    assert len(machines) == 3 and user.cloud.count("POST") == asked
    assert len(user.inventory()["cluster_records"]["hosts"]) == 3
    assert "3 machine(s) deleted, none left" in user.play("teardown.yml")


def test_a_cluster_on_a_bad_day(user: User) -> None:
    """Changes are late, lists old, requests fail, and the public network is a pool."""
    day = {"change_seconds": [0.3, 1.5], "lists_cache_seconds": 1}
    assert user.cloud.admin("PUT", "settings", {"bad_day": day}).ok
    for engines in (2, 4, 1):
        user.play(*MAKE, "-e", f"engines={engines}")
        user.cloud.settle()
        assert len(user.cloud.machines(limit=100)) == engines + 1
    asked = user.cloud.count("POST") + user.cloud.count("DELETE")
    user.play(*MAKE)
    assert user.cloud.count("POST") + user.cloud.count("DELETE") == asked
    assert "2 machine(s) deleted, none left" in user.play("teardown.yml")
    user.cloud.settle()
    with user.cloud.client() as client:
        assert client.list_machines(limit=99) == []
