"""The normal form of firewall rules, against what sdc-fwrule 2.1.1 makes of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from smartdc.errors import UsageError
from smartdc.firewall import key, normalise

REPOSITORY = Path(__file__).resolve().parents[3]
CORPUS = Path(os.environ.get("FWRULES_CORPUS") or REPOSITORY.parent / "shared/corpus/fwrules.json")
UUID = "3f1ea3b0-7d0a-4b1c-8f0e-2f5f0f0f0f01"


def verdict(rule):
    try:
        return {"rule": rule, "text": normalise(rule)}
    except UsageError as error:
        return {"rule": rule, "refused": str(error)}


@pytest.mark.skipif(not CORPUS.exists(), reason=f"no rules at {CORPUS}; set FWRULES_CORPUS")
def test_rules_are_normalised_and_refused_as_by_the_data_center():
    corpus = json.loads(CORPUS.read_text())
    wrong = [(entry, verdict(entry["rule"])) for entry in corpus if verdict(entry["rule"]) != entry]
    assert len(corpus) > 150 and wrong == []
    texts = {entry["text"] for entry in corpus if "text" in entry}
    assert {normalise(text) for text in texts} == texts


@pytest.mark.parametrize(
    ("rule", "normal"),
    [
        ("from (any) to (all vms) allow AH", "FROM any TO all vms ALLOW ah"),
        (f"FROM (vm {UUID} OR tag b OR tag a=y or tag a=x OR tag b=z OR subnet fd00::/64 OR ip ::1)"
         "\nTO any BLOCK tcp PORTS 20 - 20, 3-4,080 PRIORITY 007",
         'FROM (ip ::1 OR subnet fd00::/64 OR tag "a" = "x" OR tag "a" = "y" OR tag "b" OR '
         f"vm {UUID}) TO any BLOCK tcp PORTS 3 - 4, 20 - 20, 80 PRIORITY 7"),
        ("FROM subnet 010.0.0.0/08 TO all vms ALLOW udp PORTS 80,22,80",
         "FROM subnet 010.0.0.0/08 TO all vms ALLOW udp (PORT 22 AND PORT 80 AND PORT 80)"),
        (r'FROM any TO tag "\u0041\"\\\/(\n" ALLOW tcp (PORT all)',
         r'FROM any TO tag "A\"\\/\(\n" ALLOW tcp PORT all'),
        ('FROM any TO (tag "\uff01" OR tag "\\ud83d\\ude00" = "\u00a0") ALLOW icmp TYPE all',
         'FROM any TO (tag "\U0001f600" = "\\u00A0" OR tag "\uff01") ALLOW icmp TYPE all'),
        ("FROM any TO all vms ALLOW icmp (TYPE 3 CODE 4 AND TYPE 3 CODE 1 AND TYPE 0)",
         "FROM any TO all vms ALLOW icmp (TYPE 0 AND TYPE 3 CODE 1 AND TYPE 3 CODE 4)"),
        ("FROM any TO all vms ALLOW icmp6 (TYPE 8 AND TYPE 3 CODE 4 AND TYPE 3)",
         "FROM any TO all vms ALLOW icmp6 (TYPE 8 AND TYPE 3 CODE 4 AND TYPE 3)"),
    ],
)  # fmt: skip
def test_the_normal_form(rule, normal):
    assert normalise(rule) == normalise(normal) == normal


MANY = " OR ".join(f"ip 10.0.0.{number}" for number in range(1, 26))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "No rule specified"),
        ("From any", "Error at character 0: 'From', expected: 'FROM', found: word"),
        ("FROM\nany\n", "Error at character 3: '', expected: 'TO', 'BLOCK', 'ALLOW', found: EOF"),
        ("FROM tag a = b =", "Error at character 14: '=', expected: "
         "'TO', ')', 'OR', 'BLOCK', 'ALLOW', found: ="),
        ("FROM tag ip-range", "Error at character 8: 'ip', expected: 'WORD', 'STRING', found: IP"),
        ("FROM tag an-extremely-long-name ;", "Error at character 23: ';', found: unexpected text"),
        ("FROM any TO any ALLOW ah", "rule does not affect VMs"),
        ("FROM ip 1.2.3.256 TO all vms ALLOW ah", 'IPv4 address "1.2.3.256" is invalid'),
        ("FROM ip 1::2::3 TO all vms ALLOW ah", 'IPv6 address "1::2::3" is invalid'),
        ("FROM subnet 1.2.3.256/8 TO all vms ALLOW ah",
         'Subnet "1.2.3.256/8" is invalid (bad address component)'),
        ("FROM subnet fd00::/129 TO all vms ALLOW ah",
         'Subnet "fd00::/129" is invalid (bad prefix length)'),
        ("FROM subnet fd00::1/64 TO all vms ALLOW ah",
         'Subnet "fd00::1/64" is invalid (bits set to right of mask)'),
        (f"FROM any TO vm {UUID.upper()} ALLOW ah", f'UUID "{UUID.upper()}" is invalid'),
        ("FROM any TO all vms ALLOW tcp PORT 0", 'Port number "0" is invalid'),
        ("FROM any TO all vms ALLOW tcp PORTS 9 - 3",
         "The end of the range (3) cannot be less than the start (9)"),
        ("FROM any TO all vms ALLOW tcp PORTS 1-2-3",
         '"1-2-3" is not a valid port number or range'),
        ("FROM any TO all vms ALLOW icmp TYPE 1 CODE 256", 'ICMP code "256" is invalid'),
        ("FROM any TO all vms ALLOW esp PRIORITY x", 'Priority level "x" is invalid'),
        ("FROM ip ::1 TO all vms ALLOW icmp TYPE 8",
         "rule affects ICMPv4 but contains a non-IPv4 address"),
        (f"FROM ({MANY}) TO all vms ALLOW ah", "maximum of 24 targets allowed per side"),
        (f"FROM any TO all vms ALLOW icmp ({' AND '.join(['TYPE 1'] * 25)})",
         "maximum of 24 types allowed"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_in_the_words_of_the_data_center(rule, message):
    assert verdict(rule) == {"rule": rule, "refused": message}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('tag "a" ALLOW tcp PORTS 1 - 65535, 80', "tag a ALLOW tcp PORT all"),
        ("tag a ALLOW tcp PORTS 80 - 80", "tag a ALLOW tcp PORT 80"),
        ("(tag a = \"\" OR tag a = b) ALLOW ah", "tag a ALLOW ah"),
        ("tag a ALLOW icmp (TYPE 8 AND TYPE 3 CODE 4)",
         "tag a ALLOW icmp (TYPE 3 CODE 4 AND TYPE 8)"),
    ],
)  # fmt: skip
def test_rules_that_are_one_in_storage(one, other):
    one, other = f"FROM any TO {one}", f"FROM any TO {other}"
    assert normalise(one) != normalise(other) and key(one) == key(other)


def test_rules_that_are_not_one():
    rules = [
        f"FROM any TO tag a{value} {action} {what}"
        for value in ("", " = b")
        for action in ("ALLOW", "BLOCK")
        for what in ("ah", "esp", "tcp PORT 1", "tcp PORTS 1-2", "tcp (PORT 1 AND PORT 2)",
                     "icmp TYPE 1", "icmp TYPE 1 CODE 2", "icmp6 TYPE 1", "ah PRIORITY 1")
    ]  # fmt: skip
    assert len({key(rule) for rule in rules}) == len(rules)
    assert key("of another language") == "of another language"
