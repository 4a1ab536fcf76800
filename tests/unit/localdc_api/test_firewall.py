"""Zones follow the firewall rules even when they could not be told at first."""

from __future__ import annotations

import time

import pytest

from localdc.api.compute import ComputeError
from localdc.api.records import RecordsCompute


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
