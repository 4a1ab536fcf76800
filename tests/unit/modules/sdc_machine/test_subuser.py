"""sdc_machine as a sub-user: whose key opens machines, and what he must be allowed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from smartdc.config import resolve

from ..modules_support import ROOT, SELECTOR, cluster, new_key, run_module

LOGIN = "bobby"


@pytest.fixture
def cloud(start_cloud):
    return start_cloud(firewall=True)


@pytest.fixture
def bob(cloud, tmp_path):
    """Arguments that lead a module to the data center as a sub-user with a key of his own."""
    key_id, line = new_key(tmp_path / "bob")
    with cloud.client() as client:
        user = {"login": LOGIN, "email": "bobby@example.com", "password": "secret-1"}
        client.post_object("users", json=user)
        client.post_object("users", LOGIN, "keys", json={"name": "own", "key": line})
    return {**cloud.access, "user": LOGIN, "key_id": key_id, "key_file": str(tmp_path / "bob")}


@pytest.fixture
def allow(cloud):
    """Give the sub-user a role with these rules."""

    def allow(*rules, name="makers", default=True):
        with cloud.client() as client:
            policies = []
            if rules:
                policy = client.post_object("policies", json={"name": name, "rules": list(rules)})
                policies = [{"id": policy["id"]}]
            members = [{"type": "subuser", "login": LOGIN, "default": default}]
            body = {"name": name, "members": members, "policies": policies}
            client.post_object("roles", json=body)

    return allow


def test_a_key_that_opens_no_machine_is_refused_before_there_is_one(cloud, bob, allow, fake_ssh):
    """sdc-ufds, capi/keys.js: smartlogin takes no key of a mere sub-user."""
    allow("CAN * *")
    for check in (True, False):
        failed = run_module("sdc_machine", check=check, expect="fail", **bob, **cluster(2),
                            wait="ssh")  # fmt: skip
        assert f"sub-user {LOGIN} signs with the key {bob['key_id']}" in failed.msg
        assert "default member of the role administrator" in failed.msg
        assert "machine_user_script" in failed.msg and "Nothing was created" in failed.msg
    assert cloud.machines() == {} and not (fake_ssh / "calls").exists()


def test_who_may_not_read_the_keys_is_no_administrator(cloud, bob, allow, fake_ssh):
    allow("CAN listmachines, listpackages, listimages and createmachine *")
    failed = run_module("sdc_machine", expect="fail", **bob, **cluster(2), wait="ssh")
    assert "opens no machine of acme" in failed.msg and cloud.machines() == {}


@pytest.mark.parametrize("way", ["administrator", "key of the account", "script", "running"])
def test_ways_in(cloud, bob, allow, fake_ssh, way):
    allow("CAN * *")
    options = {**cluster(2), "wait": "ssh"}
    if way == "administrator":
        allow(name="administrator")
    elif way == "key of the account":
        line = Path(f"{bob['key_file']}.pub").read_text()
        with cloud.client() as client:
            client.add_key("bobs", line)
    elif way == "script":
        options["user_script"] = "#!/bin/sh\necho 'ssh-ed25519 ...' >> /root/.ssh/authorized_keys\n"
    else:
        options["wait"] = "running"
    made = run_module("sdc_machine", **bob, **options)
    assert len(made["created"]) == 3


def test_a_member_who_has_to_ask_for_the_role_is_not_let_in(bob, allow, fake_ssh):
    allow("CAN * *")
    allow(name="administrator", default=False)
    failed = run_module("sdc_machine", expect="fail", **bob, **cluster(1), wait="ssh")
    assert "opens no machine" in failed.msg


def test_check_key_decides_where_ssh_is_not_waited_for(cloud, bob, allow):
    allow("CAN * *")
    failed = run_module("sdc_machine", expect="fail", **bob, **cluster(1), check_key=True)
    assert "opens no machine" in failed.msg and cloud.machines() == {}
    assert run_module("sdc_machine", **bob, **cluster(1), check_key=False)["created"]


def test_the_account_itself_is_not_asked(cloud, sdc_machine, fake_ssh):
    sdc_machine(**cluster(1), wait="ssh")
    assert cloud.count("GET", "/keys") == cloud.count("GET", "/roles") == 0


def test_a_missing_right_is_named(bob, allow):
    allow("CAN listmachines, listpackages and listimages *")
    failed = run_module("sdc_machine", expect="fail", **bob, **cluster(1))
    assert failed["code"] == "NotAuthorized"
    assert "a policy that says CAN createmachine *" in failed.msg


def test_limits_that_he_may_not_read_are_met_on_the_way(cloud, bob, allow):
    allow("CAN listmachines, getmachine, createmachine, listpackages and listimages *")
    limits = {"limits": [{"value": 2}]}
    assert cloud.admin("PUT", "accounts/acme/limits", limits).ok
    failed = run_module("sdc_machine", expect="fail", **bob, **cluster(3))
    assert len(failed["created"]) == 2
    assert "Quota exceeded" in failed.msg and "triton cloudapi /my/limits" in failed.msg
    assert "policy" not in failed.msg


def documented():
    text = (ROOT / "docs/accounts.md").read_text()
    return re.findall(r"^    (CAN .*)$", text, re.MULTILINE)


def test_the_documented_rights_are_enough(cloud, bob, allow):
    """docs/accounts.md, tried by a sub-user who has nothing else."""
    allow(*documented())
    address = run_module("ipcontroller_metadata", **bob, cluster="ipython")
    made = run_module("sdc_machine", **bob, **cluster(3), metadata={"ipython.url": address["url"]})
    assert len(made["created"]) == 4
    changed = {"tags": {"stage": "test"}, "metadata": {"ipython.url": "tcp://x:1"}}
    changed |= {"firewall_enabled": True, "deletion_protection": True, "package": "sample-1G"}
    assert len(run_module("sdc_machine", **bob, **{**cluster(3), **changed})["updated"]) == 4
    fewer = {**cluster(1), **changed, "deletion_protection": False}
    assert len(run_module("sdc_machine", **bob, **fewer)["deleted"]) == 2
    rule = {"description": "ssh", "rule": 'FROM any TO tag "cluster" = "ipython" ALLOW tcp PORT 22'}
    for state in ("present", "absent"):
        assert run_module("sdc_firewall_rule", **bob, **rule, state=state)["changed"]
    for module in ("sdc_machine_info", "sdc_image_info", "sdc_package_info", "sdc_network_info"):
        run_module(module, **bob)
    gone = {"selector": SELECTOR, "state": "absent"}
    assert len(run_module("sdc_machine", **bob, **gone)["deleted"]) == 2
    assert cloud.machines() == {}


def test_who_acts_as_another_account_needs_a_key_of_that_one(cloud, tmp_path):
    """TRITON_ACT_AS: the machines are the other account's, and let in its keys."""
    from ansible.module_utils.sdc.machine.login import key_problem

    settings = replace(resolve(**cloud.access, env={}), account="operator", act_as="acme")
    key_id, _ = new_key(tmp_path / "operators")
    with cloud.client() as owner, cloud.client() as client:
        assert key_problem(client, settings) == ""
        client.authenticate(f"/acme/keys/{key_id}", str(tmp_path / "operators"))
        client.keys = owner.keys
        problem = key_problem(client, settings)
    assert (
        f"account operator signs with the key {key_id}, which opens no machine of acme" in problem
    )
    assert "add the key to the account" in problem
