"""Network pools: what each module makes of NICs that show a network which is not listed.

The embedded data center has pools as sdc-cloudapi and sdc-napi have them: localdc's test_pools.py.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from localdc.api.catalogue import Pool
from smartdc import DataCenter
from smartdc.config import resolve

from .modules_support import (
    EAST,
    EXTERNAL,
    INTERNAL,
    OFFER,
    ONE_POOL,
    PRIVATE,
    PUBLIC,
    SELECTOR,
    TWO_POOLS,
    WEST,
    cluster,
    names,
    new_key,
    run_module,
)

RFC_1918 = {
    **TWO_POOLS,
    "networks": (
        replace(
            WEST,
            subnet="10.88.0.0/22",
            provision_start="10.88.0.5",
            provision_end="10.88.0.9",
            gateway="10.88.0.1",
        ),
        EAST,
        INTERNAL,
    ),
}
OTHER = Pool("f0000000-0000-4000-8000-000000000003", "Other", (EAST.id,))
TWO_PUBLIC = {**ONE_POOL, "pools": (replace(PUBLIC, networks=(WEST.id,)), OTHER)}
DOUBT = "the data center does not say in which"


@pytest.fixture
def pooled(start_cloud):
    """A data center by its settings, and a function that runs modules against it."""

    def start(**settings):
        cloud = start_cloud(**settings)

        def run(name, /, *, check=False, expect="ok", **arguments):
            access = {**cloud.access, **arguments}
            return run_module(name, check=check, expect=expect, **access)

        return cloud, run

    return start


def boots(cloud):
    """How often each machine was booted, by name."""
    counts = cloud.app.state.center.engine._runner.boots
    return {name: counts[machine["id"]] for name, machine in cloud.machines().items()}


# --- sdc_machine -------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [ONE_POOL, TWO_POOLS], ids=["one", "two"])
def test_networks_are_attached_once(pooled, settings):
    cloud, run = pooled(**settings)
    private = "Private" if settings is TWO_POOLS else "internal"
    run("sdc_machine", name="web", **OFFER, networks=["Public"])
    options = {"name": "web", "networks": ["Public", private], "attach_networks": True}
    first = run("sdc_machine", **options)
    assert first["changed"] and boots(cloud) == {"web": 2}
    assert first["machines"][0]["networks"] == [WEST.id, INTERNAL.id]
    asked = cloud.count("POST", "/nics")
    for check in (True, False):
        again = run("sdc_machine", check=check, **options)
        assert not again["changed"] and again["diff"] == {"before": {}, "after": {}}
    assert (cloud.count("POST", "/nics"), asked, boots(cloud)) == (1, 1, {"web": 2})
    assert not run("sdc_machine", **options, state="started")["changed"]


def test_a_pool_is_attached_once(pooled):
    cloud, run = pooled(**ONE_POOL)
    run("sdc_machine", name="web", **OFFER, networks=["internal"])
    options = {"name": "web", "networks": ["internal", "Public"], "attach_networks": True}
    assert run("sdc_machine", **options)["changed"]
    assert not run("sdc_machine", **options)["changed"]
    assert cloud.machines()["web"]["networks"] == [INTERNAL.id, WEST.id]


def grown(engines):
    """More engines, and no word about their networks."""
    return {**cluster(engines), "package": None, "image": None}


def test_new_machines_are_in_the_pools_of_the_others(pooled):
    """Members cannot be asked for, and the data center's own choice is another."""
    cloud, run = pooled(**TWO_POOLS)
    run("sdc_machine", **cluster(1), networks=["Private"])
    run("sdc_machine", **grown(2))
    run("sdc_machine", name="other", **OFFER, networks=["Public"])
    run("sdc_machine", **grown(3))
    machines = cloud.machines(tags=SELECTOR)
    assert len(machines) == 4
    assert {tuple(machine["networks"]) for machine in machines.values()} == {(INTERNAL.id,)}


