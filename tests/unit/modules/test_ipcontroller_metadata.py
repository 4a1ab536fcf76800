"""Where engines will find their controller, and with which key, against the API without zones."""

from __future__ import annotations

import pytest

from .modules_support import OFFER, run_module

SUFFIX = "inst.acme.localdc.cns.local"
NAME = f"tcp://my-cluster-controller.{SUFFIX}:20000"
LAN = {"name": "lan", "subnet": "192.168.140.0/24", "gateway": "192.168.140.1"}
LAN |= {"provision_start_ip": "192.168.140.5", "provision_end_ip": "192.168.140.250"}


@pytest.fixture
def ask(cloud):
    def run(expect="ok", **arguments):
        arguments = {**cloud.access, "cluster": "My_cluster", **arguments}
        result = run_module("ipcontroller_metadata", expect=expect, **arguments)
        assert not result["changed"]
        return result

    return run


@pytest.fixture
def make(sdc_machine):
    """Make a machine of the cluster with this role, and this metadata beside the key."""

    def run(role, key="k" * 64, networks=("external", "internal"), tags=(), **metadata):
        secret = {"ipython.key": key} if key else {}
        made = sdc_machine(
            **OFFER, name=f"My_cluster-{role}", networks=list(networks), secret_metadata=secret,
            tags={"ipython_cluster": "My_cluster", "role": role, **dict(tags)},
            metadata={name.replace("_", "."): value for name, value in metadata.items()},
        )  # fmt: skip
        return made["machines"][0]

    return run


def test_nothing_yet(ask):
    first, second = ask(), ask()
    assert first["url"] == NAME and first["source"] == "cns" and first["stale"] == []
    assert len(first["key"]) == 64 and first["key"] != second["key"]
    assert ask(address="later")["source"] == "later" and ask(address="later")["url"] == ""
    given = ask(address="10.9.8.7", port=21000)
    assert given["source"] == "given" and given["url"] == "tcp://10.9.8.7:21000"
    assert ask(address="head.example")["url"] == "tcp://head.example:20000"


def test_the_suffix_is_that_of_the_private_network(ask):
    assert ask(networks=["external", "internal=10.99.0.77"])["url"] == NAME
    public = ask(networks=["external"])["url"]
    assert public.startswith("tcp://my-cluster-controller.inst.") and public != NAME


def test_a_name_that_may_mean_a_public_address_is_not_used(start_cloud):
    """A new Triton has one zone for all networks (triton-cns, the template of its settings)."""
    cloud = start_cloud(cns_private="triton.local")

    def ask(*networks):
        arguments = {**cloud.access, "cluster": "My_cluster", "networks": list(networks)}
        return run_module("ipcontroller_metadata", **arguments)

    assert (ask()["source"], ask()["url"]) == ("later", "")
    assert ask("external", "internal")["source"] == "later"
    only = ask("internal")
    assert only["source"] == "cns"
    assert only["url"] == "tcp://my-cluster-controller.inst.acme.localdc.triton.local:20000"


def test_a_name_with_addresses_in_two_private_networks_is_not_used(cloud, ask):
    with cloud.client() as client:
        client.create_vlan(7, "seven")
        client.create_fabric_network(7, **LAN)
    assert ask(networks=["external", "internal", LAN["name"]])["source"] == "later"
    assert ask(networks=["external", LAN["name"]])["url"] == NAME


def test_no_name_where_the_network_depends_on_addresses(ask, make):
    """The controller listens at its last private address, and one of a public network may be."""
    networks = ["internal", "external"]
    assert ask(networks=networks)["source"] == "later"
    refused = ask(networks=networks, address="cns", expect="fail")
    assert "Or leave controller_address out" in refused.msg
    controller = make("controller", networks=networks)
    assert ask(networks=networks)["url"] == f"tcp://{controller['ips'][0]}:20000"


def test_an_account_without_names(cloud, ask, make):
    with cloud.client() as client:
        client.update_account(triton_cns_enabled=False)
    assert ask()["source"] == "later"
    refused = ask(address="cns", expect="fail")
    assert "triton_cns_enabled" in refused.msg
    controller = make("controller")
    assert ask()["source"] == "address"
    assert ask()["url"] == f"tcp://{controller['ips'][1]}:20000"


def test_engines_keep_what_is_right(ask, make):
    controller = make("controller")
    own = f"tcp://{controller['ips'][1]}:20000"
    engine = make("engine", ipython_url=own)
    kept = ask()
    assert (kept["source"], kept["url"], kept["stale"]) == ("address", own, [])
    assert kept["key"] == "k" * 64
    assert ask(address="cns")["stale"] == [engine["name"]]


def test_engines_with_a_name_are_right(ask, make):
    make("controller")
    make("engine", ipython_url=NAME)
    assert ask()["stale"] == [] and ask()["url"] == NAME


@pytest.mark.parametrize("url", [NAME, "tcp://10.99.0.99:20000"])
def test_engines_of_a_controller_that_is_gone(ask, make, url):
    engine = make("engine", ipython_url=url)
    assert ask()["stale"] == [engine["name"]]
    assert ask()["key"] == "k" * 64


def test_a_cluster_that_was_set_up_over_ssh(ask, make):
    make("controller", key=None)
    assert "bootstrap=ssh" in ask(expect="fail").msg


def test_two_keys(ask, make, sdc_machine):
    make("engine")
    sdc_machine(
        **OFFER, name="other", tags={"ipython_cluster": "My_cluster", "role": "engine"},
        secret_metadata={"ipython.key": "x" * 64},
    )  # fmt: skip
    refused = ask(expect="fail")
    assert "different keys" in refused.msg and "teardown.yml -e cluster=My_cluster" in refused.msg
    assert "x" * 64 not in str(dict(refused))


def test_another_number_of_engines_per_machine(ask, make):
    make("engine", tags={"engines_per_machine": 2})
    refused = ask(expect="fail")
    assert "Keep engines_per_machine=2" in refused.msg and "My_cluster-engine" in refused.msg
    assert ask(engines_per_machine=2)["key"] == "k" * 64


def test_fabric_networks(cloud, ask):
    """default_network does not choose (sdc-cloudapi, lib/machines.js): it is not even asked."""
    with cloud.client() as client:
        client.create_vlan(7, "seven")
        lan = client.create_fabric_network(7, **LAN)
        client.update_config(default_network=lan["id"])
        assert ask()["url"] == NAME, "both networks have names in the same zone"
    assert cloud.count("GET", "/config") == 0


def test_a_name_that_engines_were_given_is_kept(ask, make):
    """Another URL would be a reason to boot them anew, and their data would be lost."""
    make("controller")
    make("engine", ipython_url="tcp://head.example:20000")
    told = ask()
    assert (told["url"], told["stale"]) == ("tcp://head.example:20000", [])
