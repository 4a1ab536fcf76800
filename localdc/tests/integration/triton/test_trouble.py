"""How the clients take a data center that refuses, breaks down, or is not there."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedded.clients.shell import IMAGE, PACKAGE, Shell, created_id


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "throttle", "reason": "slow down"}, "(RequestThrottled): slow down"),
        ({"kind": "throttle", "retry_after": 1, "reason": "slow"}, "(RequestThrottled): slow"),
        ({"kind": "unavailable", "reason": "later"}, "(ServiceUnavailableError): later"),
        ({"kind": "cut_before"}, "(ECONNRESET): socket hang up"),
    ],
)
def test_neither_client_repeats_a_refused_call(
    faults: Shell, fault: dict[str, object], message: str
) -> None:
    faults.admin("faults", {**fault, "count": 1, "path": "*/machines*"})
    assert message in faults.triton_fails(1, "instance", "list")
    faults.triton("instance", "list")
    faults.admin("faults", {**fault, "count": 1, "path": "*/machines*"})
    assert message in faults.sdc_fails(3, "listmachines")
    faults.sdc("listmachines")


def test_waiting_ends_at_the_first_refusal(faults: Shell, web: str) -> None:
    """So a script that waits needs a loop of its own around a throttled data center."""
    faults.admin("faults", {"kind": "throttle", "method": "GET", "path": "*/audit*"})
    message = faults.triton_fails(1, "instance", "metadata", "set", "-w", web, "k=v")
    assert "(RequestThrottled)" in message
    assert faults.triton("instance", "metadata", "get", web, "k") == "v\n"


def test_throttle_of_the_account(shell: Shell) -> None:
    shell.admin("settings", {"throttle": {"burst": 2, "rate": 0.01}}, method="PUT")
    try:
        shell.sdc("getaccount")
        shell.sdc("getaccount")
        assert "(RequestThrottled)" in shell.sdc_fails(3, "getaccount")
    finally:
        shell.admin("settings", {"throttle": None}, method="PUT")


def test_deleted_machine_is_gone_for_both(shell: Shell) -> None:
    machine = created_id(shell.triton("instance", "create", "-w", "-n", "gone", IMAGE, PACKAGE))
    shell.sdc("deletemachine", machine)
    shell.triton_fails(1, "instance", "wait", "-s", "deleted,failed", machine)
    message = shell.triton_fails(3, "instance", "get", machine)
    assert f"(InstanceDeleted): instance {machine} was deleted" in message
    # These print the message of an error body, which a 410 has not: nothing comes out.
    for action in (["start"], ["stop", "-w"], ["delete", "-f"], ["delete", "-w", "-f"]):
        assert "command failure" in shell.triton_fails(1, "instance", *action, machine)
    assert "was deleted" in shell.triton_fails(3, "ssh", machine, "true")
    assert machine not in shell.sdc("listmachines")
    assert machine in shell.sdc("listmachines", "--tombstone")
    for name in ("stopmachine", "startmachine", "rebootmachine", "deletemachine"):
        assert "Object is Gone (410)\n" in shell.sdc_fails(3, name, machine)


def test_no_data_center(shell: Shell) -> None:
    """Both try for a quarter of a minute before they say so."""
    shut = "http://127.0.0.1:9"
    with ThreadPoolExecutor() as pool:
        new = pool.submit(shell.triton_fails, 1, "-U", shut, "info")
        old = pool.submit(shell.sdc_fails, 3, "getaccount", "-u", shut)
        assert "ECONNREFUSED" in new.result()
        assert "ECONNREFUSED" in old.result()


def test_home_without_ssh_directory_got_one(shell: Shell) -> None:
    directory = Path(shell.environment["HOME"]) / ".ssh"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert list(directory.iterdir()) == []


def test_environment_is_put_before_path_once(shell: Shell) -> None:
    places = shell.environment["PATH"].split(os.pathsep)
    commands = Path(shell.environment["SDC_SSH_CONFIG"]).parent / "bin"
    assert places[0] == str(commands)
    assert places.count(str(commands)) == 1
