"""sdc_machine for one machine by name or id."""

from __future__ import annotations

import pytest

from ..modules_support import OFFER, run_module


def test_life_of_a_machine(cloud, sdc_machine):
    made = sdc_machine(name="web", **OFFER, networks=["external", "internal"], tags={"a": 1})
    assert made["changed"] and len(made["machines"][0]["ips"]) == 2
    assert not sdc_machine(name="web", **OFFER, tags={"a": 1})["changed"]
    ident = made["created"][0]

    stopped = sdc_machine(id=ident, state="stopped")
    assert stopped["changed"] and stopped["machines"][0]["state"] == "stopped"
    assert not sdc_machine(name="web", state="stopped")["changed"]
    assert not sdc_machine(name="web", **OFFER)["changed"], "present leaves the power alone"
    started = sdc_machine(name="web", state="started")
    assert started["started_ids"] == [ident] and started["machines"][0]["state"] == "running"
    assert sdc_machine(name="web", state="restarted")["changed"]

    assert sdc_machine(check=True, name="web", state="absent")["deleted"] == [ident]
    gone = sdc_machine(name="web", state="absent")
    assert gone["deleted"] == [ident] and cloud.machines() == {}
    assert not sdc_machine(name="web", state="absent")["changed"]
    assert not sdc_machine(id=ident, state="absent")["changed"]


def test_resize(cloud, sdc_machine):
    sdc_machine(name="web", **OFFER)
    predicted = sdc_machine(check=True, name="web", package="sample-1G")
    assert predicted["machines"][0]["package"] == "sample-1G"
    resized = sdc_machine(name="web", package="sample-1G")
    assert resized["diff"]["before"] == {"web": {"package": "sample-512M"}}
    assert resized["diff"]["after"] == {"web": {"package": "sample-1G"}}
    assert not sdc_machine(name="web", package="sample-1G")["changed"]
    failed = sdc_machine(expect="fail", name="web", package="sample-1GB")
    assert "nearest" in failed.msg


def test_package_and_image_by_id(cloud, sdc_machine):
    made = sdc_machine(name="web", **OFFER)["machines"][0]
    with cloud.client() as client:
        package = client.get_package("sample-512M")["id"]
    offer = {"package": package, "image": made["image"]}
    assert not sdc_machine(name="web", **offer)["changed"]
    twin = sdc_machine(name="twin", package=package, image="base-64-lts@24.4.1")
    assert twin["machines"][0]["image"] == made["image"]


def test_unknown_id_never_creates(cloud, sdc_machine):
    ident = "5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d"
    failed = sdc_machine(expect="fail", id=ident, **OFFER)
    assert ident in failed.msg and cloud.machines() == {}


def test_name_without_the_selector_tags(cloud, sdc_machine):
    sdc_machine(name="web", **OFFER)
    failed = sdc_machine(expect="fail", name="web", **OFFER, selector={"team": "geo"})
    assert "without the tags of selector" in failed.msg


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"state": "absent"}, "say which machines"),
        ({}, "say which machines"),
        ({"name": "web", "state": "stopped"}, "no machine 'web'"),
        ({"name": "web"}, "needs an image"),
        ({"name": "web", "wait": "forever"}, "wait"),
        ({"name": "e-{index}", "exact_count": 3, **OFFER}, "selector"),
        ({"name": "a", "id": "b", "exact_count": 3}, "mutually exclusive"),
        ({"name": "web", **OFFER, "parallel": 0}, "parallel must be 1 or more"),
        ({"name": "e-{index}", "state": "absent"}, "needs a selector"),
        ({"name": "e", "state": "absent", "exact_count": 1}, "does not go with state absent"),
        ({"name": "e", "state": "stopped", "exact_count": 0}, "does not go with state stopped"),
        ({"id": "web", "state": "absent"}, "'web' is not the id of a machine"),
        ({"name": "web", **OFFER, "tags": {"a": ["b"]}}, "tags: 'a' must be a string"),
        ({"name": "web", **OFFER, "selector": {"a": {}}}, "selector: 'a' must be a string"),
        ({"name": "web", **OFFER, "tags": {"image": "x"}}, "CloudAPI drops from changes of tags"),
        ({"name": "web", **OFFER, "tags": {"v": "a%2Db"}}, "'%2D' in it"),
        ({"name": "web", **OFFER, "tags": {"v": 12345678901234567}}, "write it as a string"),
        ({"state": "absent", "selector": {"cluster": "a=b"}}, "by which VMAPI finds no machine"),
        ({"state": "absent", "selector": {"cluster": "-1"}}, "with a minus sign"),
        ({"name": "web", **OFFER, "metadata": {"uuid": "x"}}, "drops from changes of metadata"),
        ({"name": "web", **OFFER, "secret_metadata": {"root_pw": "x"}}, "metadata.credentials"),
        (
            {"name": "web", **OFFER, "volumes": [{"name": "none", "mountpoint": "/data"}]},
            "no volume none",
        ),
    ],
)
def test_wrong_input(cloud, sdc_machine, arguments, words):
    assert words in sdc_machine(expect="fail", **arguments).msg


def test_names_that_nobody_has(cloud, sdc_machine):
    sdc_machine(name="web", **OFFER)
    for state in ("stopped", "restarted"):
        failed = sdc_machine(expect="fail", name="wbe", state=state)
        assert "no machine 'wbe' - nearest: web" in failed.msg
    assert not sdc_machine(name="wbe", state="absent")["changed"]


def test_volumes(start_cloud):
    cloud = start_cloud()
    run_module("sdc_volume", **cloud.access, name="data")
    options = {"name": "web", **OFFER, "volumes": [{"name": "data", "mountpoint": "/data"}]}
    made = run_module("sdc_machine", **cloud.access, **options)
    assert made["diff"]["after"]["web"]["volumes"] == ["data:/data:rw"]
    used = run_module("sdc_volume", expect="fail", **cloud.access, name="data", state="absent")
    assert used["code"] == "VolumeInUse"
    assert not run_module("sdc_machine", **cloud.access, **options)["changed"]


def test_exact_count_without_groups(cloud, sdc_machine):
    options = {"name": "e-{index}", "selector": {"set": "a"}, **OFFER}
    assert len(sdc_machine(**options, exact_count=3)["created"]) == 3
    assert len(sdc_machine(**options, exact_count=1)["deleted"]) == 2
    assert sdc_machine(**options, exact_count=0)["deleted"]
    assert not sdc_machine(**options, exact_count=0)["changed"]


def test_firewall(start_cloud):
    cloud = start_cloud(firewall=True)
    made = run_module("sdc_machine", **cloud.access, name="web", **OFFER, firewall_enabled=True)
    assert made["machines"][0]["firewall_enabled"]
    off = run_module("sdc_machine", **cloud.access, name="web", firewall_enabled=False)
    assert off["updated"] and off["diff"]["after"] == {"web": {"firewall_enabled": False}}
    assert not run_module("sdc_machine", **cloud.access, name="web", firewall_enabled=False)[
        "changed"
    ]
