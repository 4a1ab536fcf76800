"""Wrong input gets one message that says what to do, and makes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .playbooks import BIN, Cluster, DataCenter, run


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"engines": -1}, "engines"),
        ({"engines": "abc"}, "engines"),
        ({"engines": 1_000_000}, "more than max_engines"),
        ({"engines_per_machine": 0}, "engines_per_machine"),
        ({"machine_package": "sample-512"}, "sample-512M"),
        ({"machine_image": "base-64-lst"}, "base-64-lts"),
        ({"machine_networks": ["externl"]}, "external"),
    ],
)
def test_wrong_variables(scratch: Cluster, variables: dict[str, object], expected: str) -> None:
    failed = scratch.play("site.yml", check=False, **{"engines": 1, **variables})
    assert failed.code
    assert expected in failed.output
    assert "Traceback" not in failed.output
    assert scratch.machines == {}


@pytest.mark.parametrize("name", ["no-hyphens", "a b", "", "x" * 80, "ünïcode"])
def test_cluster_names_that_are_no_group_name(data_center: DataCenter, name: str) -> None:
    failed = Cluster(data_center, name).play("site.yml", engines=0, check=False)
    assert failed.code
    assert "cluster" in failed.output
    assert "Traceback" not in failed.output


def settings_env(data_center: DataCenter, **changes: str) -> dict[str, str]:
    known = data_center.settings
    return data_center.env | {
        "SDC_URL": known["url"],
        "SDC_ACCOUNT": known["account"],
        "SDC_KEY_ID": known["key_id"],
        "SDC_KEY_FILE": known["key_file"],
        **changes,
    }


def site(env: dict[str, str]) -> str:
    done = run(
        str(BIN / "ansible-playbook"), "site.yml", "-e", "cluster=nowhere", env=env, check=False
    )
    assert done.returncode
    assert "Traceback" not in done.stdout
    return done.stdout


def test_no_data_center_at_the_url(data_center: DataCenter) -> None:
    output = site(settings_env(data_center, SDC_URL="http://127.0.0.1:9"))
    assert "127.0.0.1:9" in output


def test_a_key_that_the_account_does_not_have(data_center: DataCenter, tmp_path: Path) -> None:
    key = tmp_path / "other"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key), env=dict(os.environ))
    fingerprint = run(
        "ssh-keygen", "-E", "md5", "-lf", f"{key}.pub", env=dict(os.environ)
    ).stdout.split()[1]
    output = site(settings_env(data_center, SDC_KEY_ID=fingerprint, SDC_KEY_FILE=str(key)))
    assert "401" in output


def test_no_private_key_for_the_key_id(data_center: DataCenter, tmp_path: Path) -> None:
    env = settings_env(data_center, SDC_KEY_ID=":".join(["ab"] * 16), HOME=str(tmp_path))
    env.pop("SDC_KEY_FILE")
    env.pop("SSH_AUTH_SOCK", None)
    output = site(env)
    assert "key" in output


def test_inventory_of_nothing_says_so_once(tmp_path: Path, data_center: DataCenter) -> None:
    env = data_center.env | {"LOCALDC_DIR": str(tmp_path / "none")}
    done = run(str(BIN / "ansible-inventory"), "--graph", env=env)
    said = " ".join(done.stdout.split())
    assert said.count("no data center is configured") == 1
    assert "ERROR" not in said
