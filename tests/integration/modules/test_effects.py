"""What sdc_key, sdc_firewall_rule, sdc_snapshot, sdc_nic and sdc_volume do to real machines.

Each change is predicted by check mode, made, and made again without a change; its effect is seen
from outside: over ssh, at ports, in files.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from embedded.center import Center, eventually
from smartdc import Machine

from .conftest import Ansible

Machines = dict[str, Machine]
# bash opens the connection, and prints the first bytes of what the sshd there says
GREETING = "/opt/local/gnu/bin/timeout 1 bash -c 'exec 3<>/dev/tcp/{}/22; head -c 4 <&3'; true"


def front(machine: Machine) -> str:
    address = machine.primary_ip
    assert address
    return address


def lets_in(center: Center, address: str, key: Path) -> bool:
    """Whether ssh gets in with this key and no other."""
    command = ["ssh", "-F", str(center.state / "ssh_route"), "-o", "BatchMode=yes"]
    command += ["-o", "IdentitiesOnly=yes"]
    command += ["-o", "IdentityAgent=none"]
    done = subprocess.run(
        [*command, "-i", str(key), f"root@{address}", "true"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 or "Permission denied" in done.stderr, done.stderr
    return done.returncode == 0


def test_key(center: Center, ansible: Ansible, machines: Machines, tmp_path: Path) -> None:
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    address = front(machines["open"])
    assert not lets_in(center, address, key)
    line = key.with_suffix(".pub").read_text()
    made = ansible.change("sdc_key", name="guest", key=line)
    assert made["key"]["fingerprint"]
    eventually(lambda: lets_in(center, address, key))
    ansible.change("sdc_key", name="guest", state="absent")
    eventually(lambda: not lets_in(center, address, key))


def test_firewall_rule(center: Center, ansible: Ansible, machines: Machines) -> None:
    probe = GREETING.format(front(machines["walled"]))

    def greeting() -> str:
        return center.ssh(front(machines["open"]), probe)

    assert greeting() == ""
    rule = {"description": "door", "rule": "FROM any TO vm walled ALLOW tcp PORT 22"}
    made = ansible.change("sdc_firewall_rule", **rule)
    assert made["rule"]["enabled"] is True
    eventually(lambda: greeting() == "SSH-")
    ansible.change("sdc_firewall_rule", **rule, enabled=False)
    eventually(lambda: greeting() == "")
    other = {**rule, "rule": rule["rule"].replace("22", "23")}
    ansible.change("sdc_firewall_rule", **other, enabled=True)
    assert greeting() == ""
    ansible.change("sdc_firewall_rule", **rule)
    eventually(lambda: greeting() == "SSH-")
    ansible.change("sdc_firewall_rule", description="door", state="absent")
    eventually(lambda: greeting() == "")


def test_snapshot(center: Center, ansible: Ansible, machines: Machines) -> None:
    address = front(machines["open"])
    center.ssh(address, "echo one >/root/file")
    made = ansible.change("sdc_snapshot", machine="open", name="before")
    assert made["snapshot"]["state"] == "created"
    center.ssh(address, "echo two >/root/file; touch /root/more")
    back = {"sdc_snapshot": {"machine": "open", "name": "before", "state": "rolled_back"}}
    (predicted,) = ansible.run({**back, "check_mode": True})
    assert center.ssh(address, "cat /root/file") == "two\n", "check mode rolled back"
    (done,) = ansible.run(back)
    assert predicted["changed"] and done["changed"] and predicted["diff"] == done["diff"]
    assert center.ssh(address, "cat /root/file; ls /root/more; true") == "one\n"
    ansible.change("sdc_snapshot", machine="open", name="before", state="absent")
    assert machines["open"].snapshots() == []


def test_nic(center: Center, ansible: Ansible, machines: Machines) -> None:
    address = front(machines["open"])
    assert "net1" not in center.ssh(address, "ifconfig -a")
    center.ssh(address, "touch /root/kept")
    made = ansible.change("sdc_nic", machine="open", network="internal")
    shown = center.ssh(address, "ifconfig net1; ls /root/kept")
    assert made["nic"]["ip"] in shown and "/root/kept" in shown
    ansible.change("sdc_nic", machine="open", mac=made["nic"]["mac"], state="absent")
    assert "net1" not in center.ssh(address, "ifconfig -a")
    assert center.ssh(address, "uname -n") == "open\n"


def test_volume(center: Center, ansible: Ansible) -> None:
    made = ansible.change("sdc_volume", name="shelf", size=10240)
    assert made["volume"]["state"] == "ready"
    cluster = {
        "selector": {"cluster": "volumes"},
        "package": "sample-512M",
        "image": "base-64-lts",
        "networks": ["external"],
        "volumes": [{"name": "shelf", "mountpoint": "/data"}],
        "wait": "ssh",
        "groups": [
            {"name": "writer", "selector": {"role": "writer"}},
            {
                "name": "reader",
                "selector": {"role": "reader"},
                "volumes": [{"name": "shelf", "mountpoint": "/books", "mode": "ro"}],
            },
        ],
    }
    pair = ansible.change("sdc_machine", **cluster)
    writer, reader = (machine["primary_ip"] for machine in pair["machines"])
    center.ssh(writer, "echo kept >/data/book")
    assert center.ssh(reader, "cat /books/book") == "kept\n"
    assert "denied" in center.ssh(reader, "touch /books/x 2>&1 || echo denied")
    used = {"sdc_volume": {"name": "shelf", "state": "absent"}, "ignore_errors": True}
    (refused,) = ansible.run(used)
    assert refused["failed"] and refused["code"] == "VolumeInUse" and refused["status"] == 409
    ansible.change("sdc_machine", selector={"cluster": "volumes"}, state="absent")
    ansible.change("sdc_volume", name="shelf", state="absent")
