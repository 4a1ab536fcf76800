"""The inventory plugin through `ansible-inventory`, against the embedded API without zones."""

from __future__ import annotations

import json

import pytest

from ..modules.modules_support import Cloud
from .runs import inventory

IMAGE = "base-64-lts"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def machines(cloud):
    """A cluster, and others around it."""
    with cloud.client() as client:
        image = next(i["id"] for i in client.list_images() if i["name"] == IMAGE)
        made = {}
        for name, tags in (
            ("ipython-controller", {"cluster": "ipython", "role": "controller"}),
            ("ipython-engine-001", {"cluster": "ipython", "role": "engine", "hot": True}),
            ("ipython-engine-002", {"cluster": "ipython", "role": "engine", "n.o-t": "{{ 1 }}"}),
            ("stopped", {"cluster": "ipython", "role": "engine"}),
            ("plain", {}),
        ):
            payload = {"name": name, "image": image, "package": "sample-512M", "tags": tags}
            payload["metadata"] = {"ipython.key": "s3cret"}
            made[name] = client.create(payload)["id"]
        for ident in made.values():
            _until(client, ident, "running")
        client.act(made["stopped"], "stop")
        _until(client, made["stopped"], "stopped")
    return made


def _until(client, ident, state):
    import time

    for _ in range(200):
        if client.get_machine(ident)["state"] == state:
            return
        time.sleep(0.02)
    raise AssertionError(f"{ident} is not {state}")


def test_groups_and_variables(tmp_path, cloud, machines):
    cloud.requests.clear()
    listing, _ = inventory(tmp_path, "plugin: sdc\n", cloud.environment)
    assert cloud.requests == [("GET", "/acme/machines")]
    assert listing["cluster_ipython"]["hosts"] == [
        "ipython-controller",
        "ipython-engine-001",
        "ipython-engine-002",
    ]
    assert listing["role_engine"]["hosts"] == ["ipython-engine-001", "ipython-engine-002"]
    assert listing["role_controller"]["hosts"] == ["ipython-controller"]
    assert listing["ungrouped"]["hosts"] == ["plain"]
    assert "stopped" not in listing["_meta"]["hostvars"]
    host = listing["_meta"]["hostvars"]["ipython-engine-001"]
    assert host["ansible_host"] == host["sdc_primary_ip"]
    assert host["sdc_external_ips"] == [host["sdc_primary_ip"]]
    assert host["sdc_internal_ips"] == host["sdc_ips"][1:]
    assert host["ansible_user"] == "root"
    assert host["ansible_python_interpreter"] == "/opt/local/libexec/ipyparallel/python3"
    assert host["sdc_id"] == machines["ipython-engine-001"]
    assert host["sdc_tags"] == {"cluster": "ipython", "role": "engine", "hot": True}
    assert host["sdc_package"] == "sample-512M"
    args = host["ansible_ssh_common_args"]
    assert f"HostKeyAlias={host['sdc_id']}" in args
    assert f"UserKnownHostsFile={tmp_path}/.cluster/known_hosts" in args
    assert "accept-new" in args
    assert "s3cret" not in json.dumps(listing)


def test_more_groups_cost_two_requests(tmp_path, cloud, machines):
    cloud.requests.clear()
    listing, _ = inventory(
        tmp_path,
        "plugin: sdc\nstates: [running, stopped]\n"
        "group_by: [cluster, tag, state, package, image, network, datacenter]\n",
        cloud.environment,
    )
    assert len(cloud.requests) == 3
    assert "sdc_tag_hot_true" in listing and "sdc_state_stopped" in listing
    assert "sdc_package_sample_512M" in listing and "sdc_image_base_64_lts" in listing
    assert "sdc_network_external" in listing and "sdc_datacenter_environment" in listing
    assert "role_engine" not in listing


def test_remote_strings_are_not_templates(tmp_path, cloud, machines):
    text = "plugin: sdc\ncompose: {copy: \"sdc_tags['n.o-t'] | default('none')\"}\n"
    text += (
        "keyed_groups: [{key: sdc_tags.role, prefix: r}]\ngroups: {hot: sdc_tags.hot is defined}\n"
    )
    listing, _ = inventory(tmp_path, text, cloud.environment)
    assert listing["_meta"]["hostvars"]["ipython-engine-002"]["copy"] == "{{ 1 }}"
    assert listing["hot"]["hosts"] == ["ipython-engine-001"]
    assert listing["r_controller"]["hosts"] == ["ipython-controller"]


