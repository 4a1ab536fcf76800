"""sdc_key, sdc_firewall_rule and sdc_volume, against the embedded API without zones."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from .modules_support import OFFER, UNKNOWN, life, refused

# --- keys --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    for name in ("a", "b"):
        command = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            name,
            "-f",
            directory / name,
        ]
        subprocess.run(command, check=True)
    return [(directory / f"{name}.pub").read_text() for name in ("a", "b")]


def test_key(shared_cloud, run, lines):
    for key in life(run, "sdc_key", "key", {"name": "laptop", "key": lines[0]}, "laptop"):
        other_comment = " ".join([*lines[0].split()[:2], "other"])
        assert not run("sdc_key", name="laptop", key=other_comment)["changed"]
        assert not run("sdc_key", name="laptop")["changed"]
        assert "another key" in run("sdc_key", expect="fail", name="laptop", key=lines[1]).msg
        twin = run("sdc_key", expect="fail", name="twin", key=lines[0])
        assert "'laptop'" in twin.msg
        predicted = run("sdc_key", check=True, name="laptop", key=lines[1], replace=True)
        replaced = run("sdc_key", name="laptop", key=lines[1], replace=True)
        assert replaced["diff"] == predicted["diff"]
        assert replaced["diff"]["before"]["laptop"]["fingerprint"] == key["fingerprint"]
        assert replaced["key"]["fingerprint"] == predicted["key"]["fingerprint"]
        run("sdc_key", name="laptop", key=lines[0], replace=True)
    run("sdc_key", name="laptop", key=lines[0])
    assert run("sdc_key", name=key["fingerprint"], state="absent")["changed"]
    refused(shared_cloud, run, "sdc_key", {"name": "laptop", "key": lines[0]})


def test_keys_that_the_server_shows_late(shared_cloud, run, lines):
    """Triton's list of keys may be a minute old (node-ufds, lib/cache.js); two runs in it."""
    shared_cloud.admin("PUT", "settings", {"keys_cache_seconds": 60})
    try:
        with shared_cloud.client() as client:
            old = client.get_list("keys")
            assert run("sdc_key", name=" late ", key=lines[0])["changed"]
            assert client.get_list("keys") == old
        assert not run("sdc_key", name="late", key=lines[0])["changed"]
        assert run("sdc_key", name="late", state="absent")["changed"]
        assert not run("sdc_key", name="late", state="absent")["changed"]
    finally:
        shared_cloud.admin("PUT", "settings", {"keys_cache_seconds": 0})


def test_the_key_that_signs_stays(shared_cloud, run):
    for name in ("k", shared_cloud.key_id):
        for check in (True, False):
            failed = run("sdc_key", expect="fail", check=check, name=name, state="absent")
            assert "signs this task's requests" in failed.msg
    assert shared_cloud.machines() == {}


@pytest.mark.parametrize("line", ["", "nonsense", "ssh-rsa !!!", "ssh-rsa QUJD comment"])
def test_not_a_key(run, line):
    assert "OpenSSH public key" in run("sdc_key", expect="fail", name="x", key=line or " ").msg
    for check in (False, True):
        failed = run("sdc_key", expect="fail", check=check, name="x")
        assert "needs the option key" in failed.msg


def test_key_that_cannot_be_replaced_is_put_back(shared_cloud, run, lines):
    run("sdc_key", name="laptop", key=lines[0])
    shared_cloud.fault(kind="unavailable", method="POST", path="*/keys", retry_after=600)
    failed = run("sdc_key", expect="fail", name="laptop", key=lines[1], replace=True)
    assert failed["status"] == 503
    assert not run("sdc_key", name="laptop", key=lines[0])["changed"]
    assert run("sdc_key", name="laptop", state="absent")["changed"]


# --- firewall rules ----------------------------------------------------------------------------

FWRULES = Path(
    os.environ.get("FWRULES_CORPUS")
    or Path(__file__).resolve().parents[4] / "shared/corpus/fwrules.json"
)
WEB = 'FROM any TO tag "role" = "web" ALLOW tcp (PORT 80 AND PORT 443)'


