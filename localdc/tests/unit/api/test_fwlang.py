"""The language of firewall rules, against what sdc-fwrule 2.1.1 makes of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from localdc.api.engine.firewall import resolve
from localdc.api.engine.fwlang import RuleError, parse
from localdc.api.model import Machine, NicRecord

REPOSITORY = Path(__file__).resolve().parents[4]
CORPUS = Path(os.environ.get("FWRULES_CORPUS") or REPOSITORY.parent / "shared/corpus/fwrules.json")
UUID = "3f1ea3b0-7d0a-4b1c-8f0e-2f5f0f0f0f01"


def verdict(text):
    try:
        return {"rule": text, "text": parse(text).text()}
    except RuleError as error:
        return {"rule": text, "refused": str(error)}


@pytest.mark.skipif(not CORPUS.exists(), reason=f"no rules at {CORPUS}; set FWRULES_CORPUS")
def test_rules_are_understood_as_the_original_does():
    corpus = json.loads(CORPUS.read_text())
    wrong = [(entry, verdict(entry["rule"])) for entry in corpus if verdict(entry["rule"]) != entry]
    assert len(corpus) > 150 and wrong == []
    for entry in corpus:
        if "text" in entry:
            assert verdict(entry["text"])["text"] == entry["text"]


@pytest.mark.parametrize(
    ("sides", "normal"),
    [
        ("(any) TO (all vms)", "any TO all vms"),
        (f"any TO vm {UUID}", None),
        ("any TO tag role=web", 'any TO tag "role" = "web"'),
        ("tag a-b TO tag c_1 = 10", 'tag "a-b" TO tag "c_1" = "10"'),
        ("(tag b OR tag a = y or tag a = x OR tag b = z) TO any",
         '(tag "a" = "x" OR tag "a" = "y" OR tag "b") TO any'),
        (f"(vm {UUID} OR tag t OR subnet fd00::/64 OR ip ::1 OR ip 10.0.0.9 OR ip 10.0.0.10)"
         "\nTO any",
         f'(ip 10.0.0.10 OR ip 10.0.0.9 OR ip ::1 OR subnet fd00::/64 OR tag "t" OR vm {UUID})'
         " TO any"),
        ("subnet 010.0.0.0/08 TO all vms", None),
        ("subnet 1:2:3:4:5:6:7:8/128 TO all vms", None),
        (r'any TO tag "\"\\\/\(\)(\b\f\n\r\t"', r'any TO tag "\"\\/\(\)\(\b\f\n\r\t"'),
        ('any TO tag "\\u0041\\u000b\u00a0\u2003\ufeff"',
         'any TO tag "A\\u000B\\u00A0\\u2003\\uFEFF"'),
        # as JavaScript sorts: by units of UTF-16
        ('any TO (tag "\uff01" OR tag "\U0001f600" OR tag "\\ud83d\\ude01")',
         'any TO (tag "\U0001f600" OR tag "\U0001f601" OR tag "\uff01")'),
    ],
)  # fmt: skip
def test_targets_are_normalised_once(sides, normal):
    written = parse(f"FROM {sides} ALLOW tcp PORT 22").text()
    assert written == f"FROM {normal or sides} ALLOW tcp PORT 22"
    assert parse(written).text() == written


@pytest.mark.parametrize(
    ("what", "normal"),
    [
        ("allow TCP port 0080", "ALLOW tcp PORT 80"),
        ("BLOCK udp (PORT all)", "BLOCK udp PORT all"),
        ("ALLOW tcp (PORT 443 AND PORT 80 AND PORT 80)",
         "ALLOW tcp (PORT 80 AND PORT 80 AND PORT 443)"),
        ("ALLOW tcp PORTS 80, 22", "ALLOW tcp (PORT 22 AND PORT 80)"),
        ("ALLOW tcp PORTS 1-5, 8 ,3 -4,20 - 20",
         "ALLOW tcp PORTS 1 - 5, 3 - 4, 8, 20 - 20"),
        ("BLOCK icmp TYPE 8 CODE 0", None),
        ("ALLOW icmp (TYPE all) PRIORITY 0", "ALLOW icmp TYPE all"),
        ("ALLOW icmp6 (TYPE 8 AND TYPE 3 AND TYPE 8)",
         "ALLOW icmp6 (TYPE 3 AND TYPE 8 AND TYPE 8)"),
        ("ALLOW icmp (TYPE 3 CODE 4 AND TYPE 3 CODE 1 AND TYPE 0)",
         "ALLOW icmp (TYPE 0 AND TYPE 3 CODE 1 AND TYPE 3 CODE 4)"),
        # one with a code is not put before or after one without
        ("ALLOW icmp6 (TYPE 8 AND TYPE 3 CODE 4 AND TYPE 3)", None),
        ("ALLOW ah", None),
        ("BLOCK ESP PRIORITY 007", "BLOCK esp PRIORITY 7"),
    ],
)  # fmt: skip
def test_protocols_are_normalised_once(what, normal):
    written = parse(f"FROM any TO all vms {what}").text()
    assert written == f"FROM any TO all vms {normal or what}"
    assert parse(written).text() == written


MANY = " OR ".join(f"ip 10.0.0.{number}" for number in range(1, 26))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "No rule specified"),
        (" \n", "Error at character 0: '', expected: 'FROM', found: EOF"),
        ("From any", "Error at character 0: 'From', expected: 'FROM', found: word"),
        ("FROM x", "Error at character 4: 'x', expected: "
         "'(', 'all', 'any', 'ip', 'subnet', 'vm', 'tag', found: word"),
        ("FROM\nany\n", "Error at character 3: '', expected: 'TO', 'BLOCK', 'ALLOW', found: EOF"),
        ("FROM ip 1.2.3.4 ALLOW", "Error at character 15: 'ALLOW', expected: 'TO', found: ALLOW"),
        ("FROM tag a = b =", "Error at character 14: '=', expected: "
         "'TO', ')', 'OR', 'BLOCK', 'ALLOW', found: ="),
        ('FROM tag "x ALLOW tcp', "Error at character 9: '\"x ALLOW tcp', found: unexpected text"),
        ("FROM tag an-extremely-long-name ;", "Error at character 23: ';', found: unexpected text"),
        ("FROM tag \U0001f600", "Error at character 9: '\U0001f600', found: unexpected text"),
        # the lexer takes the first word that fits: `ip`, not `ip-range`
        ("FROM tag ip-range", "Error at character 8: 'ip', expected: 'WORD', 'STRING', found: IP"),
        ("FROM any TO any ALLOW tcp PORT 80", "rule does not affect VMs"),
        ("FROM ip 1.2.3 TO all vms ALLOW tcp PORT 80",
         "Error at character 7: '1', expected: 'IPV4ADDR', 'IPV6ADDR', found: word"),
        ("FROM ip 1.2.3.256 TO all vms ALLOW tcp PORT 80", 'IPv4 address "1.2.3.256" is invalid'),
        ("FROM ip 1::2::3 TO all vms ALLOW tcp PORT 80", 'IPv6 address "1::2::3" is invalid'),
        ("FROM subnet 1.2.3.256/8 TO all vms ALLOW tcp PORT 80",
         'Subnet "1.2.3.256/8" is invalid (bad address component)'),
        ("FROM subnet 1:::/16 TO all vms ALLOW tcp PORT 80",
         'Subnet "1:::/16" is invalid (bad address component)'),
        ("FROM subnet fd00::/129 TO all vms ALLOW tcp PORT 80",
         'Subnet "fd00::/129" is invalid (bad prefix length)'),
        ("FROM subnet fd00::1/64 TO all vms ALLOW tcp PORT 80",
         'Subnet "fd00::1/64" is invalid (bits set to right of mask)'),
        (f"FROM any TO vm {UUID.upper()} ALLOW tcp PORT 80", f'UUID "{UUID.upper()}" is invalid'),
        ("FROM any TO all vms ALLOW tcp PORT 0", 'Port number "0" is invalid'),
        ("FROM any TO all vms ALLOW tcp PORT 0 0", "Error at character 36: '0', expected: "
         "'EOF', 'PRIORITY', ')', 'AND', found: word"),
        ("FROM any TO all vms ALLOW tcp PORTS 9 - 3",
         "The end of the range (3) cannot be less than the start (9)"),
        ("FROM any TO all vms ALLOW tcp PORTS 1-2-3",
         '"1-2-3" is not a valid port number or range'),
        ("FROM any TO all vms ALLOW icmp TYPE 1 CODE 256", 'ICMP code "256" is invalid'),
        ("FROM any TO all vms ALLOW esp PRIORITY x", 'Priority level "x" is invalid'),
        ("FROM ip ::1 TO all vms ALLOW icmp TYPE 8",
         "rule affects ICMPv4 but contains a non-IPv4 address"),
        ("FROM subnet 10.0.0.0/8 TO all vms ALLOW icmp6 TYPE 8",
         "rule affects ICMPv6 but contains a non-IPv6 subnet"),
        (f"FROM ({MANY}) TO all vms ALLOW ah", "maximum of 24 targets allowed per side"),
        (f"FROM any TO all vms ALLOW udp PORTS {', '.join(['1'] * 25)}",
         "maximum of 24 ports allowed"),
        (f"FROM any TO all vms ALLOW icmp ({' AND '.join(['TYPE 1'] * 25)})",
         "maximum of 24 types allowed"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_in_the_words_of_the_original(text, message):
    """What src/fwrule.jison, made by jison 0.4.2, and lib/rule.js say of these."""
    assert verdict(text) == {"rule": text, "refused": message}


def machine(number, **tags):
    nic = NicRecord("m", f"100.64.0.{number}", "255.0.0.0", 8, None, "n", True)
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
        ("in", "allow", ("100.64.0.1",)),
        ("in", "block", None),
    ]
    assert {(r.direction, r.action, r.peers) for r in resolve(rules, web, machines)} == {
        ("out", "allow", ("100.64.0.2",)),
        ("in", "block", None),
    }
    assert resolve(rules, other, machines) == ()


def test_addresses_are_those_that_packets_have():
    rule = parse(
        "FROM (subnet 010.0.0.0/08 OR ip 10.9.0.1 OR ip fd00::1) TO all vms ALLOW tcp PORT 1"
    )
    (told,) = resolve([rule], machine(1), [])
    assert told.peers == ("10.0.0.0/8", "10.9.0.1/32", "fd00::1/128") and told.ports == ((1, 1),)