def test_new_machines_are_not_made_where_networks_are_unclear(pooled):
    cloud, run = pooled(**TWO_PUBLIC)
    run("sdc_machine", **cluster(1), networks=["Public"])
    failed = run("sdc_machine", expect="fail", **grown(2))
    assert DOUBT in failed.msg and failed.msg.endswith("say networks")
    assert len(cloud.machines()) == 2
    assert len(run("sdc_machine", **grown(2), networks=["Other"])["created"]) == 1


def test_new_machines_where_public_addresses_are_private(pooled):
    """Two interfaces in two pools, of which the public one has the primary address."""
    cloud, run = pooled(**RFC_1918)
    run("sdc_machine", **cluster(1))
    run("sdc_machine", **grown(2))
    shown = [machine["networks"] for machine in cloud.machines().values()]
    assert shown == [[WEST.id, INTERNAL.id]] * 3


def test_two_runs_of_a_cluster_in_pools(pooled):
    cloud, run = pooled(**TWO_POOLS)
    options = {**cluster(3), "networks": ["Public", "Private"], "attach_networks": True}
    made = run("sdc_machine", **options)
    shown = {tuple(machine["networks"]) for machine in made["machines"]}
    assert shown == {(WEST.id, INTERNAL.id), (EAST.id, INTERNAL.id)}
    asked = cloud.count("POST")
    assert not run("sdc_machine", **options)["changed"] and cloud.count("POST") == asked
    assert len(run("sdc_machine", selector=SELECTOR, state="absent")["deleted"]) == 4


def test_which_of_two_pools_is_not_guessed(pooled):
    cloud, run = pooled(**TWO_PUBLIC)
    run("sdc_machine", name="web", **OFFER, networks=["Public"])
    options = {"name": "web", "attach_networks": True}
    failed = run("sdc_machine", expect="fail", **options, networks=["Public"])
    assert failed.msg.startswith("machine web: interface ") and DOUBT in failed.msg
    assert "Public or Other" in failed.msg and WEST.id in failed.msg
    failed = run("sdc_machine", expect="fail", **options, networks=["Public", "Other"])
    assert DOUBT in failed.msg and boots(cloud) == {"web": 1}
    # one more interface, and there is one for each of them
    run("sdc_nic", expect="fail", machine="web", network="Other")
    with cloud.client() as client:
        client.add_nic(cloud.machines()["web"]["id"], OTHER.id)
    cloud.settle()
    assert not run("sdc_machine", **options, networks=["Public", "Other"])["changed"]
    assert not run("sdc_machine", **options, networks=["Public", "Other"])["changed"]
    assert not run("sdc_nic", machine="web", network="Other")["changed"]
    for network in ("Public", "Other"):
        failed = run("sdc_nic", expect="fail", machine="web", network=network, state="absent")
        assert DOUBT in failed.msg and "by its mac" in failed.msg


# --- sdc_nic -----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [ONE_POOL, TWO_POOLS], ids=["one", "two"])
@pytest.mark.parametrize("network", [PUBLIC.id, "Public"], ids=["id", "name"])
def test_an_interface_in_a_pool(pooled, settings, network):
    cloud, run = pooled(**settings)
    private = "Private" if settings is TWO_POOLS else "internal"
    run("sdc_machine", name="gw", **OFFER, networks=[private])
    options = {"machine": "gw", "network": network}
    assert not run("sdc_nic", **options, state="absent")["changed"]
    made = run("sdc_nic", **options)
    assert made["changed"] and made["nic"]["network"] == WEST.id
    for check in (True, False):
        again = run("sdc_nic", check=check, **options)
        assert not again["changed"] and again["nic"] == made["nic"]
    assert cloud.count("POST", "/nics") == 1 and boots(cloud) == {"gw": 2}
    assert not run("sdc_nic", machine="gw", network=private)["changed"]
    assert run("sdc_nic", check=True, **options, state="absent")["changed"]
    assert run("sdc_nic", **options, state="absent")["changed"]
    assert not run("sdc_nic", **options, state="absent")["changed"]
    assert cloud.machines()["gw"]["networks"] == [INTERNAL.id]


