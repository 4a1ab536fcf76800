"""Firewall rules in the words of nft."""

from __future__ import annotations

import pytest

from localdc.api.compute import FirewallRule
from localdc.zones.packetfilter import ruleset

BASE = ruleset(()).splitlines()


def lines(*rule):
    """What a rule adds to those of every zone."""
    left = list(BASE)
    return [line for line in ruleset((FirewallRule(*rule),)).splitlines()
            if line not in left or left.remove(line)]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (("in", "allow", "tcp", ("10.0.0.1/32",), ((22, 22), (1, 30), (80, 81))),
         ["ip saddr { 10.0.0.1/32 } tcp dport { 1-30, 80-81 } accept"]),
        (("out", "block", "udp", None), ["meta l4proto udp drop"]),
        (("in", "allow", "icmp", None, (), ((8, 0), (3, None))),
         ["icmp type 8 icmp code 0 accept", "icmp type 3 accept"]),
        (("in", "allow", "esp", ("10.0.0.0/8", "10.1.0.0/16")),
         ["ip saddr { 10.0.0.0/8 } meta l4proto esp accept"]),
        (("out", "block", "ah", None), ["meta l4proto ah drop"]),
        (("in", "allow", "tcp", ("fd00::1/128", "10.0.0.1/32"), ((22, 22),)),
         ["ip saddr { 10.0.0.1/32 } tcp dport { 22 } accept"]),
        # zones have no address of IPv6
        (("in", "allow", "tcp", ("fd00::/64",), ((22, 22),)), []),
        (("in", "allow", "icmp6", None, (), ((128, 0),)), []),
    ],
)  # fmt: skip
def test_a_rule(rule, expected):
    assert lines(*rule) == expected
