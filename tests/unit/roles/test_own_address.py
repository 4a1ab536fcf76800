"""Where a controller listens by default: in its zone, and as the user's machine works it out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..modules.modules_support import load
from .method_zone import MethodZone
from .shells import SHELLS

# records the controller; the probe for its heartbeat then finds that it has ended
RECORDER = """#!/bin/sh
case $1 in
-I)
    case $* in *secrets*) exit ;; esac
    until [ -e "$FAKE/arguments" ]; do sleep 0.05; done
    exit 2 ;;
esac
printf '%s\\n' "$@" >"$FAKE/arguments.new" && mv "$FAKE/arguments.new" "$FAKE/arguments"
"""
# what CloudAPI lists as ips, in the order of the interfaces, and the address among them
MACHINES = [
    (["203.0.113.9", "10.99.0.11"], "10.99.0.11"),
    (["10.99.0.11", "203.0.113.9"], "10.99.0.11"),
    (["10.88.0.7", "10.99.0.11"], "10.99.0.11"),
    (["100.64.0.7", "10.99.0.11"], "10.99.0.11"),
    (["10.99.0.11", "100.64.0.7"], "10.99.0.11"),
    (["100.64.0.7", "100.127.0.8"], "100.127.0.8"),
    (["203.0.113.9"], "203.0.113.9"),
    (["203.0.113.9", "198.51.100.4"], "198.51.100.4"),
    (["100.64.0.1", "203.0.113.9"], "100.64.0.1"),
    (["172.16.0.1", "172.32.0.1"], "172.16.0.1"),
    (["100.128.0.1", "172.31.255.1", "192.169.0.1"], "172.31.255.1"),
    (["192.168.7.7", "11.0.0.1"], "192.168.7.7"),
    ([], ""),
]


@pytest.fixture(params=SHELLS)
def zone(request: pytest.FixtureRequest, tmp_path: Path, method: Path) -> MethodZone:
    return MethodZone(tmp_path, method, request.param)


def ifconfig(addresses: list[str]) -> str:
    """What ``ifconfig -a`` of illumos shows, a nic without an address included."""
    nic = "{}: flags=1000843<UP,BROADCAST,RUNNING,MULTICAST,IPv4> mtu 1500 index {}\n\tinet {}\n"
    lines = [nic.format("lo0", 1, "127.0.0.1 netmask ff000000")]
    for number, address in enumerate([*addresses, "0.0.0.0"]):
        text = f"{address} netmask ffffff00 broadcast 0.0.0.0"
        lines += [nic.format(f"net{number}", number + 2, text), "\tether 90:b8:d0:0:0:1 \n"]
    lines.append("lo0: flags=2002000849<UP,LOOPBACK,IPv6,VIRTUAL> mtu 8252 index 1\n")
    return "".join([*lines, "\tinet6 ::1/128 \n"])


@pytest.mark.parametrize(("addresses", "own"), MACHINES)
def test_a_private_address_by_its_value(zone: MethodZone, addresses: list[str], own: str) -> None:
    assert load("ipcontroller_metadata").own_address({"ips": addresses}) == own
    (zone.root / "shown").write_text(ifconfig(addresses))
    zone.command("ifconfig", '#!/bin/sh\n[ "$*" = -a ] && exec cat "$FAKE/shown"\nexit 1\n')
    zone.command("python", RECORDER)
    zone.configure(ip="", port="20000", profile="default", timeout="1")
    done = zone.run("controller", instance="controller")
    if own:
        assert f"--IPController.engine_ip={own}" in zone.arguments()
    else:
        assert done.returncode == 96 and "set config/ip" in done.stderr


def test_addresses_that_the_zone_does_not_look_at() -> None:
    own = load("ipcontroller_metadata").own_address
    assert own({"ips": ["dhcp", "10.0.0.1", "fd00::1"]}) == "10.0.0.1"
    assert own({}) == ""
