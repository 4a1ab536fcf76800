"""The older `sdc-*` commands: API 7 or 8, JSON on stdout, exit status 3 for every error."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.clients.shell import IMAGE, PACKAGE, Shell, eventually

UNKNOWN = "00000000-1111-4222-8333-444444444444"


def await_state(shell: Shell, machine: str, state: str) -> None:
    eventually(lambda: shell.sdc_json("getmachine", machine)["state"] == state)


@pytest.fixture(scope="module")
def old(shell: Shell, script: str) -> Iterator[str]:
    """The id of the machine `old`, which the tests leave running."""
    options = ["-n", "old", "-i", image_id(shell), "-p", PACKAGE, "-t", "role=old", "-t", "on=true"]
    made = shell.sdc_json("createmachine", *options, "-m", "greeting=hello", "-s", script)
    assert made["state"] == "provisioning"
    await_state(shell, made["id"], "running")
    yield made["id"]
    shell.sdc("deletemachine", made["id"])
    eventually(lambda: made["id"] not in shell.sdc("listmachines"))


def image_id(shell: Shell) -> str:
    found = [image for image in shell.sdc_json("listimages") if image["name"] == IMAGE]
    newest: str = max(found, key=lambda image: image["published_at"])["id"]
    return newest


def test_create_and_get(shell: Shell, old: str) -> None:
    machine = shell.sdc_json("getmachine", old)
    assert (machine["name"], machine["package"]) == ("old", PACKAGE)
    assert machine["tags"] == {"role": "old", "on": True}
    assert machine["metadata"]["greeting"] == "hello"
    assert "mdata-get" in machine["metadata"]["user-script"]
    wait = "for i in {1..100}; do [ -s /var/tmp/greeting ] && break; sleep 0.1; done"
    assert shell.triton("ssh", old, f"{wait}; cat /var/tmp/greeting") == "hello\n"
    assert "VM not found" in shell.sdc_fails(3, "getmachine", UNKNOWN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-i", UNKNOWN, "-p", PACKAGE], "not a valid image"),
        (["-i", "IMAGE", "-p", "no-package"], "package"),
        (["-i", "IMAGE"], "(MissingParameter)"),
        (["-i", "IMAGE", "-p", PACKAGE, "-n", "old"], "Already exists"),
        (["-i", "IMAGE", "-p", PACKAGE, "-w", UNKNOWN], "etwork"),
    ],
)
def test_create_refused(shell: Shell, old: str, options: list[str], message: str) -> None:
    words = [image_id(shell) if word == "IMAGE" else word for word in options]
    assert message in shell.sdc_fails(3, "createmachine", *words)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["-n", "old"], True),
        (["--state", "running", "--type", "smartmachine"], True),
        (["--state", "stopped"], False),
        (["-t", "role=old"], True),
        (["-t", "role=new"], False),
        (["-m", "1024"], False),
        (["--limit", "1", "--offset", "1000"], False),
        (["--api-version", "~8", "--brand", "joyent"], True),
    ],
)
def test_list_filters(shell: Shell, old: str, options: list[str], found: bool) -> None:
    ids = [machine["id"] for machine in shell.sdc_json("listmachines", *options)]
    assert (old in ids) is found


def test_list_refused(shell: Shell) -> None:
    assert "not a valid state" in shell.sdc_fails(3, "listmachines", "--state", "failed")
    message = shell.sdc_fails(3, "listmachines", "--api-version", "~6.5")
    assert "(InvalidVersion): ~6.5 is not supported by GET /localdc/machines" in message


def test_stop_start_reboot(shell: Shell, old: str) -> None:
    for command, state in (("stop", "stopped"), ("start", "running"), ("reboot", "running")):
        shell.sdc(f"{command}machine", old)
        await_state(shell, old, state)
    eventually(lambda: shell.sdc_json("getmachineaudit", old)[0]["action"] == "reboot")
    for command in ("stop", "start", "reboot", "delete"):
        assert "VM not found" in shell.sdc_fails(3, f"{command}machine", UNKNOWN)


def test_resize_and_rename(shell: Shell, old: str) -> None:
    shell.sdc("resizemachine", "-p", "sample-1G", old)
    eventually(lambda: shell.sdc_json("getmachine", old)["memory"] == 1024)
    assert "no-package" in shell.sdc_fails(3, "resizemachine", "-p", "no-package", old)
    shell.sdc("renamemachine", "-n", "older", old)
    eventually(lambda: shell.sdc_json("getmachine", old)["name"] == "older")
    assert "(ValidationFailed)" in shell.sdc_fails(3, "renamemachine", "-n", "a b", old)
    shell.sdc("renamemachine", "-n", "old", old)
    eventually(lambda: shell.sdc_json("getmachine", old)["name"] == "old")


def test_tags(shell: Shell, old: str) -> None:
    assert shell.sdc_json("addmachinetags", "-t", "stage=two", old)["stage"] == "two"
    eventually(lambda: shell.sdc_json("listmachinetags", old).get("stage") == "two")
    assert shell.sdc("getmachinetag", "-t", "stage", old) == "two\n"
    assert shell.sdc_json("replacemachinetags", "-t", "only=this", old) == {"only": "this"}
    eventually(lambda: shell.sdc_json("listmachinetags", old) == {"only": "this"})
    shell.sdc("deletemachinetag", "-t", "only", old)
    eventually(lambda: shell.sdc_json("listmachinetags", old) == {})
    assert 'tag "only" not found\n' in shell.sdc_fails(3, "getmachinetag", "-t", "only", old)
    message = shell.sdc_fails(3, "addmachinetags", "-t", "triton.cns.services=%", old)
    assert "(ValidationFailed): error adding tags: Invalid tag parameters" in message
    assert "VM not found" in shell.sdc_fails(3, "listmachinetags", UNKNOWN)
    shell.sdc("addmachinetags", "-t", "role=old", "-t", "on=true", old)


def test_metadata(shell: Shell, old: str) -> None:
    assert shell.sdc_json("updatemachinemetadata", "-m", "color=blue", old)["color"] == "blue"
    eventually(lambda: "color" in shell.sdc_json("listmachinemetadata", old))
    assert shell.sdc_json("getmachinemetadata", "-m", "color", old) == "blue"
    assert shell.triton("ssh", old, "mdata-get color") == "blue\n"
    shell.sdc("deletemachinemetadata", "-m", "color", old)
    eventually(lambda: "color" not in shell.sdc_json("listmachinemetadata", old))
    message = shell.sdc_fails(3, "getmachinemetadata", "-m", "color", old)
    assert 'metadatum "color" not found\n' in message
    assert "VM not found" in shell.sdc_fails(3, "updatemachinemetadata", "-m", "a=b", UNKNOWN)


def test_keys(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(file)], check=True)
    made = shell.sdc_json("createkey", "-n", "third", f"{file}.pub")
    assert made in shell.sdc_json("listkeys")
    assert shell.sdc_json("getkey", "third") == made
    assert "(InvalidArgument)" in shell.sdc_fails(3, "createkey", "-n", "third", f"{file}.pub")
    shell.sdc("deletekey", "third")
    for command in ("getkey", "deletekey"):
        assert "(ResourceNotFound)" in shell.sdc_fails(3, command, "third")


def test_account_and_catalogue(shell: Shell) -> None:
    assert shell.sdc_json("getaccount")["login"] == "localdc"
    assert shell.sdc_json("updateaccount", "--city", "Berlin")["city"] == "Berlin"
    # CloudAPI has no rule for the form of an address (sdc-cloudapi, lib/account.js, update)
    assert shell.sdc_json("updateaccount", "--email", "nonsense")["email"] == "nonsense"
    assert shell.sdc_json("listdatacenters") == {"localdc": shell.environment["SDC_URL"]}
    identifier = image_id(shell)
    assert shell.sdc_json("getimage", identifier)["type"] == "zone-dataset"
    as_7 = shell.sdc_json("getimage", "--api-version", "~7.2", identifier)
    assert as_7["type"] == "smartmachine"
    network = shell.sdc_json("listnetworks")[0]
    assert shell.sdc_json("getnetwork", network["id"]) == network
    package = shell.sdc_json("getpackage", PACKAGE)
    assert package in shell.sdc_json("listpackages")
    for kind in ("image", "network", "package"):
        assert "(ResourceNotFound)" in shell.sdc_fails(3, f"get{kind}", UNKNOWN)


def test_snapshots(shell: Shell, old: str) -> None:
    shell.triton("ssh", old, "echo one >/root/file")
    assert shell.sdc_json("createmachinesnapshot", "-n", "before", old)["name"] == "before"
    options = ["--snapshot", "before", old]
    eventually(lambda: shell.sdc_json("getmachinesnapshot", *options)["state"] == "created")
    assert [s["name"] for s in shell.sdc_json("listmachinesnapshots", old)] == ["before"]
    shell.triton("ssh", old, "echo two >/root/file; touch /root/more")
    shell.sdc("startmachinefromsnapshot", *options)
    eventually(lambda: shell.sdc_json("getmachineaudit", old)[0]["action"] == "rollback_snapshot")
    await_state(shell, old, "running")
    assert shell.triton("ssh", old, "cat /root/file; ls /root/more; true") == "one\n"
    shell.sdc("deletemachinesnapshot", *options)
    eventually(lambda: shell.sdc_json("listmachinesnapshots", old) == [])
    # as long as the server remembers a job with its name (sdc-cloudapi, lib/snapshots.js, get)
    gone = {"name": "before", "state": "deleted"}
    assert shell.sdc_json("getmachinesnapshot", *options) == gone
    assert "before not found" in shell.sdc_fails(3, "deletemachinesnapshot", *options)
    # nobody looks before the job does
    shell.sdc("startmachinefromsnapshot", *options)
    eventually(lambda: shell.sdc_json("getmachineaudit", old)[0]["success"] == "no")
    await_state(shell, old, "running")


def test_firewall_rules(shell: Shell, old: str) -> None:
    """What no rule allows is dropped, `ssh` of the tests included."""
    text = f"FROM any TO vm {old} ALLOW tcp PORT 22"
    rule = shell.sdc_json("createfirewallrule", "--rule", text)
    assert (rule["rule"], rule["enabled"]) == (text, False)
    shell.sdc("enablemachinefirewall", old)
    eventually(lambda: shell.sdc_json("getmachine", old)["firewall_enabled"])
    eventually(lambda: not greets(shell, old))
    shell.sdc("enablefirewallrule", rule["id"])
    eventually(lambda: greets(shell, old))
    assert shell.sdc_json("getfirewallrule", rule["id"])["enabled"] is True
    assert [r["id"] for r in shell.sdc_json("listmachinefirewallrules", old)] == [rule["id"]]
    assert rule["id"] in [r["id"] for r in shell.sdc_json("listfirewallrules")]
    assert [m["id"] for m in shell.sdc_json("listfirewallrulemachines", rule["id"])] == [old]
    changed = text.replace("22", "23")
    shell.sdc("updatefirewallrule", rule["id"], "--rule", changed)
    assert shell.sdc_json("getfirewallrule", rule["id"])["rule"] == changed
    eventually(lambda: not greets(shell, old))
    shell.sdc("disablefirewallrule", rule["id"])
    assert shell.sdc_json("getfirewallrule", rule["id"])["enabled"] is False
    shell.sdc("disablemachinefirewall", old)
    eventually(lambda: greets(shell, old))
    shell.sdc("deletefirewallrule", rule["id"])
    for command in ("get", "enable", "disable", "delete"):
        message = shell.sdc_fails(3, f"{command}firewallrule", rule["id"])
        assert "(ResourceNotFound)" in message
    message = shell.sdc_fails(3, "createfirewallrule", "--rule", "FROM nonsense")
    assert "(InvalidParameters)" in message
    assert "VM not found" in shell.sdc_fails(3, "enablemachinefirewall", UNKNOWN)


def greets(shell: Shell, machine: str) -> bool:
    """Whether the machine's ssh port lets us in."""
    address = shell.sdc_json("getmachine", machine)["primaryIp"]
    options = ["-o", "ConnectTimeout=2", "-o", "BatchMode=yes"]
    return shell.run("ssh", *options, f"root@{address}", "true").returncode == 0


