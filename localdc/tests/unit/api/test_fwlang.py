"""The language of firewall rules."""

import pytest

from localdc.api.engine.firewall import resolve
from localdc.api.engine.fwlang import RuleError, parse
from localdc.api.model import Machine, NicRecord

UUID = "3f1ea3b0-7d0a-4b1c-8f0e-2f5f0f0f0f01"


@pytest.mark.parametrize(
    "text, normal",
    [
        (f"FROM any TO vm {UUID} ALLOW tcp PORT 80", None),
        (
            "from any to tag role=web allow TCP port 80",
            'FROM any TO tag "role" = "web" ALLOW tcp PORT 80',
        ),
        ('FROM tag "a b" TO all vms BLOCK udp PORT all', None),
        ("FROM all vms TO any BLOCK icmp TYPE 8 CODE 0", None),
        ("FROM any TO all vms ALLOW icmp TYPE all", None),
        ("FROM any TO all vms ALLOW icmp (TYPE 8 AND TYPE 3 CODE 4)", None),
        ("FROM (ip 10.0.0.1 OR subnet 10.1.0.0/16) TO all vms ALLOW tcp PORT 80", None),
        ("FROM any TO all vms ALLOW tcp (PORT 80 AND PORT 443)", None),
        (
            "FROM any TO all vms ALLOW tcp PORTS 1-5, 8 ,20 - 30",
            "FROM any TO all vms ALLOW tcp PORTS 1 - 5, 8, 20 - 30",
        ),
        (
            "FROM any TO tag role ALLOW tcp PORT 22 PRIORITY 7",
            'FROM any TO tag "role" ALLOW tcp PORT 22 PRIORITY 7',
        ),
        (r'FROM any TO tag "q\"x" = "y" ALLOW tcp PORT 22', None),
    ],
)
def test_rules_are_normalised_once(text, normal):
    written = parse(text).text()
    assert written == (normal or text)
    assert parse(written).text() == written


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected 'FROM'"),
        ("FROM any TO any ALLOW tcp PORT 80", "at least one side"),
        ("FROM ip 1.2.3 TO all vms ALLOW tcp PORT 80", "not an IPv4 address"),
        ("FROM subnet 10.0.0.0 TO all vms ALLOW tcp PORT 80", "not a subnet"),
        ("FROM any TO vm web ALLOW tcp PORT 80", "not the id of a machine"),
        ("FROM any TO all vms PERMIT tcp PORT 80", "one of ALLOW, BLOCK"),
        ("FROM any TO all vms ALLOW sctp PORT 80", "one of tcp, udp, icmp"),
        ("FROM any TO all vms ALLOW tcp PORT 0", "port must be 1 to 65535"),
        ("FROM any TO all vms ALLOW tcp PORT 70000", "port must be 1 to 65535"),
        ("FROM any TO all vms ALLOW tcp PORTS 9 - 3", "ends before it begins"),
        ("FROM any TO all vms ALLOW tcp", "the rule ends there"),
        ("FROM any TO all vms ALLOW icmp TYPE 300", "ICMP type must be"),
        ("FROM any TO all vms ALLOW tcp PORT 80 now", "end of the rule"),
        ("FROM any TO all vms ALLOW tcp PORT 80 PRIORITY 101", "priority must be"),
        ('FROM any TO tag "x ALLOW tcp PORT 80', "closing quote"),
        ("FROM (any OR ip 10.0.0.1) TO all vms ALLOW tcp PORT 80", "stand alone"),
    ],
)
def test_what_is_no_rule_is_explained(text, message):
    with pytest.raises(RuleError, match=message):
        parse(text)


def machine(number, **tags):
    nic = NicRecord("m", f"10.88.0.{number}", "255.0.0.0", 8, None, "n", True)
    fields = dict.fromkeys(("image", "package", "brand", "type", "created", "updated"), "")
    fields |= {"uuid": f"{number}", "account": "a", "name": f"m{number}", "state": "running"}
    return Machine(memory=1, disk=1, requested=[], nics=[nic], tags=tags, **fields)


def test_rules_become_addresses_in_the_order_that_decides():
    web, db, other = machine(1, role="web"), machine(2, role="db", n=True), machine(3)
    rules = [
        parse("FROM any TO tag role BLOCK tcp PORT 5432"),
        parse("FROM tag role = web TO tag role = db ALLOW tcp PORT 5432"),
        parse("FROM tag n = true TO any BLOCK udp PORT all PRIORITY 2"),
    ]
    machines = [web, db, other]
    told = resolve(rules, db, machines)
    assert [(r.direction, r.action, r.peers) for r in told] == [
        ("out", "block", None),
        ("in", "allow", ("10.88.0.1",)),
        ("in", "block", None),
    ]
    assert {(r.direction, r.action, r.peers) for r in resolve(rules, web, machines)} == {
        ("out", "allow", ("10.88.0.2",)),
        ("in", "block", None),
    }
    assert resolve(rules, other, machines) == ()
