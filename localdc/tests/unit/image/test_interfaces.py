"""ifconfig and ipadm, on the interfaces of this machine and on made-up ones."""

from __future__ import annotations

import pytest

from localdc.smartos.commands import ifconfig, interfaces, ipadm


def made_up() -> interfaces.Interface:
    interface = interfaces.Interface.__new__(interfaces.Interface)
    interface.index, interface.name, interface.mtu = 2, "net1", 1500
    interface.flags, interface.flag_names = 0x1000843, "UP,BROADCAST,RUNNING,MULTICAST,IPv4"
    interface.address, interface.netmask = "10.99.0.10", "255.255.252.0"
    interface.broadcast, interface.mac = "10.99.3.255", "90:b8:d0:0:0:2"
    interface.loopback = False
    return interface


def test_format_of_illumos() -> None:
    assert ifconfig.describe(made_up()) == (
        "net1: flags=1000843<UP,BROADCAST,RUNNING,MULTICAST,IPv4> mtu 1500 index 2\n"
        "\tinet 10.99.0.10 netmask fffffc00 broadcast 10.99.3.255\n"
        "\tether 90:b8:d0:0:0:2 "
    )


def test_loopback_of_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert ifconfig.main(["-a"]) == 0
    assert "lo0: flags=" in capsys.readouterr().out
    assert ifconfig.main(["lo0"]) == 0
    assert "\tinet 127.0.0.1 netmask ff000000\n" in capsys.readouterr().out
    assert ifconfig.main(["nosuch0"]) == 1
    assert "nosuch0: no such interface" in capsys.readouterr().err
    assert ifconfig.main(["net0", "10.1.1.1", "up"]) == 1


def test_ipadm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ipadm, "interfaces", lambda: [made_up()])
    assert ipadm.main(["show-addr"]) == 0
    assert capsys.readouterr().out == (
        "ADDROBJ          TYPE    STATE       ADDR\n"
        "net1/_a          from-gz ok          10.99.0.10/22\n"
    )
    assert ipadm.main(["show-addr", "-p", "-o", "addrobj,addr"]) == 0
    assert capsys.readouterr().out == "net1/_a:10.99.0.10/22\n"
    assert ipadm.main(["show-addr", "net7/_a"]) == 1
    assert ipadm.main(["create-addr", "x"]) == 1
    assert "not supported in this zone" in capsys.readouterr().err
