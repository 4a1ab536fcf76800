"""smf_instance against a real svc.startd that runs as an ordinary process."""

from __future__ import annotations

import os
import signal

import pytest

from .modules_support import run_module
from .smf_zone import manifest

FMRI = "svc:/site/job:one"
ONLINE = {"fmri": FMRI, "state": "online", "wait_timeout": 10}


def smf_instance(check=False, expect="ok", **arguments):
    return run_module("smf_instance", check=check, expect=expect, **{**ONLINE, **arguments})


@pytest.fixture
def job(zone):
    zone.load(manifest())
    zone.commands()
    return zone


def test_configure_enable_and_unchanged(job):
    options = {"properties": {"config/url": "tcp://10.0.0.1:2", "config/timeout": 60}}
    first = smf_instance(**options)
    assert first["changed"] and first["smf_state"] == "online"
    assert first["changed_properties"] == ["config/url", "config/timeout"]
    assert first["actions"] == ["configure", "enable"]
    calls = job.commands()
    assert [call for call in calls if not call.startswith("svcprop -p restarter")] == [
        f"svcprop -c {FMRI}",
        f"svccfg -s {FMRI} listprop",
        "svccfg -f -",
        f"svcadm enable {FMRI}",
    ]
    assert job.prop("config/url") == "tcp://10.0.0.1:2"
    assert job.run("svcprop", "-t", "-p", "config/timeout", FMRI).split()[1:] == ["integer", "60"]
    job.commands()

    again = smf_instance(**options)
    assert not again["changed"] and again["actions"] == []
    assert job.commands() == [f"svcprop -c {FMRI}", f"svcprop -p restarter {FMRI}"]


def test_check_mode_and_diff(job):
    predicted = smf_instance(check=True, properties={"config/url": "tcp://x"})
    assert predicted["changed"] and predicted["actions"] == ["configure", "enable"]
    assert predicted["diff"]["before"] == {FMRI: {"config/url": "tcp://", "enabled": False}}
    assert predicted["diff"]["after"] == {FMRI: {"config/url": "tcp://x", "enabled": True}}
    assert job.prop("config/url") == "tcp://"
    assert job.run("svcs", "-H", "-o", "sta", FMRI).strip() == "DIS"


def test_change_restarts_what_runs(job):
    smf_instance()
    pid = job.prop("restarter/start_pid") if _has_pid(job) else _contract(job)
    changed = smf_instance(properties={"config/url": "tcp://new"})
    assert changed["actions"] == ["configure", "restart"]
    assert changed["smf_state"] == "online"
    assert pid != (job.prop("restarter/start_pid") if _has_pid(job) else _contract(job))
    forced = smf_instance(restart=True)
    assert forced["changed"] and forced["actions"] == ["restart"]
    assert smf_instance(state="restarted")["actions"] == ["restart"]
    idle = smf_instance(state="disabled", properties={"config/url": "tcp://idle"}, restart=True)
    assert idle["actions"] == ["configure", "disable"]


def _has_pid(zone):
    return "restarter/start_pid" in zone.run("svcprop", "-p", "restarter", FMRI)


def _contract(zone):
    return zone.prop("restarter/contract")


def test_value_types(job):
    values = {
        "config/url": "a \"quoted\" $value; with 'everything' \\ and a tab\t|&",
        "config/verbose": True,
        "config/timeout": "5",
        "config/list": ["one two", "three"],
        "config/port": {"type": "count", "value": 20000},
        "other/empty": "",
    }
    assert smf_instance(properties=values)["changed"]
    assert not smf_instance(properties=values)["changed"]
    listing = job.run("svcprop", "-p", "config", FMRI)
    assert "config/verbose boolean true" in listing
    assert "config/timeout integer 5" in listing
    assert "config/port count 20000" in listing
    retyped = smf_instance(properties={"config/port": {"type": "integer", "value": 20000}})
    assert retyped["diff"]["after"][FMRI]["config/port"] == "integer: 20000"


def test_secrets_are_protected_and_in_no_output(job):
    first = smf_instance(secret_properties={"secret/key": "s3cret-one"})
    assert first["changed_properties"] == ["secret/read_authorization", "secret/key"]
    assert job.prop("secret/key") == "s3cret-one"
    assert job.prop("secret/read_authorization") == "solaris.smf.read"
    assert "s3cret" not in "".join(job.commands())
    assert not smf_instance(secret_properties={"secret/key": "s3cret-one"})["changed"]
    second = smf_instance(secret_properties={"secret/key": "s3cret-two"})
    assert second["diff"]["after"][FMRI]["secret/key"] == "(hidden, changed)"
    for result in (first, second):
        assert "s3cret" not in result["_text"]


