"""Machines whose names and tags were chosen to do harm; a small API that lets anything pass."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from ..modules.modules_support import ROOT, without_settings
from ..smartdc.fake_cloud import FakeCloud, serving, write_key
from ..smartdc.hostile_server import certificate
from .runs import TOOL, inventory


@pytest.fixture
def cloud():
    return FakeCloud()


@pytest.mark.parametrize("insecure", ["no", "yes"])
def test_no_is_no_in_sources_too(tmp_path, cloud, environment, insecure):
    cloud.add(name="web")
    access = {key.removeprefix("SDC_").lower(): value for key, value in environment.items()}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))
    with serving(cloud, context) as url:
        source = {**access, "url": url, "insecure": insecure}
        listing, stderr = inventory(tmp_path, text(sources=[source]), {}, warnings=True)
    assert list(listing["_meta"]["hostvars"]) == (["web"] if insecure == "yes" else [])
    assert ("certificate" in stderr) == (insecure == "no")


@pytest.fixture
def environment(tmp_path, cloud):
    key = ed25519.Ed25519PrivateKey.generate()
    path = write_key(tmp_path / "key", key)
    fingerprint = cloud.allow("/acme/keys/laptop", key.public_key())
    with serving(cloud) as url:
        yield {
            "SDC_URL": url,
            "SDC_ACCOUNT": "acme",
            "SDC_KEY_ID": fingerprint,
            "SDC_KEY_FILE": str(path),
        }


def ansible(directory: Path, environment, *arguments: str):
    return subprocess.run(
        [TOOL.with_name("ansible"), "-i", directory / "inventory/sdc.yml", *arguments],
        cwd=directory,
        env={
            **without_settings(),
            "HOME": str(directory),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_SSH_RETRIES": "0",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def text(**options) -> str:
    return json.dumps({"plugin": "sdc", **options})


@pytest.mark.parametrize("cached", [False, True])
def test_nothing_is_a_template(tmp_path, cloud, environment, cached):
    marker = tmp_path / "executed"
    evil = f"{{{{ lookup('pipe', 'touch {marker}') }}}}"
    tags = {"cluster": evil, "role": evil, "note": evil, evil: "key", "tritoncli.ssh.port": 1}
    cloud.add(
        id=evil, name=evil, package=evil, networks=[evil], ips=["127.0.0.1"],
        primaryIp="127.0.0.1", tags=tags,
    )  # fmt: skip
    options = {
        "group_by": ["cluster", "role", "tag", "package", "network", "image", "datacenter"],
        "compose": {"copied": "sdc_tags.note", "nested": "{'in': sdc_tags}"},
        "keyed_groups": [{"key": "sdc_tags.note", "prefix": "k"}],
        "groups": {"noted": "sdc_tags.note is defined"},
    }
    if cached:
        options |= {"cache": True, "cache_plugin": "jsonfile", "cache_connection": "cache"}
        inventory(tmp_path, text(**options), environment)
    before = len(cloud.requests)
    listing, _ = inventory(tmp_path, text(**options), environment)
    assert (len(cloud.requests) == before) == cached
    host = listing["_meta"]["hostvars"][evil]
    assert host["sdc_id"] == host["sdc_name"] == host["sdc_package"] == evil
    assert host["sdc_tags"] == host["nested"]["in"] == tags
    assert host["copied"] == evil and host["sdc_networks"] == [evil]
    groups = set(listing) - {"_meta", "all"}
    assert all(group.isidentifier() for group in groups) and "noted" in groups
    say = "msg={{ sdc_tags.note }}={{ copied }}={{ sdc_id }}={{ inventory_hostname }}"
    shown = ansible(tmp_path, environment, "all", "-c", "local", "-m", "debug", "-a", say)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    # the host, and its four words
    assert shown.stdout.count("lookup(") == 5, shown.stdout
    # as arguments of ssh, to a port where nobody listens
    lost = ansible(tmp_path, environment, "all", "-m", "raw", "-a", "true")
    assert "via ssh" in lost.stdout, lost.stdout + lost.stderr
    assert not marker.exists()


def test_tags_are_no_options_of_ssh(tmp_path, cloud, environment):
    marker = tmp_path / "executed"
    option = f"-oProxyCommand=touch {marker}"
    reached = {"ips": ["127.0.0.1"], "primaryIp": "127.0.0.1"}
    for number, tag in enumerate(("ip", "proxy", "proxyuser", "port")):
        tags = {"tritoncli.ssh.port": 1, f"tritoncli.ssh.{tag}": option}
        if tag == "proxyuser":
            tags["tritoncli.ssh.proxy"] = "127.0.0.1"
        cloud.add(name=f"m{number}", **reached, tags=tags)
    listing, stderr = inventory(tmp_path, text(), environment, warnings=True)
    for number, tag in ((0, "ip"), (1, "proxy"), (3, "port")):
        assert f"m{number}: no use for tritoncli.ssh.{tag}=" in stderr
        host = listing["_meta"]["hostvars"][f"m{number}"]
        assert host["ansible_host"] == "127.0.0.1"
        assert "ProxyCommand" not in host["ansible_ssh_common_args"]
    assert "ansible_port" not in listing["_meta"]["hostvars"]["m3"]
    ansible(tmp_path, environment, "m0,m1,m2", "-m", "raw", "-a", "true")
    assert not marker.exists()


def test_names_pass_for_nobody_else(tmp_path, cloud, environment):
    victim = cloud.add(name="victim", tags={"cluster": "ipython", "role": "engine"})
    names = ("localhost", "127.0.0.1", "all", "ungrouped", "role_engine", "cluster_ipython")
    made = {name: cloud.add(name=name, ips=["198.51.100.9"]) for name in names}
    twins = [cloud.add(name="role.engine") for _ in "12"]
    digits = [cloud.add(name="1st") for _ in "12"]
    literal = cloud.add(name=f"1st-{digits[0]['id'][:8]}")
    listing, _ = inventory(tmp_path, text(), environment, warnings=True)
    hosts = listing["_meta"]["hostvars"]
    by_id = {host["sdc_id"]: name for name, host in hosts.items()}
    assert len(by_id) == len(hosts) == len(cloud.machines)
    for name, machine in made.items():
        assert by_id[machine["id"]] == f"{name}-{machine['id'][:8]}"
    assert listing["role_engine"]["hosts"] == listing["cluster_ipython"]["hosts"] == ["victim"]
    assert by_id[victim["id"]] == "victim"
    assert {by_id[twin["id"]] for twin in twins} == {f"role.engine-{t['id'][:8]}" for t in twins}
    assert by_id[literal["id"]] == literal["name"]
    assert by_id[digits[0]["id"]] == f"1st-{digits[0]['id']}"
    assert set(listing["_1st"]["hosts"]) == {by_id[digit["id"]] for digit in digits}
    here = ansible(tmp_path, environment, "localhost", "-m", "debug", "-a", "var=ansible_host")
    assert "198.51.100.9" not in here.stdout and here.returncode == 0, here.stdout + here.stderr


def test_names_that_foresee_what_others_become(tmp_path, cloud, environment):
    """Each machine is called like the group that the one before makes under its longer name."""
    name, names = "web", []
    for number in range(9):
        ident = f"{number:08d}-0000-4000-8000-000000000000"
        cloud.add(id=ident, name=name, tags={"first": number == 0})
        names.append(name)
        name = f"{name}_{number:08d}"
    key = "inventory_hostname if '-' in inventory_hostname or sdc_tags.first else ''"
    keyed = [{"key": key, "separator": ""}]
    listing, stderr = inventory(tmp_path, text(keyed_groups=keyed), environment, warnings=True)
    hosts = listing["_meta"]["hostvars"]
    assert sorted(host["sdc_name"] for host in hosts.values()) == names
    assert not set(hosts) & set(listing) and "is in no group that keyed_groups" in stderr
    assert "Found both group and host" not in stderr
    for group in set(listing) - {"_meta", "all", "ungrouped"}:
        members = listing[group]["hosts"]
        assert [re.sub("[^a-z0-9_]", "_", member) for member in members] == [group]


def test_one_account_by_two_ways_is_listed_once(tmp_path, cloud, environment):
    cloud.add(name="web")
    access = {key.removeprefix("SDC_").lower(): value for key, value in environment.items()}
    twice = text(sources=[access, {**access, "url": access["url"] + "/"}])
    listing, _ = inventory(tmp_path, twice, {})
    assert list(listing["_meta"]["hostvars"]) == ["web"]
