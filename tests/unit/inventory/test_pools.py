"""The inventory of a data center with network pools."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible.module_utils.common.yaml import yaml_dump

from localdc.api.catalogue import Pool

from ..modules.modules_support import (
    EAST,
    EXTERNAL,
    INTERNAL,
    OFFER,
    ONE_POOL,
    PRIVATE,
    PUBLIC,
    TWO_POOLS,
    WEST,
    Cloud,
    run_module,
)
from .runs import inventory

OTHER = Pool("f0000000-0000-4000-8000-000000000003", "Other", (EAST.id,))
MACHINES = {"both": ["Public", "Private"], "inside": ["Private"], "outside": ["Public"]}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), **TWO_POOLS)
    for name, networks in MACHINES.items():
        run_module("sdc_machine", **cloud.access, **OFFER, name=name, networks=networks)
    yield cloud
    cloud.stop()


@pytest.fixture
def listing(tmp_path):
    def run(cloud, warnings=False, **options):
        source = yaml_dump({"plugin": "sdc", **options})
        return inventory(tmp_path, source, cloud.environment, warnings=warnings)

    return run


@pytest.mark.parametrize("network", [PRIVATE.id, "Private"], ids=["id", "name"])
def test_filters_and_addresses(cloud, listing, network):
    options = {"include": [{"network": network}], "address": [network]}
    hosts = listing(cloud, **options)[0]["_meta"]["hostvars"]
    assert set(hosts) == {"both", "inside"}
    for host in hosts.values():
        assert host["ansible_host"].startswith("10.99.")
    both = hosts["both"]
    assert both["sdc_networks"] == [WEST.id, INTERNAL.id], "as CloudAPI shows them"
    left = listing(cloud, exclude=[{"network": network}])[0]["_meta"]["hostvars"]
    assert set(left) == {"outside"}


def test_groups(cloud, listing):
    groups = listing(cloud, group_by=["network"])[0]
    assert groups["sdc_network_Public"]["hosts"] == ["both", "outside"]
    assert groups["sdc_network_Private"]["hosts"] == ["both", "inside"]
    assert {name for name in groups if name.startswith("sdc_")} == {
        "sdc_network_Public", "sdc_network_Private",
    }  # fmt: skip


def test_a_cached_answer_has_the_pools(cloud, listing, tmp_path):
    options = {"include": [{"network": "Public"}], "address": ["Public"], "cache": True}
    options |= {"cache_plugin": "jsonfile", "cache_connection": str(tmp_path / "cache")}
    first, _ = listing(cloud, **options)
    cloud.requests.clear()
    assert listing(cloud, **options)[0] == first
    assert cloud.requests == [] and set(first["_meta"]["hostvars"]) == {"both", "outside"}


def test_without_names_of_networks_pools_cost_nothing(cloud, listing):
    cloud.requests.clear()
    listing(cloud)
    assert cloud.requests == [("GET", "/acme/machines")]


def test_the_primary_address_is_the_public_one(tmp_path, listing):
    """Where both pools have private addresses."""
    outside = replace(
        EXTERNAL,
        subnet="10.88.0.0/22",
        provision_start="10.88.0.5",
        provision_end="10.88.0.9",
        gateway="10.88.0.1",
    )
    pools = (replace(PUBLIC, networks=(EXTERNAL.id,)), PRIVATE)
    cloud = Cloud(tmp_path, networks=(outside, INTERNAL), pools=pools)
    try:
        run_module(
            "sdc_machine", **cloud.access, **OFFER, name="web", networks=["Private", "Public"]
        )
        for pool, start in (("Public", "10.88."), ("Private", "10.99.")):
            hosts = listing(cloud, address=[pool], include=[{"network": pool}])[0]
            assert hosts["_meta"]["hostvars"]["web"]["ansible_host"].startswith(start)
    finally:
        cloud.stop()


def test_what_is_unclear_is_told_and_counts_for_none(tmp_path, listing):
    settings = {**ONE_POOL, "pools": (replace(PUBLIC, networks=(WEST.id,)), OTHER)}
    cloud = Cloud(tmp_path, **settings)
    try:
        run_module(
            "sdc_machine", **cloud.access, **OFFER, name="web", networks=["Public", "internal"]
        )
        options = {"group_by": ["network"], "address": ["Public", "internal"]}
        found, warnings = listing(cloud, warnings=True, **options)
        text = " ".join(warnings.split())
        assert "is in the pool Public or Other; the data center does not say in which" in text
        assert found["_meta"]["hostvars"]["web"]["ansible_host"].startswith("10.99.")
        assert f"sdc_network_{WEST.id.replace('-', '_')}" in found
        assert "sdc_network_Public" not in found and "sdc_network_Other" not in found
    finally:
        cloud.stop()
