"""Accounts as they are: keys of any name, machines of other people, names that are taken."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .agents import add, crowded_agent
from .playbooks import REPOSITORY, Cluster, eventually, run


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a short path, below which sockets of ssh find their place."""
    directory = Path(tempfile.mkdtemp(prefix="home", dir="/tmp"))
    (directory / ".ssh").mkdir(mode=0o700)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def agent() -> Iterator[str]:
    with crowded_agent() as socket:
        yield socket


def as_configured(cluster: Cluster, home: Path, agent: str, **more: str) -> Cluster:
    """The same cluster for a user who has set SDC_*, as on a data center of others.

    The way to the machines is given, since no network leads there; the key is not.
    """
    center = cluster.data_center
    known = center.settings
    other = center.reached_with(
        SDC_URL=known["url"],
        SDC_ACCOUNT=known["account"],
        SDC_KEY_ID=known["key_id"],
        SDC_SSH_CONFIG=known["ssh_config"],
        HOME=str(home),
        SSH_AUTH_SOCK=agent,
        **more,
    )
    # what is configured is not known for the embedded one
    del other.env["LOCALDC_DIR"]
    return Cluster(other, cluster.name)


def test_a_key_of_any_name_beside_an_agent_with_eight(
    scratch: Cluster, home: Path, agent: str
) -> None:
    shutil.copy(scratch.data_center.settings["key_file"], home / ".ssh" / "triton")
    user = as_configured(scratch, home, agent)
    made = user.play("site.yml", engines=1)
    assert "cost money" in made.output
    with user.client() as client:
        assert client[:].apply_sync(os.getpid)
    assert user.play("playbooks/status.yml").total("failed") == 0
    assert "Engines ready: 0" in user.play("playbooks/status.yml").output
    login = next(line for line in made.output.splitlines() if "Log in" in line).split("ssh", 1)[1]
    logged = run("sh", "-c", f"ssh {login} -o BatchMode=yes svcs -H -o state mdata:execute",
                 env=user.data_center.env)  # fmt: skip
    assert logged.stdout.strip().splitlines()[-1] == "online"


def test_the_ninth_key_of_an_agent(scratch: Cluster, home: Path, agent: str) -> None:
    key = home / "ninth"
    shutil.copy(scratch.data_center.settings["key_file"], key)
    add(agent, key)
    key.unlink()
    user = as_configured(scratch, home, agent)
    user.play("site.yml", engines=1)
    user.play("playbooks/connect.yml")
    with user.client() as client:
        assert client[:].apply_sync(os.getpid)


def test_a_machine_that_knows_other_keys_is_given_up_after_a_minute(
    scratch: Cluster, home: Path
) -> None:
    """Machines that refuse the key are named with it, and with what they cost."""
    scratch.play("site.yml", engines=0)
    scratch.ssh("controller", "rm -f /root/.ssh/authorized_keys; : >/var/ssh/authorized_keys/root")
    shutil.copy(scratch.data_center.settings["key_file"], home / ".ssh" / "triton")
    # another home, so no connection of the first run is at hand
    failed = as_configured(scratch, home, "").play("site.yml", check=False)
    assert failed.code and failed.seconds < 180, failed.output
    assert "Permission denied" in failed.output and ".ssh/triton" in failed.output
    assert "1 machine(s) of cluster" in failed.output and "teardown.yml" in failed.output


def test_machines_that_share_the_tags_are_left_alone(scratch: Cluster) -> None:
    """The neighbours of the data center are checked after each test; here they are named."""
    made = scratch.play("site.yml", engines=1)
    assert "Left alone    accounting-db game-engine (tag" in made.output
    shrunk = scratch.play("site.yml", engines=0)
    assert set(scratch.machines) == {f"{scratch.name}-controller"}
    gone = scratch.play("teardown.yml")
    assert "2 created" in made.output and "1 machine(s) deleted" in gone.output
    for output in (shrunk.output, gone.output):
        assert "accounting-db" in output and "game-engine" in output


def test_a_cluster_without_the_mark_is_adopted_when_told(scratch: Cluster) -> None:
    """As an earlier version of the project has left it."""
    scratch.play("site.yml", engines=1)
    api = scratch.data_center.api()
    ids = {machine["id"] for machine in scratch.machines.values()}
    for ident in ids:
        api.delete_tag(ident, "ipython_cluster")
    assert scratch.machines == {}
    refused = scratch.play("site.yml", check=False, engines=1)
    assert refused.code and "adopt=yes" in refused.output
    assert {api.get_machine(ident)["state"] for ident in ids} == {"running"}
    adopted = scratch.play("site.yml", engines=1, adopt=True)
    assert "0 created, 2 kept, 0 deleted" in adopted.output
    assert {machine["id"] for machine in scratch.machines.values()} == ids


def test_a_taken_name_costs_nothing(scratch: Cluster) -> None:
    api = scratch.data_center.api()
    offer = {"package": "sample-512M", "image": api.image("base-64-lts")["id"]}
    other = api.create({**offer, "name": f"{scratch.name}-controller"})
    try:
        failed = scratch.play("site.yml", check=False, engines=3)
        assert failed.code and other["id"] in failed.output
        assert scratch.machines == {}
    finally:
        eventually(
            "the other machine runs", lambda: api.get_machine(other["id"])["state"] == "running"
        )
        api.delete(other["id"])


def test_what_is_not_said_stays(scratch: Cluster) -> None:
    made = scratch.play("site.yml", engines=3, machine_package="sample-1G", engines_per_machine=2)
    assert "6 engine(s) ready" in made.output
    again = scratch.play("site.yml")
    assert again.total("changed") == 0, again.output
    assert "6 engine(s) ready" in again.output
    scratch.data_center.api().delete(scratch.machines[f"{scratch.name}-engine-002"]["id"])
    healed = scratch.play("site.yml")
    assert "1 created, 3 kept, 0 deleted" in healed.output
    grown = scratch.play("site.yml", engines=4)
    assert "1 created, 4 kept, 0 deleted" in grown.output
    assert {machine["package"] for machine in scratch.machines.values()} == {"sample-1G"}
    resized = scratch.play("site.yml", machine_package="sample-2G")
    assert "0 deleted, 5 resized" in resized.output


def test_only_the_inventory_knows_the_way(scratch: Cluster, home: Path) -> None:
    """The machines are reached by the address that inventory/sdc.yml prefers, through a hop."""
    inventory = home / "inventory" / "sdc.yml"
    inventory.parent.mkdir()
    (inventory.parent / "group_vars").symlink_to(REPOSITORY / "inventory" / "group_vars")
    settings = {"plugin": "sdc", "address": ["10.99.0.0/16"], "known_hosts": str(home / "known")}
    inventory.write_text(json.dumps(settings))
    way = ("-i", str(inventory))
    made = scratch.play("site.yml", *way, engines=1)
    assert "1 engine(s) ready" in made.output
    assert "root@10.99." in made.output
    hop = f"{scratch.name}-controller"
    through = scratch.play("site.yml", *way, engines=2, jump_host=hop)
    assert "2 engine(s) ready" in through.output