def test_all_interfaces_in_a_pool_are_removed(pooled):
    """Earlier runs of whatever tool may have added several."""
    cloud, run = pooled(**ONE_POOL)
    run("sdc_machine", name="gw", **OFFER, networks=["internal"])
    with cloud.client() as client:
        for _ in range(3):
            client.add_nic(cloud.machines()["gw"]["id"], PUBLIC.id)
    cloud.settle()
    assert cloud.machines()["gw"]["networks"] == [INTERNAL.id, WEST.id, WEST.id, EAST.id]
    options = {"machine": "gw", "network": "Public"}
    assert not run("sdc_nic", **options)["changed"]
    assert run("sdc_nic", **options, state="absent")["changed"]
    assert cloud.machines()["gw"]["networks"] == [INTERNAL.id]
    assert not run("sdc_nic", **options, state="absent")["changed"]


def test_what_is_likely_is_not_enough_to_remove_an_interface(pooled):
    """Both are in pools, and the public network of this data center has private addresses."""
    cloud, run = pooled(**RFC_1918)
    run("sdc_machine", name="gw", **OFFER, networks=["Public", "Private"])
    for network in ("Public", "Private"):
        failed = run("sdc_nic", expect="fail", machine="gw", network=network, state="absent")
        assert DOUBT in failed.msg and "by its mac" in failed.msg
    for network, ident in (("Public", WEST.id), ("Private", INTERNAL.id)):
        same = run("sdc_nic", machine="gw", network=network)
        assert not same["changed"] and same["nic"]["network"] == ident
    mac = cloud.machines()["gw"]["nics"][1]["mac"]
    assert run("sdc_nic", machine="gw", mac=mac, state="absent")["changed"]
    assert cloud.machines()["gw"]["networks"] == [WEST.id]


def test_a_network_that_is_in_no_pool_counts_for_none(pooled):
    """Withdrawn from the account, it is no more listed than the networks of a pool."""
    cloud, run = pooled(networks=(WEST, EAST, INTERNAL))
    run("sdc_machine", name="gw", **OFFER, networks=["west", "internal"])
    networks = cloud.app.state.center.engine.networks
    networks._settings = replace(cloud.settings, networks=(EAST, INTERNAL))
    options = {"machine": "gw", "network": "east"}
    assert not run("sdc_nic", **options, state="absent")["changed"]
    assert run("sdc_nic", **options)["changed"]
    assert not run("sdc_nic", **options)["changed"]
    assert run("sdc_machine_info", network="east")["machines"]
    attach = {"name": "gw", "networks": ["east", "internal"], "attach_networks": True}
    assert not run("sdc_machine", **attach)["changed"]
    assert cloud.machines()["gw"]["networks"] == [WEST.id, INTERNAL.id, EAST.id]


def test_a_shared_address_is_of_the_public_pool(pooled):
    """Beside private ones; as public networks of embedded data centers have them."""
    cloud, run = pooled(pools=(replace(PUBLIC, networks=(EXTERNAL.id,)), PRIVATE))
    run("sdc_machine", name="gw", **OFFER, networks=["Public", "Private"])
    assert cloud.machines()["gw"]["ips"][0].startswith("100.64.")
    options = {"machine": "gw", "network": "Public"}
    assert not run("sdc_nic", **options)["changed"]
    assert run("sdc_nic", **options, state="absent")["changed"]
    assert cloud.machines()["gw"]["networks"] == [INTERNAL.id]


def test_pools_without_the_right_to_look_at_addresses(pooled):
    """A sub-user without listnetworkips; then all that is listed may be a pool."""
    cloud, run = pooled(**TWO_POOLS)
    run("sdc_machine", name="gw", **OFFER, networks=["Public", "Private"])
    cloud.forbid("GET", "/ips")
    for network in ("Public", "Private"):
        assert not run("sdc_nic", machine="gw", network=network)["changed"]
    assert cloud.count("POST", "/nics") == 0


# --- what only looks ---------------------------------------------------------------------------


