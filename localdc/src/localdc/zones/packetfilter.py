"""Firewall rules as nftables sees them, in the network namespace of a zone.

root of a zone has no capability over its network, so it cannot change them.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Network, collapse_addresses, ip_network

from localdc.api.compute import Firewall, FirewallRule

TABLE = "inet cloud_firewall"
SECONDS = 20


class FilterError(Exception):
    """nft refused; the message is its own."""


def program() -> str | None:
    """The path of nft; None when it is not installed."""
    return shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")


def ruleset(firewall: Firewall | None) -> str:
    """What `nft -f -` makes of the rules in one transaction; None removes them all."""
    lines = [f"table {TABLE} {{ }}", f"delete table {TABLE}"]
    if firewall is None:
        return "\n".join(lines) + "\n"
    lines += [f"table {TABLE} {{", "chain incoming {"]
    lines += ["type filter hook input priority 0; policy drop;", 'iif "lo" accept']
    lines += ["ct state established,related accept"]
    lines += [line for rule in firewall if rule.direction == "in" for line in _lines(rule)]
    lines += ["icmp type echo-request icmp code 0 accept", "}", "chain outgoing {"]
    lines += ["type filter hook output priority 0; policy accept;", 'oif "lo" accept']
    lines += ["ct state established,related accept"]
    lines += [line for rule in firewall if rule.direction == "out" for line in _lines(rule)]
    return "\n".join([*lines, "}", "}"]) + "\n"


def masquerade(inside: str, outside: str) -> str:
    """Rules of a router: what comes from `inside` leaves through `outside`, answers come back."""
    return f"""
table {TABLE} {{
chain incoming {{
type filter hook input priority 0; policy drop;
ct state established,related accept
icmp type echo-request icmp code 0 accept
}}
chain forward {{
type filter hook forward priority 0; policy drop;
iifname "{inside}" oifname "{outside}" accept
ct state established,related accept
}}
}}
table ip cloud_nat {{
chain outgoing {{
type nat hook postrouting priority 100; policy accept;
oifname "{outside}" masquerade
}}
}}
"""


def _lines(rule: FirewallRule) -> Iterator[str]:
    """A rule in nft's words: nothing for IPv6, of which zones have no addresses."""
    if rule.protocol == "icmp6":
        return
    side = "saddr" if rule.direction == "in" else "daddr"
    verdict = "accept" if rule.action == "allow" else "drop"
    peers = ""
    if rule.peers is not None:
        networks = [n for n in map(ip_network, rule.peers) if isinstance(n, IPv4Network)]
        if not networks:
            return
        # A set must not name an address twice, not even within a subnet.
        peers = f"ip {side} {{ {', '.join(map(str, collapse_addresses(networks)))} }} "
    if rule.protocol != "icmp":
        ports = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in _merged(rule.ports))
        what = f"{rule.protocol} dport {{ {ports} }}" if ports else f"meta l4proto {rule.protocol}"
        yield f"{peers}{what} {verdict}"
    elif not rule.types:
        yield f"{peers}meta l4proto icmp {verdict}"
    for kind, code in rule.types:
        exactly = "" if code is None else f" icmp code {code}"
        yield f"{peers}icmp type {kind}{exactly} {verdict}"


def _merged(ranges: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """The same ports in ranges that do not overlap."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def apply(rules: str) -> None:
    """Put the rules in force in the network namespace of the calling thread.

    Raises FilterError.
    """
    path = program()
    if path is None:
        raise FilterError("nft is not installed. As root: apt-get install nftables")
    done = subprocess.run(
        [path, "-f", "-"],
        input=rules,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise FilterError(f"nft: {done.stderr.strip()}")
