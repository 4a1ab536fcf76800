"""sdc_machine on machines that exist: names, tags, protection, networks, placement, states."""

from __future__ import annotations

import pytest

from ..modules_support import OFFER, SELECTOR, cluster, run_module


@pytest.fixture
def web(sdc_machine):
    made = sdc_machine(name="web", **OFFER, networks=["external"], tags={"a": 1, "b": "x"})
    return made["created"][0]


def test_rename(cloud, sdc_machine, web):
    predicted = sdc_machine(check=True, id=web, name="front")
    assert predicted["machines"][0]["name"] == "front" and "web" in cloud.machines()
    renamed = sdc_machine(id=web, name="front")
    assert renamed["diff"] == predicted["diff"] and renamed["updated"] == [web]
    assert renamed["diff"]["after"] == {"web": {"name": "front"}}
    assert not sdc_machine(id=web, name="front")["changed"]
    sdc_machine(name="other", **OFFER)
    failed = sdc_machine(expect="fail", id=web, name="other")
    assert failed["status"] == 409 and failed["machine_id"] == web
    assert "not a machine name" in sdc_machine(expect="fail", id=web, name="a b").msg


def test_purge_tags(cloud, sdc_machine, web):
    with cloud.client() as client:
        client.set_tags(web, {"triton.cns.services": "web", "tritoncli.ssh.port": 22, "theirs": 1})
    options = {"name": "web", "tags": {"a": 2}}
    kept = sdc_machine(**options)
    assert kept["diff"]["after"] == {"web": {"tags.a": "2"}}
    assert not sdc_machine(**options)["changed"], "tags of others are left alone"
    predicted = sdc_machine(check=True, **options, purge_tags=True)
    purged = sdc_machine(**options, purge_tags=True)
    assert purged["diff"] == predicted["diff"]
    assert purged["diff"]["before"] == {"web": {"tags.b": "x", "tags.theirs": "1"}}
    tags = cloud.machines()["web"]["tags"]
    assert set(tags) == {"a", "triton.cns.services", "tritoncli.ssh.port", "ansible.request"}
    assert purged["machines"][0]["tags"] == tags
    assert not sdc_machine(**options, purge_tags=True)["changed"]


def test_deletion_protection(cloud, sdc_machine, web):
    on = sdc_machine(name="web", deletion_protection=True)
    assert on["diff"]["after"] == {"web": {"deletion_protection": True}}
    assert not sdc_machine(name="web", deletion_protection=True)["changed"]
    assert on["machines"][0]["deletion_protection"]
    for check in (True, False):
        failed = sdc_machine(expect="fail", check=check, name="web", state="absent")
        assert failed["code"] == "CannotDestroyMachineError" and failed["machine_id"] == web
    assert cloud.machines()["web"]["state"] == "running", "it was halted before the refusal"
    gone = sdc_machine(name="web", state="absent", deletion_protection=False)
    assert gone["deleted"] == [web] and cloud.machines() == {}
    made = sdc_machine(name="web", **OFFER, deletion_protection=True)
    assert cloud.machines()["web"]["deletion_protection"] and made["changed"]


def test_protected_machines_stay_when_scaling_in(cloud, sdc_machine):
    sdc_machine(**cluster(3))
    ident = cloud.machines()["ipython-engine-003"]["id"]
    sdc_machine(id=ident, deletion_protection=True)
    less = sdc_machine(**cluster(1))
    assert ident in less["kept"] and len(less["deleted"]) == 2
    assert "protected" in sdc_machine(expect="fail", **cluster(0)).msg
    assert ident in sdc_machine(**cluster(0), deletion_protection=False)["deleted"]


def test_attach_networks(cloud, sdc_machine, web):
    options = {"name": "web", "networks": ["external", "internal"]}
    assert not sdc_machine(**options)["changed"]
    predicted = sdc_machine(check=True, **options, attach_networks=True)
    assert predicted["changed"] and len(cloud.machines()["web"]["ips"]) == 1
    done = sdc_machine(**options, attach_networks=True)
    assert done["diff"] == predicted["diff"] and len(done["machines"][0]["ips"]) == 2
    assert done["machines"][0]["state"] == "running"
    assert not sdc_machine(**options, attach_networks=True)["changed"]
    failed = sdc_machine(expect="fail", name="web", networks=["extern"], attach_networks=True)
    assert "nearest: external" in failed.msg