def test_firewall_rule(shared_cloud, run):
    options = {"rule": WEB, "description": "web"}
    for rule in life(run, "sdc_firewall_rule", "rule", options, "web"):
        assert rule["enabled"] and rule["description"] == "web"
        for same in (
            "from ANY to tag role = web allow TCP (port 443 and port 80)",
            'FROM (any) TO\n(tag "role" = "\\u0077eb") ALLOW tcp PORTS 0443, 80 PRIORITY 0',
            "FROM any  TO tag role=web ALLOW tcp ( PORT 80 AND PORT 443 )",
        ):
            assert not run("sdc_firewall_rule", rule=same)["changed"]
        changed = WEB.replace("443", "8443")
        predicted = run("sdc_firewall_rule", check=True, description="web", rule=changed)
        update = run("sdc_firewall_rule", description="web", rule=changed, enabled=False, log=True)
        assert update["rule"]["id"] == rule["id"] == predicted["rule"]["id"]
        assert update["diff"]["before"]["web"]["rule"] == rule["rule"]
        assert update["diff"]["after"]["web"]["enabled"] is False
        by_id = {"id": rule["id"], "rule": WEB, "enabled": True, "log": False}
        assert run("sdc_firewall_rule", **by_id)["changed"]
        assert not run("sdc_firewall_rule", **by_id)["changed"]
    refused(shared_cloud, run, "sdc_firewall_rule", options)


def test_firewall_rule_for_a_machine_by_name(shared_cloud, run):
    ident = run("sdc_machine", name="gw", **OFFER)["created"][0]
    made = run("sdc_firewall_rule", rule="FROM any TO vm gw ALLOW tcp PORT 22")
    assert f"vm {ident} " in made["rule"]["rule"]
    assert not run("sdc_firewall_rule", rule=f"FROM any TO vm {ident} ALLOW tcp PORT 22")["changed"]
    failed = run("sdc_firewall_rule", expect="fail", rule="FROM any TO vm gww ALLOW tcp PORT 22")
    assert "no machine 'gww'" in failed.msg and "gw" in failed.msg
    assert run("sdc_firewall_rule", id=made["rule"]["id"], state="absent")["changed"]
    assert run("sdc_machine", name="gw", state="absent")["changed"]


def test_firewall_rule_of_a_machine_is_told_from_a_string(run):
    ident = run("sdc_machine", name="gw.a", **OFFER)["created"][0]
    rule = 'FROM (tag "vm x" OR tag my-vm OR vm "gw.a") TO vm gw.a ALLOW tcp PORT 22'
    made = run("sdc_firewall_rule", rule=rule)
    normal = f'FROM (tag "my-vm" OR tag "vm x" OR vm {ident}) TO vm {ident} ALLOW tcp PORT 22'
    assert made["rule"]["rule"] == normal
    assert run("sdc_firewall_rule", rule=normal, state="absent")["changed"]
    assert run("sdc_machine", name="gw.a", state="absent")["changed"]


@pytest.mark.skipif(not FWRULES.exists(), reason=f"no rules at {FWRULES}; set FWRULES_CORPUS")
def test_every_firewall_rule_is_one_rule(shared_cloud, run):
    """The rules that sdc-fwrule 2.1.1 accepts, and what it makes of them."""
    valid = [entry for entry in json.loads(FWRULES.read_text()) if "text" in entry]
    with shared_cloud.client() as client:
        for rule, text in ((entry["rule"], entry["text"]) for entry in valid):
            predicted = run("sdc_firewall_rule", check=True, rule=rule)
            made = run("sdc_firewall_rule", rule=rule)
            assert predicted["rule"]["rule"] == made["rule"]["rule"] == text
            assert made["diff"] == predicted["diff"] and made["diff"]["after"][text]["rule"] == text
            for again in (rule, text):
                assert not run("sdc_firewall_rule", rule=again)["changed"], again
            assert [found["rule"] for found in client.fwrules()] == [text]
            gone = run("sdc_firewall_rule", rule=f"\n{text} ", state="absent")
            assert gone["changed"] and client.fwrules() == []
    assert len(valid) > 100


@pytest.mark.skipif(not FWRULES.exists(), reason=f"no rules at {FWRULES}; set FWRULES_CORPUS")
def test_every_refused_firewall_rule_is_refused_without_a_call(shared_cloud, run):
    """In the words of sdc-fwrule 2.1.1; `vm foo` is a machine's name here."""
    corpus = json.loads(FWRULES.read_text())
    refusals = [entry for entry in corpus if "refused" in entry and " vm foo " not in entry["rule"]]
    before = len(shared_cloud.requests)
    for entry in refusals:
        for state in ("present", "absent"):
            failed = run("sdc_firewall_rule", expect="fail", rule=entry["rule"], state=state)
            assert failed.msg == f"rule: {entry['refused']}"
    assert len(refusals) > 50 and len(shared_cloud.requests) == before


def test_firewall_rule_as_storage_keeps_it(shared_cloud, run):
    """What sdc-fwapi, lib/rule.js, reads back of a rule: no range of every port, no empty value."""
    with shared_cloud.client() as client:
        kept = client.create_fwrule('FROM any TO tag "a" ALLOW tcp PORT all', enabled=True)
        rule = 'FROM any TO tag a = "" ALLOW tcp PORTS 1-65535, 80'
        assert not run("sdc_firewall_rule", rule=rule)["changed"]
        client.delete_fwrule(kept["id"])


