"""sdc_snapshot and sdc_nic, against the embedded API without zones."""

from __future__ import annotations

import asyncio
import threading

import pytest

from localdc.api.compute import ComputeError

from .modules_support import OFFER, UNKNOWN, life, refused, run_module


@pytest.fixture
def machine(run):
    made = run("sdc_machine", name="gw", **OFFER, networks=["external"])["machines"][0]
    yield made["id"]
    run("sdc_machine", id=made["id"], state="absent")


# --- snapshots ---------------------------------------------------------------------------------


def test_snapshot(shared_cloud, run, machine):
    options = {"machine": "gw", "name": "before"}
    for snapshot in life(run, "sdc_snapshot", "snapshot", options, "before"):
        assert snapshot["state"] == "created"
        assert not run("sdc_snapshot", machine=machine, name="before")["changed"]
        back = {**options, "state": "rolled_back"}
        predicted = run("sdc_snapshot", check=True, **back)
        assert predicted["changed"] and shared_cloud.count("POST", "/snapshots/before") == 0
        for times in (1, 2):
            done = run("sdc_snapshot", **back)
            assert done["diff"] == predicted["diff"]
            assert done["diff"]["after"] == {"gw": {"rolled back to": "before"}}
            assert shared_cloud.count("POST", "/snapshots/before") == times
        assert shared_cloud.machines()["gw"]["state"] == "running"
    refused(shared_cloud, run, "sdc_snapshot", options)


def test_snapshot_failures(run, machine):
    for name, arguments, words in (
        ("none", {"machine": "gww"}, "nearest: gw"),
        ("none", {"machine": UNKNOWN}, "404"),
        ("none", {"machine": "gw", "state": "rolled_back"}, "no snapshot"),
        ("!", {"machine": "gw"}, "not a valid snapshot name"),
    ):
        failed = run("sdc_snapshot", expect="fail", name=name, **arguments)
        assert words in failed.msg
        assert arguments["machine"] != "gw" or failed["machine_id"] == machine
    for gone in ("gww", UNKNOWN):
        assert not run("sdc_snapshot", machine=gone, name="x", state="absent")["changed"]


def test_snapshot_that_fails(shared_cloud, run, machine, monkeypatch):
    async def broken(*_):
        raise ComputeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(type(shared_cloud.compute), "create_snapshot", broken)
        failed = run("sdc_snapshot", expect="fail", machine="gw", name="broken")
        assert "failed instead of being created" in failed.msg
    # it is none, so it can be made again
    assert not run("sdc_snapshot", machine="gw", name="broken", state="absent")["changed"]
    assert run("sdc_snapshot", machine="gw", name="broken")["changed"]
    run("sdc_snapshot", machine="gw", name="fine")
    with monkeypatch.context() as patch:
        patch.setattr(type(shared_cloud.compute), "rollback_snapshot", broken)
        failed = run(
            "sdc_snapshot", expect="fail", machine="gw", name="fine", state="rolled_back",
            wait_timeout=5,
        )  # fmt: skip
    assert "rolling back failed" in failed.msg


# --- interfaces --------------------------------------------------------------------------------


def test_nic(shared_cloud, run, machine):
    options = {"machine": "gw", "network": "internal"}
    for nic in life(run, "sdc_nic", "nic", options, "gw internal"):
        assert nic["state"] == "running" and nic["ip"].startswith("10.99.")
        assert shared_cloud.machines()["gw"]["ips"][1] == nic["ip"]
        assert not run("sdc_nic", machine=machine, mac=nic["mac"])["changed"]
        assert not run("sdc_nic", **options, ip=nic["ip"])["changed"]
        assert "cannot be changed" in run("sdc_nic", expect="fail", **options, ip="10.99.0.99").msg
    assert len(shared_cloud.machines()["gw"]["ips"]) == 1
    refused(shared_cloud, run, "sdc_nic", options)


def test_nic_with_address_that_becomes_primary(shared_cloud, run, machine):
    run("sdc_machine", name="gw", state="stopped")
    options = {"machine": "gw", "network": "internal", "ip": "10.99.1.77", "primary": True}
    made = run("sdc_nic", **options)["nic"]
    assert made["ip"] == "10.99.1.77" and shared_cloud.machines()["gw"]["primaryIp"] == "10.99.1.77"
    by_mac = {"machine": "gw", "mac": made["mac"].replace(":", "").upper(), "state": "absent"}
    assert run("sdc_nic", check=True, **by_mac)["changed"]
    assert run("sdc_nic", **by_mac)["changed"] and not run("sdc_nic", **by_mac)["changed"]
    assert shared_cloud.machines()["gw"]["state"] == "stopped"


