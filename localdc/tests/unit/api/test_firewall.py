"""Firewall rules, which zones follow even when they could not be told at first."""

from __future__ import annotations

import time

import pytest

from localdc.api.compute import ComputeError
from localdc.api.engine.records_only import RecordsCompute

from .harness import error


class Stubborn(RecordsCompute):
    """Cannot change the packet filter of the zones in `refuse`."""

    def __init__(self):
        super().__init__()
        self.refuse = set()
        self.calls = 0

    async def set_firewall(self, uuid, firewall):
        self.calls += 1
        if uuid in self.refuse:
            raise ComputeError("nft: device or resource busy")
        await super().set_firewall(uuid, firewall)


@pytest.fixture
def dc(start):
    return start(firewall=True, compute=Stubborn())


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def add_rule(dc, port):
    rule = f"FROM any TO all vms ALLOW tcp PORT {port}"
    assert dc.post("/my/fwrules", json={"rule": rule, "enabled": True}).status_code == 201
    dc.settle()


def test_a_failed_change_is_tried_again_until_it_is_made(dc):
    web, db = (dc.create(name, firewall_enabled=True) for name in ("web", "db"))
    dc.compute.refuse = {web}
    add_rule(dc, 80)
    # neither the other machine nor any call waits for the one that fails
    assert len(dc.compute.firewalls[db]) == 1
    assert dc.compute.firewalls[web] == ()
    until(lambda: dc.compute.calls >= 3)
    assert dc.compute.firewalls[web] == ()
    dc.compute.refuse = set()
    until(lambda: len(dc.compute.firewalls[web]) == 1)
    calls = dc.compute.calls
    add_rule(dc, 81)
    assert len(dc.compute.firewalls[web]) == len(dc.compute.firewalls[db]) == 2
    # what is known is not told again: one call for each machine
    assert dc.compute.calls == calls + 2


def test_a_firewall_that_could_not_be_taken_away_goes_later(dc):
    web = dc.create("web", firewall_enabled=True)
    dc.compute.refuse = {web}
    dc.act(web, "disable_firewall")
    assert dc.compute.firewalls[web] == ()
    dc.compute.refuse = set()
    until(lambda: dc.compute.firewalls[web] is None)


def test_a_zone_that_never_takes_it_does_not_keep_the_data_center_from_stopping(dc):
    web = dc.create("web", firewall_enabled=True)
    dc.compute.refuse = {web}
    add_rule(dc, 80)
    until(lambda: dc.compute.calls >= 2)
    dc.stop()
    assert dc.compute.firewalls[web] == ()
    # the pauses grow
    assert dc.compute.calls < 10


def test_firewall_rules_follow_the_machines(start):
    dc = start(firewall=True)
    web = dc.create("web", firewall_enabled=True, **{"tag.role": "web"})
    rules = "/my/fwrules"
    bad = dc.post(rules, json={"rule": "FROM any TO any ALLOW tcp PORT 80"})
    assert error(bad)[:2] == (422, "InvalidParameters")
    assert bad.json()["errors"][0]["field"] == "rule"
    assert error(dc.post(rules, json={}))[:2] == (409, "MissingParameter")
    plain = f"FROM any TO vm {web} ALLOW tcp PORT 80"
    made = dc.post(rules, json={"rule": plain})
    rule = made.json()
    assert made.status_code == 201
    assert rule == {"id": rule["id"], "rule": plain, "enabled": False, "log": False}
    dc.settle()
    assert dc.compute.firewalls[web] == ()
    assert dc.post(f"{rules}/{rule['id']}/enable").json()["enabled"] is True
    dc.settle()
    assert [r.ports for r in dc.compute.firewalls[web]] == [((80, 80),)]
    assert [m["id"] for m in dc.get(f"{rules}/{rule['id']}/machines").json()] == [web]
    assert dc.get(f"/my/machines/{web}/fwrules").json()[0]["id"] == rule["id"]

    tagged = 'FROM tag "role" = "db" TO tag "role" = "web" ALLOW tcp PORT 5432'
    dc.post(rules, json={"rule": tagged, "enabled": True})
    dc.settle()
    assert len(dc.compute.firewalls[web]) == 1
    db = dc.create("db", **{"tag.role": "db"})
    peers = [r.peers for r in dc.compute.firewalls[web] if r.ports == ((5432, 5432),)]
    assert peers == [tuple(sorted(dc.machine(db)["ips"]))]
    dc.put(f"/my/machines/{db}/tags", json={"role": "other"})
    dc.settle()
    assert len(dc.compute.firewalls[web]) == 1
    dc.act(web, "disable_firewall")
    assert dc.compute.firewalls[web] is None
    dc.act(web, "enable_firewall")
    assert len(dc.compute.firewalls[web]) == 1
    dc.act(web, "reboot")
    assert len(dc.compute.firewalls[web]) == 1
    assert dc.delete(f"{rules}/{rule['id']}").status_code == 204
    dc.settle()
    assert dc.compute.firewalls[web] == ()
    assert error(dc.get(f"{rules}/{rule['id']}"))[:2] == (404, "ResourceNotFound")


def test_what_is_no_rule_is_refused(dc):
    """sdc-fwapi, lib/endpoints/rules/index.js, `createParamErr`, in the words of sdc-fwrule."""
    rule = {"rule": "FROM any TO tag a.b ALLOW tcp PORT 22"}
    words = "Error at character 17: '.b ALLOW tcp PORT 22', found: unexpected text"
    answer = dc.post("/my/fwrules", json=rule)
    assert error(answer) == (422, "InvalidParameters", f"rule: {words}")
    assert answer.json()["errors"] == [
        {"field": "rule", "code": "InvalidParameter", "message": words}
    ]
    made = dc.post("/my/fwrules", json={"rule": "FROM any TO all vms ALLOW ah"}).json()
    assert error(dc.post(f"/my/fwrules/{made['id']}", json=rule))[0] == 422
    assert [kept["rule"] for kept in dc.get("/my/fwrules").json()] == [made["rule"]]


def test_rules_of_every_protocol_reach_the_zones(dc):
    web = dc.create("web", firewall_enabled=True)
    for what in ("ah", "esp", "icmp6 TYPE 128", "icmp TYPE all"):
        rule = {"rule": f"FROM any TO all vms ALLOW {what}", "enabled": True}
        assert dc.post("/my/fwrules", json=rule).json()["rule"] == rule["rule"]
    rule = {"rule": "FROM (ip fd00::1 OR ip 10.0.0.1) TO any BLOCK udp PORT 1", "enabled": True}
    assert error(dc.post("/my/fwrules", json=rule))[2] == "rule: rule does not affect VMs"
    dc.settle()
    told = {rule.protocol: rule.peers for rule in dc.compute.firewalls[web]}
    assert told == dict.fromkeys(("ah", "esp", "icmp6", "icmp"))