def test_selector_and_address(tmp_path, cloud, machines):
    text = "plugin: sdc\nselector: {role: engine}\naddress: [10.99.0.0/16]\n"
    listing, _ = inventory(tmp_path, text, cloud.environment)
    hosts = listing["_meta"]["hostvars"]
    assert sorted(hosts) == ["ipython-engine-001", "ipython-engine-002"]
    assert all(host["ansible_host"].startswith("10.99.") for host in hosts.values())


def test_cache_hit_costs_no_request_and_accounts_do_not_mix(tmp_path, cloud, machines):
    text = "plugin: sdc\ncache: true\ncache_plugin: jsonfile\ncache_connection: cache\n"
    first, _ = inventory(tmp_path, text, cloud.environment)
    cloud.requests.clear()
    assert inventory(tmp_path, text, cloud.environment)[0] == first
    keyless = {**cloud.environment, "SDC_KEY_FILE": "/nowhere"}
    assert inventory(tmp_path, text, keyless)[0] == first, "a hit signs nothing"
    assert cloud.requests == []
    kept = "".join(path.read_text() for path in (tmp_path / "cache").iterdir())
    assert "ipython-engine-001" in kept and "s3cret" not in kept
    assert inventory(tmp_path, text, cloud.environment, "--flush-cache")[0] == first
    assert len(cloud.requests) == 1
    for change in ({"TRITON_ROLE": "auditor"}, {"SDC_USER": "sub"}, {"TRITON_ACT_AS": "other"}):
        # what the answer is does not matter here: it must not come from another one's cache
        before = len(cloud.requests)
        inventory(tmp_path, text, {**cloud.environment, **change}, warnings=True)
        assert len(cloud.requests) > before, change
    inventory(tmp_path, text + "selector: {role: engine}\n", cloud.environment)
    assert cloud.requests.pop() == ("GET", "/acme/machines")
    cloud.requests.clear()
    inventory(tmp_path, text + "states: [stopped]\ngroup_by: [tag]\n", cloud.environment)
    assert cloud.requests == [], "what is made of the machines is no part of the cache"
    other = Cloud(_fresh(tmp_path / "other"))
    try:
        listing, _ = inventory(tmp_path, text, other.environment)
    finally:
        other.stop()
    assert listing["_meta"]["hostvars"] == {}


def _fresh(path):
    path.mkdir()
    return path


def test_nothing_there_is_told(tmp_path):
    reason = "no data center is configured and no embedded one runs here"
    for _ in range(2):
        listing, stderr = inventory(tmp_path, "plugin: sdc\n", {}, warnings=True)
        assert listing["_meta"]["hostvars"] == {}
        assert f"[WARNING]: sdc inventory: no machines, because {reason}" in " ".join(
            stderr.split()
        )
        (tmp_path / ".localdc").mkdir(exist_ok=True)


def test_empty_account(tmp_path):
    cloud = Cloud(_fresh(tmp_path / "cloud"))
    try:
        listing, _ = inventory(tmp_path, "plugin: sdc\n", cloud.environment)
    finally:
        cloud.stop()
    assert listing["_meta"]["hostvars"] == {}


def test_embedded_data_center_is_found_beside_the_inventory(tmp_path, cloud, machines):
    state = _fresh(tmp_path / ".localdc")
    config = {"name": "localdc", "ssh_config": str(state / "ssh_config"), **cloud.access}
    (state / "datacenter.json").write_text(json.dumps(config))
    listing, _ = inventory(tmp_path, "plugin: sdc\n", {})
    host = listing["_meta"]["hostvars"]["plain"]
    assert host["sdc_datacenter"] == "localdc"
    assert f"-F {state}/ssh_config" in host["ansible_ssh_common_args"]


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ("plugin: sdc\n", {"SDC_URL": "http://127.0.0.1:1"}, "cannot connect"),
        ("plugin: sdc\n", {"SDC_ACCOUNT": "nobody"}, "401"),
        ("plugin: sdc\n", {"SDC_KEY_FILE": "/nowhere"}, "nowhere"),
        ("plugin: sdc\naddress: [somewhere]\n", {}, "CIDR"),
    ],
)
def test_errors_say_what_is_wrong(tmp_path, cloud, machines, text, environment, words):
    listing, stderr = inventory(tmp_path, text, {**cloud.environment, **environment}, warnings=True)
    assert words in stderr and "Traceback" not in stderr
    assert listing["_meta"]["hostvars"] == {}
