"""The older `sdc-*` commands."""

from __future__ import annotations

import pytest

from ..localdc.center import eventually
from .clients import Clients, Refused

IMAGE = "2f1dc911-6401-4fa4-8e9d-67ea2e39c271"


def refused(clients: Clients, name: str, *arguments: str) -> str:
    with pytest.raises(Refused) as caught:
        clients.sdc(name, *arguments)
    return caught.value.said


@pytest.fixture(scope="module")
def old(records: Clients) -> str:
    created = records.sdc(
        "createmachine", "--name", "old", "--image", IMAGE, "--package", "sample-512M",
        "--tag", "role=old", "--metadata", "color=blue",
    )  # fmt: skip
    assert created["state"] == "provisioning"
    settle(records, created["id"])
    return str(created["id"])


def settle(clients: Clients, uuid: str, state: str = "running") -> None:
    eventually(lambda: clients.sdc("getmachine", uuid)["state"] == state)


def test_list_and_get(records: Clients, old: str) -> None:
    assert [m["id"] for m in records.sdc("listmachines", "--name", "old")] == [old]
    assert [m["id"] for m in records.sdc("listmachines", "--tag", "role=old")] == [old]
    assert records.sdc("getmachine", old)["metadata"]["color"] == "blue"
    assert "VM not found" in refused(records, "getmachine", "5b1f0d5c-0000-4000-8000-000000000000")
    assert "not a valid state" in refused(records, "listmachines", "--state", "asleep")


def test_power_rename_resize(records: Clients, old: str) -> None:
    records.sdc("stopmachine", old)
    settle(records, old, "stopped")
    records.sdc("startmachine", old)
    settle(records, old)
    records.sdc("rebootmachine", old)
    records.sdc("renamemachine", "--name", "older", old)
    eventually(lambda: records.sdc("getmachine", old)["name"] == "older")
    records.sdc("resizemachine", "--package", "sample-1G", old)
    eventually(lambda: records.sdc("getmachine", old)["memory"] == 1024)
    assert "not a valid package" in refused(records, "resizemachine", "--package", "huge", old)
    assert "alias" in refused(records, "renamemachine", "--name", "a b", old)
    actions = {entry["action"] for entry in records.sdc("getmachineaudit", old)}
    assert {"provision", "stop", "start", "reboot", "rename", "resize"} <= actions


def test_tags_and_metadata(records: Clients, old: str) -> None:
    records.sdc("addmachinetags", "--tag", "a=1", old)
    assert records.sdc("listmachinetags", old)["a"] == "1"
    assert records.sdc("getmachinetag", "--tag", "a", old) in (1, "1")
    records.sdc("deletemachinetag", "--tag", "a", old)
    assert "not found" in refused(records, "getmachinetag", "--tag", "a", old)
    records.sdc("replacemachinetags", "--tag", "role=new", old)
    assert records.sdc("listmachinetags", old) == {"role": "new"}
    records.sdc("updatemachinemetadata", "--metadata", "one=1", old)
    assert records.sdc("listmachinemetadata", old)["one"] == "1"
    records.sdc("deletemachinemetadata", "--metadata", "one", old)
    assert "one" not in records.sdc("listmachinemetadata", old)


def test_firewall_rules_and_snapshots(records: Clients, old: str) -> None:
    text = f"FROM any TO vm {old} ALLOW tcp PORT 80"
    rule = records.sdc("createfirewallrule", "--rule", text, "--enabled")["id"]
    assert records.sdc("getfirewallrule", rule)["rule"] == text
    assert [r["id"] for r in records.sdc("listmachinefirewallrules", old)] == [rule]
    assert [m["id"] for m in records.sdc("listfirewallrulemachines", rule)] == [old]
    records.sdc("disablefirewallrule", rule)
    assert records.sdc("getfirewallrule", rule)["enabled"] is False
    assert "expected" in refused(records, "createfirewallrule", "--rule", "FROM here TO there")
    records.sdc("deletefirewallrule", rule)
    records.sdc("createmachinesnapshot", "--name", "one", old)
    eventually(
        lambda: records.sdc("getmachinesnapshot", "--snapshot", "one", old)["state"] == "created"
    )
    records.sdc("startmachinefromsnapshot", "--snapshot", "one", old)
    settle(records, old)
    records.sdc("deletemachinesnapshot", "--snapshot", "one", old)
    eventually(lambda: records.sdc("listmachinesnapshots", old) == [])


def test_account_and_catalogue(records: Clients) -> None:
    assert records.sdc("getaccount")["login"] == "localdc"
    assert {n["name"] for n in records.sdc("listnetworks")} >= {"external", "internal"}
    assert any(p["name"] == "sample-512M" for p in records.sdc("listpackages"))
    assert any(i["id"] == IMAGE for i in records.sdc("listimages"))
    assert records.sdc("listkeys")[0]["name"] == "localdc"
    assert "localdc" in records.sdc("listdatacenters")


def test_delete(records: Clients, old: str) -> None:
    records.sdc("deletemachine", old)
    eventually(lambda: "410" in _said(records, old))


def _said(clients: Clients, uuid: str) -> str:
    try:
        return str(clients.sdc("getmachine", uuid))
    except Refused as refusal:
        return refusal.said
