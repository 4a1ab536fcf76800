"""CNS from inside the machines: what the C library of a zone makes of the names."""

from __future__ import annotations

import os
import signal

import pytest
from smartdc import Machine

from embedded.center import Center, alive, eventually

DOMAIN = "localdc.cns.local"


def resolved(center: Center, machine: Machine, name: str) -> set[str]:
    """What getaddrinfo(3) says in the machine; nothing for an unknown name."""
    out = center.ssh(machine.public_ips[0], f"getent hosts {name}; true")
    return {line.split()[0] for line in out.splitlines()}


def test_machines_find_each_other_by_name(center: Center, pair: tuple[Machine, Machine]) -> None:
    first, second = pair
    servers = center.ssh(first.public_ips[0], "cat /etc/resolv.conf; mdata-get sdc:resolvers")
    assert "nameserver 100.64.0.1" in servers
    assert '["100.64.0.1", "10.99.0.1"]' in servers
    private = f"beta.inst.localdc.{DOMAIN}"
    assert resolved(center, first, private) == set(second.private_ips)
    assert resolved(center, first, "beta.inst.localdc.localdc.triton.local") == set(
        second.public_ips
    )
    script = f"/opt/local/gnu/bin/timeout 5 ssh-keyscan -t ed25519 {private} 2>/dev/null"
    assert private in center.ssh(first.public_ips[0], script)


def test_a_service_is_its_running_machines(center: Center, pair: tuple[Machine, Machine]) -> None:
    first, second = pair
    service = f"engines.svc.localdc.{DOMAIN}"
    for machine in pair:
        machine.add_tags({"triton.cns.services": "engines:7000"})
    both = {*first.private_ips, *second.private_ips}
    eventually(lambda: resolved(center, first, service) == both)
    second.stop()
    second.poll_until("stopped", interval=0.3, timeout=60)
    try:
        assert resolved(center, first, service) == set(first.private_ips)
        assert resolved(center, first, f"beta.inst.localdc.{DOMAIN}") == set(second.private_ips)
    finally:
        second.start()
        second.poll_until("running", interval=0.3, timeout=60)
    assert resolved(center, first, service) == both


def datagrams(center: Center, where: str) -> tuple[int, int]:
    """How many UDP datagrams the machine has sent and received."""
    text = center.ssh(where, "cat /proc/net/snmp")
    names, values = (line.split() for line in text.splitlines() if line.startswith("Udp:"))
    counted = dict(zip(names, values, strict=True))
    return int(counted["OutDatagrams"]), int(counted["InDatagrams"])


@pytest.mark.parametrize("name", ["www.example.com", f"nobody.inst.localdc.{DOMAIN}", "nobody"])
def test_unknown_names_fail_at_once(
    center: Center, pair: tuple[Machine, Machine], name: str
) -> None:
    where = pair[0].public_ips[0]
    before = datagrams(center, where)
    assert center.ssh(where, f"getent hosts {name} || echo none") == "none\n"
    after = datagrams(center, where)
    sent, received = (now - then for now, then in zip(after, before, strict=True))
    # a query without an answer costs 5 s, resolv.conf(5)
    assert sent == received > 0


def test_names_survive_the_death_of_the_daemon(fresh: Center) -> None:
    (machine,) = fresh.create("gamma")
    name = f"gamma.inst.localdc.{DOMAIN}"
    assert resolved(fresh, machine, name) == set(machine.private_ips)
    pid = fresh.process()["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid))
    fresh.run("start")
    assert resolved(fresh, machine, name) == set(machine.private_ips)