def test_firewall_rule_without_a_description(run):
    """Empty descriptions are left out of answers (sdc-cloudapi, lib/rules.js, `translate`)."""
    made = run("sdc_firewall_rule", rule=WEB)["rule"]
    assert not run("sdc_firewall_rule", rule=WEB, description="")["changed"]
    assert run("sdc_firewall_rule", id=made["id"], state="absent")["changed"]


def test_firewall_rule_failures(shared_cloud, run):
    for arguments, words in (
        ({"rule": "FROM here TO there"}, "rule"),
        ({"description": "none"}, "needs rule"),
        ({"enabled": True}, "say which rule"),
        ({"id": UNKNOWN, "rule": WEB}, UNKNOWN),
    ):
        assert words in run("sdc_firewall_rule", expect="fail", **arguments).msg
    assert not run("sdc_firewall_rule", id=UNKNOWN, state="absent")["changed"]
    with shared_cloud.client() as client:
        twins = [client.create_fwrule(WEB, description="twin")["id"] for _ in range(2)]
        failed = run("sdc_firewall_rule", expect="fail", description="twin", state="absent")
        assert all(twin in failed.msg for twin in twins)
        for twin in twins:
            client.delete_fwrule(twin)


# --- volumes -----------------------------------------------------------------------------------


def test_volume(shared_cloud, run):
    options = {"name": "data", "size": 20480}
    for volume in life(run, "sdc_volume", "volume", options, "data"):
        assert volume["state"] == "ready"
        assert not run("sdc_volume", name="data")["changed"]
        assert "20480 MiB" in run("sdc_volume", expect="fail", name="data", size=10240).msg
        renamed = {"id": volume["id"], "name": "results"}
        predicted = run("sdc_volume", check=True, **renamed)
        done = run("sdc_volume", **renamed)
        assert done["diff"] == predicted["diff"] and done["volume"] == predicted["volume"]
        assert done["diff"]["before"] == {"data": {"name": "data"}}
        assert not run("sdc_volume", **renamed)["changed"]
        assert run("sdc_volume", id=volume["id"], name="data")["changed"]
    refused(shared_cloud, run, "sdc_volume", options)


SHELVES = {"name": "shelves", "subnet": "192.168.140.0/24"}
SHELVES |= {"provision_start_ip": "192.168.140.5", "provision_end_ip": "192.168.140.250"}


def test_volume_options_and_failures(shared_cloud, run):
    with shared_cloud.client() as client:
        client.create_vlan(7, "seven")
        network = client.create_fabric_network(7, **SHELVES)["id"]
    options = {"name": "vv", "network": "shelves", "tags": {"a": "b"}, "wait": False}
    for made in (run("sdc_volume", check=check, **options)["volume"] for check in (True, False)):
        assert made["networks"] == [network] and made["tags"] == {"a": "b"}
    assert run("sdc_volume", name="vv")["volume"]["state"] == "ready"
    assert run("sdc_volume", name="vv", state="absent", wait=False)["changed"]
    failed = run("sdc_volume", expect="fail", name="ww", size=7)
    assert failed["code"] == "VolumeSizeNotAvailable" and failed["status"] == 409
    for arguments, words in (
        ({}, "name or id"),
        ({"id": UNKNOWN}, UNKNOWN),
        ({"name": "ww", "network": "interna"}, "nearest: internal"),
        ({"name": "ww", "network": "internal"}, "Invalid networks"),
        ({"name": "ww", "tags": {"a": 5}}, "Invalid tags"),
        ({"name": "!"}, "invalid value for name"),
    ):
        assert words in run("sdc_volume", expect="fail", **arguments).msg
    assert not run("sdc_volume", id=UNKNOWN, state="absent")["changed"]


def test_volume_that_never_gets_ready(shared_cloud, run, monkeypatch):
    go_on = threading.Event()

    async def stuck(_self, _ident):
        await asyncio.to_thread(go_on.wait, 60)

    monkeypatch.setattr(type(shared_cloud.compute), "create_volume", stuck)
    failed = run("sdc_volume", expect="fail", name="late", wait_timeout=1)
    assert "still creating after 1 s" in failed.msg
    go_on.set()
    adopted = run("sdc_volume", name="late")
    assert not adopted["changed"] and adopted["volume"]["state"] == "ready"
    assert run("sdc_volume", name="late", state="absent")["changed"]


def test_volume_whose_creation_fails(shared_cloud, run, monkeypatch):
    from localdc.api.compute import ComputeError

    async def broken(_self, _ident):
        raise ComputeError("disk full")

    monkeypatch.setattr(type(shared_cloud.compute), "create_volume", broken)
    failed = run("sdc_volume", expect="fail", name="broken")
    assert "failed instead of being ready" in failed.msg
