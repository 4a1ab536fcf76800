"""Machines by the `triton` command: each command's good path and its error."""

from __future__ import annotations

import re

import pytest

from embedded.clients.shell import IMAGE, PACKAGE, Shell, created_id, eventually

UNKNOWN = "00000000-1111-4222-8333-444444444444"


def test_create_passes_tags_metadata_and_script(shell: Shell, web: str) -> None:
    machine = shell.triton_json("instance", "get", "web")
    assert machine["id"] == web
    assert machine["state"] == "running"
    assert machine["tags"] == {"role": "web", "weight": 5, "spare": True}
    assert machine["metadata"]["greeting"] == "good day"
    assert machine["metadata"]["user-script"].startswith("#!/bin/bash")
    assert machine["primaryIp"] == machine["nics"][0]["ip"] == machine["ips"][0]


def test_script_runs_in_the_machine(shell: Shell, web: str) -> None:
    wait = "for i in {1..100}; do [ -s /var/tmp/greeting ] && break; sleep 0.1; done"
    assert shell.triton("ssh", "web", f"{wait}; cat /var/tmp/greeting") == "good day\n"


@pytest.mark.parametrize(
    ("code", "options", "message"),
    [
        (3, ["no-image", PACKAGE], "no image with no-image or short id"),
        (3, [IMAGE, "no-package"], 'no package with name or short id "no-package"'),
        (3, ["-N", "no-network", IMAGE, PACKAGE], 'no network with name or short id "no-network"'),
        (1, ["-n", "web", IMAGE, PACKAGE], "alias: Duplicate: Already exists"),
        (1, ["-n", "a b", IMAGE, PACKAGE], "alias: Invalid"),
        (1, ["-t", "triton.cns.services=%", IMAGE, PACKAGE], "Invalid"),
        (1, ["--affinity", "foobar", IMAGE, PACKAGE], "could not find operator"),
        (1, [IMAGE], "incorrect number of args"),
    ],
)
def test_create_refused(
    shell: Shell, web: str, code: int, options: list[str], message: str
) -> None:
    assert message in shell.triton_fails(code, "instance", "create", *options)


def test_create_on_one_network_then_wait_then_delete(shell: Shell) -> None:
    options = ["-n", "brief", "-N", "internal", IMAGE, PACKAGE]
    machine = created_id(shell.triton("instance", "create", *options))
    shell.triton("instance", "wait", machine)
    found = shell.triton_json("instance", "get", machine[:8])
    assert (found["state"], len(found["nics"])) == ("running", 1)
    shell.triton("instance", "enable-deletion-protection", "-w", "brief")
    assert "error" in shell.triton_fails(1, "instance", "delete", "-f", machine)
    assert shell.state("brief") == "running"
    shell.triton("instance", "disable-deletion-protection", "-w", "brief")
    assert "Delete instance brief" in shell.triton("instance", "delete", "-w", "-f", "brief")
    message = shell.triton_fails(3, "instance", "get", machine)
    assert f"(InstanceDeleted): instance {machine} was deleted" in message
    assert "(ResourceNotFound)" in shell.triton_fails(3, "instance", "get", "brief")


def test_failed_provisioning_is_told(faults: Shell) -> None:
    faults.admin("faults", {"kind": "provision_failure", "reason": "disk full"})
    options = ["-w", "-n", "doomed", IMAGE, PACKAGE]
    message = faults.triton_fails(1, "instance", "create", *options)
    assert "failed to create instance doomed" in message
    assert "doomed" not in faults.triton("instance", "list", "-H", "-o", "name")


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["name=web"], True),
        (["state=running"], True),
        (["state=stopped"], False),
        (["tag.role=web", "tag.weight=5"], True),
        (["tag.role=db"], False),
        (["memory=512", "type=smartmachine", "brand=joyent"], True),
        (["memory=1024"], False),
        (["image=2f1dc911-6401-4fa4-8e9d-67ea2e39c271"], True),
        (["image=66f1f1f6-3ab6-44a4-9b0b-2f1c7a9c2c0e"], False),
    ],
)
def test_list_filters(shell: Shell, web: str, filters: list[str], found: bool) -> None:
    names = shell.triton("instance", "list", "-H", "-o", "name", *filters).split()
    assert ("web" in names) is found


def test_list_as_json_equals_get(shell: Shell, web: str) -> None:
    listed = shell.triton_json("instance", "list", "-j", "name=web")
    got = shell.triton_json("instance", "get", "-j", web)
    added_by_triton = {"age", "img", "shortid"}
    # The list leaves out the names in DNS.
    expected = {name: value for name, value in got.items() if name != "dns_names"}
    assert {n: v for n, v in listed.items() if n not in added_by_triton} == expected


@pytest.mark.parametrize(
    ("filters", "message"),
    [("state=failed", "failed is not a valid state"), ("color=red", 'invalid key: "color"')],
)
def test_list_refused(shell: Shell, filters: str, message: str) -> None:
    assert message in shell.triton_fails(1, "instance", "list", filters)