def test_info_finds_machines_in_pools(pooled):
    cloud, run = pooled(**TWO_POOLS)
    for name, networks in (("a", ["Public"]), ("b", ["Private"]), ("c", ["Public", "Private"])):
        run("sdc_machine", name=name, **OFFER, networks=networks)

    def found(network):
        return names(run("sdc_machine_info", network=network))

    assert (found("Public"), found(PRIVATE.id)) == (["a", "c"], ["b", "c"])
    cloud.requests.clear()
    run("sdc_machine_info")
    assert len(cloud.requests) == 1, "pools cost nothing where no network is named"


def test_addresses_of_a_pool_are_not_told(pooled):
    _, run = pooled(**ONE_POOL, fabrics=False)
    listed = run("sdc_network_info", addresses=True)["networks"]
    addresses = {network["name"]: network["addresses"] for network in listed}
    assert (addresses["Public"], addresses["internal"]) == (None, [])


def test_a_machine_without_pools_costs_no_request_more(pooled):
    cloud, run = pooled()
    run("sdc_machine", name="gw", **OFFER, networks=["external"])
    cloud.requests.clear()
    run("sdc_nic", machine="gw", network="external")
    assert [path for _, path in cloud.requests][1:] == [
        f"/acme/machines/{cloud.machines()['gw']['id']}/nics", "/acme/networks",
    ]  # fmt: skip


def test_public_addresses_of_the_package_of_2013(pooled):
    """They go by their value; a private one that is of a public pool comes last."""
    cloud, run = pooled(**RFC_1918)
    run("sdc_machine", name="web", **OFFER, networks=["Public", "Private"])
    with DataCenter.of(resolve(**cloud.access, env={})) as sdc:
        (machine,) = sdc.machines()
        assert machine.ips == ["10.88.0.5", "10.99.0.5"] and machine.public_ips == []
        assert machine.private_ips == ["10.99.0.5", "10.88.0.5"]


# --- a bad day ---------------------------------------------------------------------------------


def test_two_runs_of_every_module_on_a_bad_day(pooled, tmp_path):
    """Changes and reboots are late, lists are old, and the public network becomes a pool."""
    cloud, run = pooled()
    key = new_key(tmp_path / "new")[1]
    # a list is never older than the change that the second run is to see
    day = {"change_seconds": [0.8, 1.2], "lists_cache_seconds": 0.4, "reboot_seconds": 0.5}
    assert cloud.admin("PUT", "settings", {"bad_day": day}).ok
    run("sdc_machine", name="gw", **OFFER, networks=["internal"])
    nic = {"machine": "gw", "network": "external"}
    attach = {"name": "gw", "networks": ["internal", "external"], "attach_networks": True}
    change = {"tags": {"a": "b"}, "metadata": {"c": "d"}, "package": "sample-1G"}
    for module, options in (
        ("sdc_nic", nic),
        ("sdc_nic", {**nic, "state": "absent"}),
        ("sdc_machine", {**attach, "tags": {"a": 1}}),
        ("sdc_machine", {"name": "gw", **change}),
        ("sdc_volume", {"name": "data"}),
        ("sdc_volume", {"name": "data", "state": "absent"}),
        ("sdc_snapshot", {"machine": "gw", "name": "before"}),
        ("sdc_snapshot", {"machine": "gw", "name": "before", "state": "absent"}),
        ("sdc_key", {"name": "new", "key": key}),
        ("sdc_key", {"name": "new", "state": "absent"}),
        ("sdc_firewall_rule", {"rule": "FROM any TO tag a ALLOW tcp PORTS 22, 80"}),
        (
            "sdc_firewall_rule",
            {"rule": "FROM any TO tag a ALLOW tcp PORTS 22, 80", "state": "absent"},
        ),
        ("sdc_machine", {"name": "gw", "state": "stopped"}),
        ("sdc_machine", {"name": "gw", "state": "absent"}),
    ):
        assert run(module, **options)["changed"], (module, options)
        assert not run(module, **options)["changed"], (module, options)
    assert cloud.count("POST", "/nics") == 2