def test_affinity_creates_one_after_the_other(start_cloud):
    cloud = start_cloud(seconds=0.3)
    options = {**cluster(2), "affinity": ["role==controller"], "groups": cluster(2)["groups"]}
    options["groups"][0]["affinity"] = []
    made = run_module("sdc_machine", **cloud.access, **options)
    assert len(made["created"]) == 3
    verbs = [(verb, path.rsplit("/", 1)[1] == "machines") for verb, path in cloud.requests]
    first = verbs.index(("POST", True), verbs.index(("POST", True)) + 1)
    second = verbs.index(("POST", True), first + 1)
    assert ("GET", False) in verbs[first:second], "the second did not wait for the first"
    assert not run_module("sdc_machine", **cloud.access, **options)["changed"]


def test_affinity_that_is_no_rule(sdc_machine):
    failed = sdc_machine(expect="fail", name="web", **OFFER, affinity=["foobar"])
    assert failed["status"] == 409 and "operator" in failed.msg


def test_stopped_machines_need_not_count(cloud, sdc_machine):
    sdc_machine(**cluster(2))
    stopped = cloud.machines()["ipython-engine-001"]["id"]
    sdc_machine(id=stopped, state="stopped")
    more = sdc_machine(**cluster(2), count_stopped=False)
    assert [m["name"] for m in more["machines"] if m["id"] in more["created"]] == [
        "ipython-engine-003"
    ]
    assert cloud.machines()["ipython-engine-001"]["state"] == "stopped"
    assert not sdc_machine(**cluster(2), count_stopped=False)["changed"]
    counted = sdc_machine(**cluster(3))
    assert counted["started_ids"] == [stopped] and not counted["created"]


def test_many_updates_in_one_task(cloud, sdc_machine):
    sdc_machine(**cluster(20), parallel=20)
    cloud.requests.clear()
    done = sdc_machine(**cluster(20), tags={"release": 7}, metadata={"m": "1"}, parallel=20)
    assert len(done["updated"]) == 21 and not done["failures"]
    assert cloud.count("POST", "/tags") == cloud.count("POST", "/metadata") == 21
    assert cloud.count("GET") <= 8, "waiting must not cost a request for each machine"
    cloud.requests.clear()
    assert not sdc_machine(**cluster(20), tags={"release": 7}, metadata={"m": "1"})["changed"]
    assert len(cloud.requests) <= 2


@pytest.mark.parametrize(
    ("before", "state", "changed", "after"),
    [
        (None, "present", True, "running"),
        (None, "started", True, "running"),
        (None, "absent", False, None),
        (None, "stopped", "fail", None),
        (None, "restarted", "fail", None),
        ("running", "present", False, "running"),
        ("running", "started", False, "running"),
        ("running", "stopped", True, "stopped"),
        ("running", "restarted", True, "running"),
        ("running", "absent", True, None),
        ("stopped", "present", False, "stopped"),
        ("stopped", "started", True, "running"),
        ("stopped", "stopped", False, "stopped"),
        ("stopped", "restarted", True, "running"),
        ("stopped", "absent", True, None),
    ],
)
def test_state_matrix(cloud, sdc_machine, before, state, changed, after):
    if before:
        sdc_machine(name="web", **OFFER)
    if before == "stopped":
        sdc_machine(name="web", state="stopped")
    options = {"name": "web", "state": state, **OFFER}
    if changed == "fail":
        assert "no machine 'web'" in sdc_machine(expect="fail", **options).msg
        return
    predicted = sdc_machine(check=True, **options)
    assert (cloud.machines().get("web") or {}).get("state") == before
    done = sdc_machine(**options)
    assert predicted["changed"] == done["changed"] == changed
    assert predicted["diff"] == done["diff"]
    assert (cloud.machines().get("web") or {}).get("state") == after
    assert [m["state"] for m in predicted["machines"]] == [m["state"] for m in done["machines"]]


def test_selector_is_put_back_by_id(sdc_machine, web):
    assert sdc_machine(id=web, selector=SELECTOR)["machines"][0]["tags"]["cluster"] == "ipython"