def test_fabrics_and_nics(shell: Shell, old: str) -> None:
    vlan = shell.sdc_json("fabric", "vlan", "create", "--vlan_id=12", "-n", "cellar")
    assert vlan == {"vlan_id": 12, "name": "cellar"}
    addresses = ["-s", "192.168.12.0/24", "--provision_start_ip=192.168.12.5"]
    addresses += ["--provision_end_ip=192.168.12.9", "--no_internet_nat"]
    options = ["--vlan_id=12", "-n", "shelf", *addresses]
    network = shell.sdc_json("fabric", "network", "create", *options)["id"]
    mac = shell.sdc_json("nics", "create", network, old)["mac"]
    eventually(lambda: [mac, "running"] in nics(shell, old))
    await_state(shell, old, "running")
    assert "inet 192.168.12.5 " in shell.triton("ssh", old, "ifconfig -a")
    message = shell.sdc_fails(3, "nics", "create", UNKNOWN, old)
    assert "network not found" in message
    shell.sdc("nics", "delete", mac, old)
    eventually(lambda: mac not in [nic for nic, _ in nics(shell, old)])
    await_state(shell, old, "running")
    assert "(ResourceNotFound)" in shell.sdc_fails(3, "nics", "get", mac, old)
    shell.sdc("fabric", "network", "delete", network)
    shell.sdc("fabric", "vlan", "delete", "12")
    assert "(ResourceNotFound)" in shell.sdc_fails(3, "fabric", "vlan", "delete", "12")
    assert 12 not in [vlan["vlan_id"] for vlan in shell.sdc_json("fabric", "vlan", "list")]


def nics(shell: Shell, machine: str) -> list[list[str]]:
    return [[nic["mac"], nic["state"]] for nic in shell.sdc_json("nics", "list", machine)]
