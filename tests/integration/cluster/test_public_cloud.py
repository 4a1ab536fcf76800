"""Accounts as real ones are: offers of other names, sub-users, limits."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from smartdc.config import resolve

from .conftest import cluster_of, started
from .playbooks import BIN, REPOSITORY, Cluster, DataCenter, run

LOGIN = "bobby"


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataCenter]:
    """A data center none of whose names is in the playbooks."""
    yield from started(tmp_path_factory, "--catalogue", "public", cns=True, package="z1-micro")


@pytest.fixture
def cluster(public: DataCenter) -> Iterator[Cluster]:
    yield from cluster_of(public, f"public{os.getpid()}")


@pytest.fixture
def as_sub_user(public: DataCenter, tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which a sub-user signs, who may do everything."""
    key = tmp_path / "bob"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    line = key.with_name("bob.pub").read_text()
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-E", "md5", "-f", key], check=True, capture_output=True, text=True
    ).stdout
    settings = public.settings
    with resolve(env=public.env, cwd=REPOSITORY).connect() as api, ExitStack() as made:
        user = {"login": LOGIN, "email": "bobby@example.com", "password": "secret-1"}
        api.post_object("users", json=user)
        made.callback(api.remove, "users", LOGIN)
        api.post_object("users", LOGIN, "keys", json={"key": line})
        policy = api.post_object("policies", json={"name": "all", "rules": ["CAN * *"]})
        made.callback(api.remove, "policies", policy["id"])
        members = [{"type": "subuser", "login": LOGIN, "default": True}]
        body = {"name": "all", "members": members, "policies": [{"id": policy["id"]}]}
        role = api.post_object("roles", json=body)
        made.callback(api.remove, "roles", role["id"])
        yield public.env | {
            "SDC_URL": settings["url"],
            "SDC_ACCOUNT": settings["account"],
            "SDC_USER": LOGIN,
            "SDC_KEY_ID": shown.split()[1].removeprefix("MD5:"),
            "SDC_KEY_FILE": str(key),
            "SDC_SSH_CONFIG": settings["ssh_config"],
        }


def test_a_cluster_where_nothing_is_called_as_in_the_playbooks(cluster: Cluster) -> None:
    made = cluster.play("site.yml", engines=1)
    assert "1 engine(s) ready" in made.output
    assert "Package       z1-micro, chosen;" in made.output
    assert {machine["package"] for machine in cluster.machines.values()} == {"z1-micro"}
    refused = cluster.play("site.yml", engines=2, machine_package="h1-nano", check=False)
    assert refused.code and 'Brand "bhyve" requires the image type' in refused.output


def test_engines_are_not_given_a_name_that_may_mean_a_public_address(cluster: Cluster) -> None:
    """CNS of this data center has one zone for all networks, as that of a new Triton."""
    made = cluster.play("site.yml", engines=1, bootstrap="metadata")
    assert "1 engine(s) ready" in made.output
    names = {machine["tags"]["role"]: machine for machine in cluster.machines.values()}
    private = [ip for ip in names["controller"]["ips"] if ip.startswith("10.99.")]
    assert names["engine"]["metadata"]["ipython.url"] == f"tcp://{private[0]}:20000"


@pytest.mark.parametrize("bootstrap", ["ssh", "metadata"])
def test_a_sub_user_whose_key_opens_nothing_makes_nothing(
    cluster: Cluster, as_sub_user: dict[str, str], bootstrap: str
) -> None:
    extra = ["engines=1", f"bootstrap={bootstrap}"]
    extra.append(f"cluster={cluster.name}")
    options = [word for pair in extra for word in ("-e", pair)]
    command = [str(BIN / "ansible-playbook"), "site.yml", *options]
    failed = run(*command, env=as_sub_user, check=False)
    assert failed.returncode
    assert f"sub-user {LOGIN} signs with the key" in failed.stdout
    assert "default member of the role administrator" in failed.stdout
    assert cluster.machines == {}


def test_too_many_machines_for_the_account(cluster: Cluster) -> None:
    data_center = cluster.data_center
    login = data_center.settings["account"]
    # three are the neighbours
    data_center.admin(f"accounts/{login}/limits", {"limits": [{"value": 5}]}, method="PUT")
    try:
        failed = cluster.play("site.yml", engines=2, check=False)
    finally:
        data_center.admin(f"accounts/{login}/limits", {"limits": []}, method="PUT")
    assert failed.code and "3 more machines, and 3 of 5 are in use" in failed.output
    assert cluster.machines == {}