def test_nic_failures(run, machine):
    for arguments, words in (
        ({"machine": "gww", "network": "internal"}, "nearest: gw"),
        ({"machine": "gw", "network": "interna"}, "nearest: internal"),
        ({"machine": "gw", "mac": "90:b8:d0:00:00:00"}, "no interface"),
        ({"machine": "gw"}, "network, mac"),
        ({"machine": "gw", "network": "external", "state": "absent"}, "last NIC"),
        ({"machine": "gw", "network": "internal", "ip": "1.2.3.4"}, "1.2.3.4"),
    ):
        failed = run("sdc_nic", expect="fail", **arguments)
        assert words in failed.msg
        if "code" in failed:
            assert failed["machine_id"] == machine and failed["status"] == 409
    assert not run("sdc_nic", machine="gww", network="internal", state="absent")["changed"]


def test_nic_that_is_late(shared_cloud, run, machine, monkeypatch):
    go_on = threading.Event()

    async def slow(*_):
        await asyncio.to_thread(go_on.wait, 60)

    monkeypatch.setattr(type(shared_cloud.compute), "halt", slow)
    options = {"machine": "gw", "network": "internal"}
    assert "after 1 s" in run("sdc_nic", expect="fail", **options, wait_timeout=1).msg
    go_on.set()


# --- the end of a change -----------------------------------------------------------------------


def boots(cloud, name="gw"):
    return cloud.app.state.center.engine._runner.boots[cloud.machines()[name]["id"]]


def test_a_task_outlasts_the_reboot(shared_cloud, run, machine):
    """The interface is shown, and the machine as running, long before it is rebooted."""
    options = {"machine": "gw", "network": "internal"}
    order = {"kind": "reboot_delay", "machine": "gw", "seconds": 1.5, "count": None}
    for number, task in enumerate(
        (
            lambda: run("sdc_nic", **options),
            lambda: run("sdc_nic", **options, state="absent"),
            lambda: run(
                "sdc_machine", name="gw", networks=["external", "internal"], attach_networks=True
            ),
        ),
        start=2,
    ):
        shared_cloud.fault(**order)
        assert task()["changed"]
        assert boots(shared_cloud) == number
        assert shared_cloud.machines()["gw"]["state"] == "running"
        shared_cloud.app.state.center.faults.withdraw()


def test_a_task_that_is_not_to_wait_does_not(shared_cloud, run, machine):
    shared_cloud.fault(kind="reboot_delay", machine="gw", seconds=1.5)
    before = shared_cloud.count("GET", "/audit")
    assert run("sdc_nic", machine="gw", network="internal", wait=False)["changed"]
    assert (boots(shared_cloud), shared_cloud.count("GET", "/audit")) == (1, before)
    shared_cloud.settle()
    assert boots(shared_cloud) == 2


def test_a_job_that_fails_ends_the_task(shared_cloud, run, machine, monkeypatch):
    async def broken(*_):
        raise ComputeError("disk full")

    nic = {"machine": "gw", "network": "internal"}
    attach = {"name": "gw", "networks": ["external", "internal"], "attach_networks": True}
    with monkeypatch.context() as patch:
        patch.setattr(type(shared_cloud.compute), "halt", broken)
        for module, options in (("sdc_nic", nic), ("sdc_machine", attach)):
            failed = run(module, expect="fail", **options)
            assert "the job add_nics failed" in failed.msg and machine in failed.msg
            assert len(shared_cloud.machines()["gw"]["ips"]) == 1
    assert run("sdc_nic", **nic)["changed"]
    with monkeypatch.context() as patch:
        patch.setattr(type(shared_cloud.compute), "halt", broken)
        failed = run("sdc_nic", expect="fail", **nic, state="absent")
        assert "the job remove_nics failed" in failed.msg


def test_without_the_right_to_the_audit(start_cloud, capsys):
    cloud = start_cloud()

    def run(module, /, **arguments):
        return run_module(module, **cloud.access, **arguments)

    run("sdc_machine", name="gw", **OFFER, networks=["external"])
    cloud.forbid("GET", "/audit")
    options = {"machine": "gw", "network": "internal"}
    warned = ""
    for state in ("present", "absent"):
        done = run("sdc_nic", **options, state=state)
        assert done["changed"] and not run("sdc_nic", **options, state=state)["changed"]
        # where Ansible's own display is loaded, it has them
        warned += f"{done.get('warnings')} {capsys.readouterr().err}"
    assert "machineaudit" in warned
    attach = {"name": "gw", "networks": ["external", "internal"], "attach_networks": True}
    assert run("sdc_machine", **attach)["changed"] and not run("sdc_machine", **attach)["changed"]
