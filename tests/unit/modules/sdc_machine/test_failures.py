"""sdc_machine when things go wrong: nothing is lost, nothing is doubled, and the message helps."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

from ..modules_support import OFFER, SELECTOR, TWO_POOLS, cluster, names, run_module


def test_failed_provisioning_says_what_is_known_and_what_the_operator_needs(cloud, sdc_machine):
    """The audit has no reason (sdc-cloudapi, lib/audit.js), so none can be shown."""
    cloud.fault(kind="provision_failure", machine="ipython-engine-002", reason="no server has room")
    failed = sdc_machine(expect="fail", **cluster(3), wait_timeout=60)
    assert "ipython-engine-002 (provision): provisioning failed, and the data center" in failed.msg
    assert f"package {OFFER['package']}" in failed.msg
    assert len(failed["created"]) == 4 and failed["changed"]
    (failure,) = failed["failures"]
    assert failure["state"] == "failed" and failure["id"] in failed["created"]
    assert f"operator can tell, and needs the id {failure['id']}" in failed.msg
    assert failed["failed_ids"] == [failure["id"]]
    adopted = sdc_machine(**cluster(3))
    assert len(adopted["created"]) == 1
    assert names(adopted)[1:] == [f"ipython-engine-00{n}" for n in (1, 2, 3)]
    assert set(adopted["kept"]) < set(failed["created"])


def test_one_that_fails_does_not_end_the_wait_for_the_others(cloud, sdc_machine):
    cloud.fault(kind="provision_failure", machine="ipython-engine-001")
    cloud.fault(kind="provision_failure", machine="ipython-engine-003", count=1)
    cloud.fault(kind="provision_delay", machine="ipython-engine-002", seconds=2)
    failed = sdc_machine(expect="fail", **cluster(3), wait_timeout=60)
    assert sorted(f["name"] for f in failed["failures"]) == [
        "ipython-engine-001", "ipython-engine-003",
    ]  # fmt: skip
    states = {machine["name"]: machine["state"] for machine in failed["machines"]}
    assert states["ipython-engine-002"] == states["ipython-controller"] == "running"


def test_a_job_that_failed_is_told_of_a_machine_that_is_late(cloud, sdc_machine, monkeypatch):
    made = sdc_machine(name="solo", **OFFER)
    ident = made["created"][0]

    async def broken(_):
        raise RuntimeError("boom")

    monkeypatch.setattr(cloud.compute, "halt", broken)
    failed = sdc_machine(expect="fail", name="solo", state="stopped", wait_timeout=2)
    assert "its last job (stop) failed, and the data center does not say why" in failed.msg
    assert f"needs the id {ident}" in failed.msg and "boom" not in failed.msg


def test_failed_machines_do_not_count(cloud, sdc_machine):
    cloud.fault(kind="provision_failure", machine="ipython-engine-001")
    sdc_machine(expect="fail", **cluster(1))
    predicted = sdc_machine(check=True, **cluster(1))
    assert predicted["created"] == ["ipython-engine-001"]


def test_changes_that_do_not_show_fail_and_are_named(cloud, sdc_machine, monkeypatch):
    """The data center takes a change and does not make it."""
    made = sdc_machine(**cluster(1))
    monkeypatch.setattr("smartdc.client.Client.set_tags", lambda *_: {})
    failed = sdc_machine(expect="fail", **cluster(1), tags={"a": "b"}, wait_timeout=1)
    assert sorted(failed["failed_ids"]) == sorted(made["created"])
    for name in ("ipython-controller", "ipython-engine-001"):
        assert f"{name} (update): still without the change of tags.a after 1 s" in failed.msg
    assert sdc_machine(**cluster(1), tags={"a": "b"}, wait="false")["changed"]


@pytest.mark.parametrize(
    ("wait", "waits"),
    [(True, True), ("yes", True), ("running", True), ("1", True), (False, False), ("no", False),
     ("false", False), ("off", False)],
)  # fmt: skip
def test_wait_as_a_truth_value(cloud, sdc_machine, wait, waits):
    cloud.fault(kind="provision_delay", machine="*", seconds=1)
    made = sdc_machine(**cluster(0), wait=wait)
    assert made["machines"][0]["state"] == ("running" if waits else "provisioning")


def test_wait_that_is_nothing(cloud, sdc_machine):
    failed = sdc_machine(expect="fail", **cluster(0), wait="maybe")
    assert failed.msg == "wait is neither true, false, running nor ssh: 'maybe'"
    assert cloud.requests == []


@pytest.mark.parametrize(
    ("options", "wanted", "limit"),
    [
        ({"name": "m-{index}", "selector": SELECTOR, "exact_count": 1_000_000}, 1_000_000, 5000),
        ({"name": "m-{index}", "selector": SELECTOR, "exact_count": 10**30}, 10**30, 5000),
        (cluster(5000), 5001, 5000),
        ({**cluster(3), "max_count": 3}, 4, 3),
    ],
)
def test_more_machines_than_anybody_means(cloud, sdc_machine, options, wanted, limit):
    for check in (False, True):
        failed = sdc_machine(check=check, expect="fail", **options)
        assert f"exact_count asks for {wanted} machines, and max_count is {limit};" in failed.msg
    assert cloud.requests == []


def test_as_many_machines_as_max_count(cloud, sdc_machine):
    assert len(sdc_machine(**cluster(3), max_count=4)["created"]) == 4
    assert len(sdc_machine(check=True, **cluster(4999))["created"]) == 5000 - 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({**cluster(1), "tags": {"cluster": "other"}},
         "tags: 'cluster' is 'other', but selector says 'ipython'"),
        ({**cluster(1), "tags": {"role": "engine"}},
         "tags of ipython-controller: 'role' is 'engine', but the selector of ipython-controller"),
        ({**OFFER, "selector": SELECTOR, "groups": [{"name": "a", "tags": {"cluster": "b"}}]},
         "tags of a: 'cluster' is 'b', but selector says 'ipython'"),
        ({**OFFER, "selector": SELECTOR, "groups": [{"name": "a", "selector": {"cluster": "b"}}]},
         "the selector of a: 'cluster' is 'b', but selector says 'ipython'"),
        ({**OFFER, "selector": SELECTOR,
          "groups": [{"name": "a", "selector": {"hot": True}, "tags": {"hot": False}}]},
         "tags of a: 'hot' is False, but the selector of a says True"),
        ({**OFFER, "name": "solo", "selector": {"n": 1}, "tags": {"n": 2}},
         "tags: 'n' is 2, but selector says 1"),
    ],
)  # fmt: skip
def test_tags_that_contradict_the_selector(cloud, sdc_machine, options, words):
    failed = sdc_machine(expect="fail", **options)
    assert words in failed.msg and cloud.requests == []


def test_tags_that_agree_with_the_selector(cloud, sdc_machine):
    made = sdc_machine(**OFFER, name="solo", selector={"n": 1}, tags={"n": "1", "m": 2})
    assert made["machines"][0]["tags"]["m"] == 2


def test_absent_removes_failed_machines_too(cloud, sdc_machine):
    cloud.fault(kind="provision_failure", machine="ipython-engine-001")
    failed = sdc_machine(expect="fail", **cluster(1))
    gone = sdc_machine(state="absent", selector=SELECTOR)
    assert sorted(gone["deleted"]) == sorted(failed["created"])
    assert not sdc_machine(state="absent", selector=SELECTOR)["changed"]


def test_partial_failure_reports_ids_and_is_adopted(cloud, sdc_machine):
    # longer than the client waits
    cloud.fault(kind="unavailable", method="POST", path="*/machines", count=2, retry_after=600)
    failed = sdc_machine(expect="fail", **cluster(3))
    assert len(failed["created"]) == 2 and len(failed["failures"]) == 2
    assert failed["status"] == 503
    again = sdc_machine(**cluster(3))
    assert sorted(again["kept"]) == sorted(failed["created"]) and len(again["created"]) == 2


def test_lost_answer_is_looked_up_and_never_doubled(cloud, sdc_machine):
    cloud.fault(kind="cut_after", method="POST", path="*/machines", count=2)
    result = sdc_machine(**cluster(2))
    assert len(result["created"]) == 3
    assert len(cloud.machines()) == 3
    assert cloud.count("POST", "/machines") == 3


def test_request_cut_before_it_took_effect_is_repeated(cloud, sdc_machine):
    cloud.fault(kind="cut_before", method="POST", path="*/machines", count=1)
    result = sdc_machine(**cluster(1))
    assert len(result["created"]) == 2 and len(cloud.machines()) == 2


def test_throttling_is_ridden_out(cloud, sdc_machine):
    cloud.fault(kind="throttle", method="POST", path="*/machines", count=3, retry_after=0.1)
    assert len(sdc_machine(**cluster(3))["created"]) == 4


def test_late_machines_are_named_with_their_state(start_cloud):
    cloud = start_cloud(seconds=3)
    late = run_module("sdc_machine", expect="fail", **cloud.access, **cluster(2), wait_timeout=1)
    for name in ("ipython-controller", "ipython-engine-001", "ipython-engine-002"):
        assert name in late.msg
    assert "still provisioning after 1 s" in late.msg
    assert len(late["created"]) == 3 and len(late["failures"]) == 3


def test_a_machine_that_vanishes_while_it_is_awaited(start_cloud, monkeypatch):
    from ansible.module_utils.sdc.machine import fleet

    monkeypatch.setattr(fleet, "READABLE_AFTER", 0.2)
    cloud = start_cloud(seconds=3)
    run_module("sdc_machine", **cloud.access, **cluster(1), wait="false")
    timer = threading.Timer(0.3, cloud.lose, ["ipython-engine-001"])
    timer.start()
    failed = run_module("sdc_machine", expect="fail", **cloud.access, **cluster(1))
    timer.join()
    assert "ipython-engine-001" in failed.msg and "deleted" in failed.msg


def test_deletion_protection_is_reported(cloud, sdc_machine):
    made = sdc_machine(**cluster(1))
    ident = next(m["id"] for m in made["machines"] if m["name"] == "ipython-controller")
    with cloud.client() as client:
        client.act(ident, "enable_deletion_protection")
    failed = sdc_machine(expect="fail", state="absent", selector=SELECTOR)
    assert "deletion_protection" in failed.msg and failed["code"] == "CannotDestroyMachineError"
    assert failed["machine_id"] == ident


def test_name_taken_by_a_foreign_machine(cloud, sdc_machine):
    sdc_machine(name="ipython-engine-001", **OFFER)
    failed = sdc_machine(expect="fail", **cluster(1))
    assert "ipython-engine-001" in failed.msg and not failed["created"]


def test_no_key(cloud, tmp_path):
    access = {**cloud.access, "key_file": str(tmp_path / "none")}
    failed = run_module("sdc_machine", expect="fail", **access, **cluster(1))
    assert "none" in failed.msg


def test_wrong_key(cloud, start_cloud):
    other = start_cloud()
    access = {**cloud.access, "key_id": other.key_id, "key_file": str(other.key_file)}
    failed = run_module("sdc_machine", expect="fail", **access, **cluster(1))
    assert failed["status"] == 401 and failed["code"] == "InvalidCredentials"
    assert "SDC_KEY_ID" in failed.msg


def test_unreachable(cloud):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    access = {**cloud.access, "url": f"http://127.0.0.1:{port}"}
    failed = run_module("sdc_machine", expect="fail", **access, **cluster(1))
    assert "cannot connect" in failed.msg and "SDC_URL" in failed.msg


def test_nothing_configured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed = run_module("sdc_machine", expect="fail", **cluster(1))
    assert "localdc start" in failed.msg


def test_settings_from_the_environment(cloud, monkeypatch):
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    assert run_module("sdc_machine", **cluster(1))["data_center"]["source"] == "environment"


@pytest.mark.parametrize("state", ["", ".other/dc"])
def test_embedded_data_center_from_a_directory_below(cloud, tmp_path, monkeypatch, state):
    """Ansible runs modules in the directory of the playbook that the task is from."""
    if state:
        monkeypatch.setenv("LOCALDC_DIR", state)
    directory = tmp_path / (state or ".localdc")
    directory.mkdir(parents=True)
    (directory / "datacenter.json").write_text(json.dumps({"name": "localdc", **cloud.access}))
    (tmp_path / "playbooks").mkdir()
    monkeypatch.chdir(tmp_path / "playbooks")
    result = run_module("sdc_machine", **cluster(1))
    assert result["data_center"]["source"] == "embedded"


def test_secrets_are_in_no_output(cloud, sdc_machine):
    secrets = {
        "metadata": {"ipython.key": "s3cret-one", "stage": "test"},
        "secret_metadata": {"odd": "s3cret-two"},
    }
    made = sdc_machine(**cluster(1), **secrets)
    metadata = cloud.machines()["ipython-engine-001"]["metadata"]
    assert (metadata["ipython.key"], metadata["odd"]) == ("s3cret-one", "s3cret-two")
    assert made["diff"]["after"]["ipython-engine-001"]["metadata"]["ipython.key"] == "(hidden)"
    secrets["metadata"]["ipython.key"] = "s3cret-three"
    predicted = sdc_machine(check=True, **cluster(1), **secrets)
    changed = sdc_machine(**cluster(1), **secrets)
    assert len(changed["updated"]) == 2
    assert not sdc_machine(**cluster(1), **secrets)["changed"]
    for result in (made, predicted, changed):
        assert "s3cret" not in result["_text"]


def test_user_script_is_metadata_and_compared(cloud, sdc_machine):
    sdc_machine(**cluster(1), user_script="#!/bin/sh\ntrue\n")
    script = cloud.machines()["ipython-controller"]["metadata"]["user-script"]
    assert script == "#!/bin/sh\ntrue\n"
    assert not sdc_machine(**cluster(1), user_script="#!/bin/sh\ntrue\n")["changed"]
    assert len(sdc_machine(**cluster(1), user_script="#!/bin/sh\nfalse\n")["updated"]) == 2


def test_wait_for_ssh(cloud, sdc_machine, fake_ssh):
    options = {"ssh_config": "/etc/hosts", "ssh_args": ["-oControlPath={name}"]}
    made = sdc_machine(**cluster(3), wait="ssh", **options)
    calls = (fake_ssh / "calls").read_text().splitlines()
    assert len(calls) == 8
    for machine in made["machines"]:
        mine = [call for call in calls if f"HostKeyAlias={machine['id']}" in call]
        assert len(mine) == 2
        assert "-F /etc/hosts " in mine[0]
        assert f"-oControlPath={machine['name']}" in mine[0]
        assert f"-o IdentitiesOnly=yes -o IdentityFile={cloud.access['key_file']} " in mine[0]
        assert mine[0].endswith(f"-- {machine['primary_ip']} true")


@pytest.mark.parametrize(("pool", "which"), [("Private", 1), ("Public", 0)])
def test_ssh_reaches_machines_in_a_pool(start_cloud, fake_ssh, pool, which):
    """They show a network that is not listed."""
    cloud = start_cloud(**TWO_POOLS)
    made = run_module("sdc_machine", **cloud.access, **cluster(1), wait="ssh", ssh_address=[pool])
    calls = (fake_ssh / "calls").read_text().splitlines()
    for machine in made["machines"]:
        assert any(call.endswith(f"-- {machine['ips'][which]} true") for call in calls)


def test_ssh_that_never_works_names_the_machine_and_the_reason(cloud, sdc_machine, fake_ssh):
    (fake_ssh / "broken").touch()
    failed = sdc_machine(expect="fail", **cluster(1), wait="ssh", wait_timeout=1)
    assert "ipython-engine-001" in failed.msg and "ssh" in failed.msg
    assert len(failed["created"]) == 2


def test_a_key_that_machines_refuse_ends_the_wait(cloud, sdc_machine, fake_ssh):
    (fake_ssh / "says").write_text("root@100.64.0.5: Permission denied (publickey).\n")
    failed = sdc_machine(
        expect="fail", **cluster(6), wait="ssh", wait_timeout=300, ssh_refused_timeout=2, parallel=1
    )
    assert cloud.access["key_file"] in failed.msg and "Permission denied" in failed.msg
    assert len(failed["created"]) == 7
    calls = len((fake_ssh / "calls").read_text().splitlines())
    assert calls < 7 * 4, "each machine was waited for in turn"


@pytest.mark.parametrize(
    "line",
    [
        "percent_expand: unknown key %k",
        "Unable to negotiate with 100.64.0.5 port 22: no matching host key type found.",
        'Load key "/home/me/.ssh/triton": bad permissions\nme@100.64.0.5: Permission denied.',
    ],
)
def test_what_no_later_attempt_changes_ends_the_wait(cloud, sdc_machine, fake_ssh, line):
    (fake_ssh / "says").write_text(line + "\n")
    failed = sdc_machine(expect="fail", **cluster(1), wait="ssh", wait_timeout=300)
    signs = ("unknown key %k", "no matching host key type", 'triton": bad permissions')
    assert any(sign in failed.msg for sign in signs)


def test_a_jump_host_that_refuses_is_told_from_the_machine(cloud, sdc_machine, fake_ssh):
    (fake_ssh / "says").write_text(
        "root@bastion: Permission denied (publickey).\n"
        "kex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by UNKNOWN port 65535\n"
    )
    failed = sdc_machine(
        expect="fail", **cluster(1), wait="ssh", wait_timeout=300, ssh_refused_timeout=1
    )
    assert "jump host" in failed.msg and "root@bastion: Permission denied" in failed.msg


def test_the_way_to_a_machine_is_that_of_the_inventory(cloud, sdc_machine, fake_ssh):
    sdc_machine(name="gate", **OFFER)
    options = {"ssh_jump_host": "ops@gate:2022", "ssh_address": ["10.99.0.0/16"]}
    made = sdc_machine(**cluster(1), wait="ssh", **options)
    calls = (fake_ssh / "calls").read_text().splitlines()
    inner = next(ip for ip in cloud.machines()["gate"]["ips"] if ip.startswith("10.99."))
    for machine in made["machines"]:
        mine = [call for call in calls if call.startswith(f"-o HostKeyAlias={machine['id']}")]
        assert mine and all("-- 10.99." in call for call in mine), calls
        assert all(f"-l ops -p 2022 -W %h:%p -- {inner}" in c for c in mine), mine


def test_a_key_that_a_person_has_to_touch_is_asked_seldom(start_cloud, monkeypatch, capsys):
    """Every request needs a signature, and polling would ask for one each second."""
    from ansible.module_utils.sdc.client import keys
    from ansible.module_utils.sdc.machine import fleet

    cloud = start_cloud(seconds=6)
    # of the smartdc that the module has: other tests import it anew
    sign = keys.FileKey.sign

    def by_hand(self, data):
        time.sleep(1.1)
        return sign(self, data)

    monkeypatch.setattr(keys.FileKey, "sign", by_hand)
    monkeypatch.setattr(fleet, "PATIENT_PAUSE", 7.0)
    made = run_module("sdc_machine", **cloud.access, **cluster(0))
    # once Ansible's own side has been imported in this process, warnings go to its display
    assert "touch" in str(made.get("warnings")) + capsys.readouterr().err
    assert cloud.count("GET", "/machines") <= 4, cloud.requests


def test_no_ssh_command(cloud, sdc_machine, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    failed = sdc_machine(expect="fail", **cluster(1), wait="ssh")
    assert "openssh-client" in failed.msg