def test_get_what_does_not_exist(shell: Shell) -> None:
    for name in ("nothing", UNKNOWN):
        assert "(ResourceNotFound)" in shell.triton_fails(3, "instance", "get", name)


def test_stop_start_reboot(shell: Shell, web: str) -> None:
    assert "Stop instance web" in shell.triton("instance", "stop", "-w", "web")
    assert shell.state("web") == "stopped"
    assert "Start instance web" in shell.triton("instance", "start", "-w", "web")
    assert shell.state("web") == "running"
    # What startd was told before it came up anew is the proof of a boot.
    before = booted(shell)
    assert "Rebooted instance web" in shell.triton("instance", "reboot", "-w", "web")
    assert shell.state("web") == "running"
    assert booted(shell) != before


def booted(shell: Shell) -> str:
    """When the first process of `web` began."""
    return shell.triton("ssh", "web", "cut -d' ' -f22 /proc/1/stat")


def test_start_of_a_running_machine_fails_in_the_audit_only(shell: Shell, web: str) -> None:
    shell.triton("instance", "start", "web")
    eventually(lambda: re.search(r"start +no", shell.triton("instance", "audit", "web")))


@pytest.mark.parametrize("action", ["stop", "start", "reboot", "delete"])
def test_actions_on_what_does_not_exist(shell: Shell, action: str) -> None:
    force = ["-f"] if action == "delete" else []
    message = shell.triton_fails(3 if action == "reboot" else 1, "instance", action, *force, "no")
    assert 'no instance with name or short id "no" was found' in message


def test_resize(shell: Shell, web: str) -> None:
    assert "Resized" in shell.triton("instance", "resize", "-w", "web", "sample-1G")
    machine = shell.triton_json("instance", "get", "web")
    assert (machine["package"], machine["memory"]) == ("sample-1G", 1024)
    message = shell.triton_fails(3, "instance", "resize", "web", "no-package")
    assert 'no package with name or short id "no-package"' in message
    shell.triton("instance", "resize", "-w", "web", PACKAGE)


def test_rename(shell: Shell, web: str) -> None:
    assert "Renamed" in shell.triton("instance", "rename", "-w", "web", "web2")
    assert shell.triton_json("instance", "get", "web2")["id"] == web
    message = shell.triton_fails(1, "instance", "rename", "web2", "a b")
    assert "(ValidationFailed)" in message
    assert "alias: Invalid" in message
    shell.triton("instance", "rename", "-w", "web2", "web")


def test_tags(shell: Shell, web: str) -> None:
    before = shell.triton_json("instance", "tag", "list", "web")
    merged = shell.triton_json("instance", "tag", "set", "-w", "web", "stage=two", "n=7")
    assert merged == {**before, "stage": "two", "n": 7}
    assert shell.triton("instance", "tag", "get", "web", "stage") == "two\n"
    assert shell.triton_json("instance", "tag", "get", "-j", "web", "n") == 7
    shell.triton("instance", "tag", "delete", "-w", "web", "stage", "n")
    assert shell.triton_json("instance", "tag", "list", "web") == before
    replaced = shell.triton_json("instance", "tag", "replace-all", "-w", "web", "only=this")
    assert replaced == {"only": "this"}
    shell.triton("instance", "tag", "delete", "-w", "-a", "web")
    assert shell.triton_json("instance", "tag", "list", "web") == {}
    shell.triton("instance", "tag", "set", "-w", "web", *(f"{k}={v}" for k, v in before.items()))


def test_tags_refused(shell: Shell, web: str) -> None:
    message = shell.triton_fails(3, "instance", "tag", "get", "web", "none")
    assert 'tag with name "none" was not found' in message
    message = shell.triton_fails(1, "instance", "tag", "set", "web", "triton.cns.services=%")
    assert "(ValidationFailed): error adding tags: Invalid tag parameters" in message


def test_metadata_reaches_the_machine(shell: Shell, web: str) -> None:
    shell.triton("instance", "metadata", "set", "-w", "web", "color=blue")
    assert shell.triton("instance", "metadata", "get", "web", "color") == "blue\n"
    assert shell.triton_json("instance", "metadata", "list", "web")["color"] == "blue"
    assert shell.triton("ssh", "web", "mdata-get color") == "blue\n"
    shell.triton("instance", "metadata", "delete", "-w", "-f", "web", "color")
    message = shell.triton_fails(1, "instance", "metadata", "get", "web", "color")
    assert '(ResourceNotFound): metadatum "color" not found' in message
    message = shell.triton_fails(1, "ssh", "web", "mdata-get color")
    assert "No metadata for 'color'" in message


def test_audit_tells_all_of_it(shell: Shell, web: str) -> None:
    shell.triton("instance", "rename", "-w", "web", "audited")
    shell.triton("instance", "rename", "-w", "audited", "web")
    lines = shell.triton("instance", "audit", "-H", "-o", "action,success", "web").splitlines()
    actions = [line.split() for line in lines]
    assert actions[0] == ["provision", "yes"]
    assert actions[-2:] == [["rename", "yes"], ["rename", "yes"]]
    assert "(ResourceNotFound)" in shell.triton_fails(3, "instance", "audit", "nothing")