def test_disable_and_delete(job):
    smf_instance()
    disabled = smf_instance(state="disabled")
    assert disabled["changed"] and disabled["smf_state"] == "disabled"
    assert not smf_instance(state="disabled")["changed"]
    assert smf_instance(enabled=True, state="present")["changed"]
    assert smf_instance(check=True, state="absent")["changed"]
    gone = smf_instance(state="absent")
    assert gone["changed"] and gone["smf_state"] == "absent"
    assert not smf_instance(state="absent")["changed"]


def test_new_instance_below_a_service(job):
    fmri = "svc:/site/job:two"
    assert smf_instance(check=True, fmri=fmri)["changed"]
    made = smf_instance(fmri=fmri, properties={"config/url": "tcp://two"})
    assert made["smf_state"] == "online"
    assert job.prop("config/url", fmri) == "tcp://two"
    assert not smf_instance(fmri=fmri, properties={"config/url": "tcp://two"})["changed"]


def test_several_instances_start_at_the_same_time(job):
    options = {
        "fmri": ["svc:/site/job:a", "svc:/site/job:b"],
        "properties": {"config/url": "tcp://both"},
    }
    made = smf_instance(**options)
    assert [i["smf_state"] for i in made["instances"]] == ["online", "online"]
    calls = [call.split()[:2] for call in job.commands()]
    assert calls.index(["svcprop", "-p"]) > len(calls) - 1 - calls[::-1].index(["svcadm", "enable"])
    again = smf_instance(**options)
    assert not again["changed"] and "smf_state" not in again
    gone = smf_instance(fmri=options["fmri"], state="absent")
    assert [i["actions"] for i in gone["instances"]] == [["disable", "delete"]] * 2


def test_new_instance_without_properties(job):
    made = smf_instance(fmri="svc:/site/job:bare", state="present")
    assert made["changed"] and made["actions"] == ["configure"]
    assert not smf_instance(fmri="svc:/site/job:bare", state="present")["changed"]


def test_maintenance_fails_at_once_with_the_log(zone):
    zone.load(manifest("/bin/sh -c 'echo the reason; exit 96'"))
    # a wait service is online as soon as its process is forked
    failed = smf_instance(expect="fail", wait_timeout=60, settle=2)
    assert "maintenance" in failed.msg and "the reason" in failed.msg
    assert failed["smf_state"] == "maintenance" and failed["logfile"] in failed.msg
    assert any("the reason" in line for line in failed["log"])
    again = smf_instance(expect="fail", settle=2)
    assert again["actions"] == ["clear"], "a second run tries again"


def test_clearing_maintenance_that_was_repaired(zone, tmp_path):
    flag = tmp_path / "flag"
    zone.load(manifest(f"/bin/sh -c 'test -e {flag} || exit 96; exec sleep 1000'"))
    smf_instance(expect="fail", settle=2)
    assert "maintenance" in smf_instance(expect="fail", clear=False).msg
    flag.touch()
    repaired = smf_instance()
    assert repaired["changed"] and repaired["smf_state"] == "online"


def test_deadline_names_what_is_awaited(zone):
    other = '<dependency name="d" grouping="require_all" restart_on="none" type="service">'
    other += '<service_fmri value="svc:/site/never:one"/></dependency>'
    zone.load(manifest(name="site/never"))
    zone.load(manifest(dependency=other))
    late = smf_instance(expect="fail", wait_timeout=1)
    assert "not online after 1 s but offline" in late.msg and "svc:/site/never:one" in late.msg
    assert smf_instance(wait=False)["smf_state"] == "offline"


def test_settle_notices_a_service_that_dies_again_and_again(zone):
    zone.load(manifest("/bin/sh -c 'sleep 0.2; exit 1'"))
    late = smf_instance(expect="fail", wait_timeout=3, settle=1.5)
    assert "not online" in late.msg or "after 3 s" in late.msg


def test_killed_process_comes_back(job):
    smf_instance()
    pids = [line.split()[1] for line in job.run("svcs", "-Hp", FMRI).splitlines()[1:]]
    os.kill(int(pids[0]), signal.SIGKILL)
    assert smf_instance()["smf_state"] == "online"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"fmri": "job"}, "full FMRI"),
        ({"fmri": "svc:/site/job"}, "full FMRI"),
        ({"fmri": "svc:/site/missing:one"}, "svc:/site/missing"),
        ({"enabled": False}, "contradicts"),
        ({"properties": {"url": "x"}}, "group/property"),
        ({"properties": {"config/url": {"type": "text", "value": 1}}}, "type"),
        ({"properties": {"config/url": "x" * 5000}}, "4095"),
        ({"properties": {"config/url": 1.5}}, "string, an integer or a boolean"),
    ],
)
def test_wrong_input(job, arguments, words):
    assert words in smf_instance(expect="fail", **arguments).msg


def test_no_smf_here(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "SmartOS" in smf_instance(expect="fail").msg
