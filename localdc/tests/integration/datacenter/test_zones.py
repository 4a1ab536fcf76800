"""Machines as their users see them: over ssh, and through the commands of the data center."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest
from smartdc import Machine

from embedded.center import Center, eventually

Pair = tuple[Machine, Machine]


def address(machine: Machine) -> str:
    found: str = machine.public_ips[0]
    return found


def test_ssh_with_nothing_but_the_configuration(center: Center, pair: Pair) -> None:
    out = center.ssh(address(pair[0]), "id -un; zonename; hostname")
    assert out.split() == ["root", pair[0].id, "alpha"]


def test_zone_has_its_own_processes_and_pid_1_is_startd(center: Center, pair: Pair) -> None:
    comm, *pids = center.ssh(address(pair[0]), "cat /proc/1/comm; ls /proc").split()
    assert comm == "svc.startd"
    assert sum(pid.isdigit() for pid in pids) < 12


def test_addresses_and_names(center: Center, pair: Pair) -> None:
    machine = pair[0]
    shown = center.ssh(address(machine), "cat /proc/net/dev")
    names = {line.split(":")[0].strip() for line in shown.splitlines()[2:]}
    assert names == {"lo", "net0", "net1"}
    # zoneinit, includes/12-network.sh: one's own name is the loopback's
    found = center.ssh(address(machine), "getent hosts alpha; getent hosts beta").splitlines()
    assert [line.split()[0] for line in found] == ["127.0.0.1", pair[1].public_ips[0]]


def test_machines_reach_each_other_on_both_networks(center: Center, pair: Pair) -> None:
    first, second = pair
    for target in (second.private_ips[0], second.public_ips[0]):
        script = f"echo | /opt/local/gnu/bin/timeout 5 ssh-keyscan -t ed25519 {target} 2>/dev/null"
        assert target in center.ssh(address(first), script)


def test_the_gateway_keeps_its_ethernet_address(center: Center, pair: Pair) -> None:
    """Whatever comes and goes on its wire: machines go on sending to the address they know."""
    known = "getent hosts nobody; cat /proc/net/arp"
    table = [line.split() for line in center.ssh(address(pair[0]), known).splitlines()]
    (before,) = (words[3] for words in table if words[0] == "100.64.0.1")
    ip = ["nsenter", "--target", str(center.process()["pid"]), "--net", "ip", "link"]
    lowest = ["add", "lowest", "address", "00:00:00:00:00:01", "master", "br0", "type", "veth"]
    subprocess.run([*ip, *lowest], check=True)
    try:
        held = subprocess.run([*ip, "show", "br0"], capture_output=True, text=True, check=True)
    finally:
        subprocess.run([*ip, "del", "lowest"], check=True)
    assert before in held.stdout


def test_no_way_out_to_the_host(center: Center, pair: Pair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        out = center.ssh(
            address(pair[0]),
            f"ssh -o BatchMode=yes -o ConnectTimeout=2 -p {port} 127.0.0.1 true 2>&1; true",
        )
    assert "refused" in out.lower()


def test_usr_is_read_only_and_devices_cannot_be_made(center: Center, pair: Pair) -> None:
    out = center.ssh(
        address(pair[0]),
        "touch /usr/x 2>&1; mknod /tmp/sda b 8 0 2>&1; true",
    )
    assert "Read-only file system" in out
    assert "Operation not permitted" in out


def test_host_name_is_the_uuid_without_cns(center: Center) -> None:
    """sdc-cloudapi, lib/machines.js: a hostname is set for accounts with CNS only."""
    center.api().update_account(triton_cns_enabled=False)
    try:
        (machine,) = center.create("no_cns")
    finally:
        center.api().update_account(triton_cns_enabled=True)
    try:
        shown = center.ssh(address(machine), "hostname; uname -n; mdata-get sdc:hostname; echo $?")
        assert shown.split() == [machine.id, machine.id, "1"]
    finally:
        center.delete(machine)


def test_root_persists_over_reboot_from_inside(center: Center) -> None:
    (machine,) = center.create("rebooter")
    try:
        where = address(machine)
        before = center.ssh(
            where, "echo kept > /root/note; /opt/local/gnu/bin/readlink /proc/1/ns/pid"
        )
        center.ssh(where, "reboot", check=False, wait=0)
        eventually(lambda: _pid_namespace(center, where) not in ("", before))
        assert center.ssh(where, "cat /root/note") == "kept\n"
        machine.refresh()
        assert machine.state == "running"
    finally:
        center.delete(machine)


def _pid_namespace(center: Center, where: str) -> str:
    return center.ssh(where, "/opt/local/gnu/bin/readlink /proc/1/ns/pid", check=False, wait=5)


def test_halt_from_inside_stops_the_machine(center: Center) -> None:
    (machine,) = center.create("halter")
    try:
        center.ssh(address(machine), "halt", check=False, wait=0)
        machine.poll_until("stopped", interval=0.3, timeout=60)
        machine.start()
        machine.poll_until("running", interval=0.3, timeout=60)
        assert center.ssh(address(machine), "echo up") == "up\n"
    finally:
        center.delete(machine)


def test_new_machine_may_take_over_an_address(center: Center) -> None:
    (first,) = center.create("before")
    where = address(first)
    center.ssh(where, "true")
    center.delete(first)
    later = []
    try:
        for number in range(3):
            later += center.create(f"after{number}")
            if address(later[-1]) == where:
                break
        assert center.ssh(address(later[-1]), "echo hello") == "hello\n"
    finally:
        center.delete(*later)


def test_metadata_goes_both_ways(center: Center, pair: Pair) -> None:
    machine = pair[1]
    machine.update_metadata({"greeting": "hello"})
    eventually(lambda: center.ssh(address(machine), "mdata-get greeting; true") == "hello\n")
    center.ssh(address(machine), "mdata-put answer 42")
    assert machine.get_metadata()["answer"] == "42"
    assert center.ssh(address(machine), "mdata-get sdc:uuid").strip() == machine.id
    machine.add_tags({"colour": "red"})
    eventually(lambda: center.ssh(address(machine), "mdata-get sdc:tags.colour; true") == "red\n")
    nics = json.loads(center.ssh(address(machine), "mdata-get sdc:nics"))
    assert [nic["ip"] for nic in nics] == [machine.public_ips[0], machine.private_ips[0]]


def test_stop_is_orderly(center: Center) -> None:
    (machine,) = center.create("orderly")
    try:
        machine.stop()
        machine.poll_until("stopped", interval=0.3, timeout=60)
        assert f"zone {machine.id} did not halt" not in center.log_text()
        log = center.state / "zones" / machine.id / "root/var/svc/log/network-ssh:default.log"
        assert "Stopping" in log.read_text() or "stop" in log.read_text()
    finally:
        center.delete(machine)


def test_stop_right_after_a_reboot(center: Center) -> None:
    """The zone's first process has only just begun, and must not miss that it is to end."""
    (machine,) = center.create("hasty")
    try:
        machine.reboot()
        machine.stop()
        # one that missed it is killed after 65 s
        machine.poll_until("stopped", interval=0.3, timeout=50)
    finally:
        center.delete(machine)


def test_delete_removes_the_root(center: Center) -> None:
    (machine,) = center.create("short-lived")
    root = center.state / "zones" / machine.id
    assert root.is_dir()
    center.delete(machine)
    eventually(lambda: not root.exists())


def test_connect_relays_bytes_for_programs_without_fdpass(center: Center, pair: Pair) -> None:
    for host in (address(pair[0]), "alpha", pair[0].id, pair[0].id[:8]):
        done = subprocess.run(
            center.command("connect", host, "22"),
            env=center.environment(),
            input=b"SSH-2.0-test\r\n",
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert done.stdout.startswith(b"SSH-2.0-OpenSSH"), done.stderr


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("alpha", "9", "refused"),
        ("nobody", "22", "no machine"),
        ("100.64.3.251", "22", "route|no answer"),
    ],
)
def test_connect_says_why_not(center: Center, pair: Pair, host: str, port: str, words: str) -> None:
    done = center.run("connect", host, port, check=False, stdin="")
    assert done.returncode == 1
    assert any(word in done.stderr.lower() for word in words.split("|")), done.stderr
    assert "Traceback" not in done.stderr


def test_status_lists_machines_with_pids_of_this_side(center: Center, pair: Pair) -> None:
    machines = {m["name"]: m for m in center.status()["machines"]}
    shown = machines["alpha"]
    assert shown["state"] == "running"
    assert shown["ips"][0] == address(pair[0])
    assert Path(f"/proc/{shown['pid']}/comm").read_text() == "svc.startd\n"
    table = center.run("status").stdout
    assert "alpha" in table
    assert address(pair[0]) in table


def test_logs_of_daemon_and_services(center: Center, pair: Pair) -> None:
    assert "listens on" in center.run("logs", "-n", "1000").stdout
    assert center.run("logs", "alpha", "ssh").stdout
    unknown = center.run("logs", "nobody", check=False)
    assert unknown.returncode == 1
    assert "alpha" in unknown.stderr
    vague = center.run("logs", "alpha", "no-such-service", check=False)
    assert "network-ssh:default" in vague.stderr


def test_scripts_find_the_failed_user_script(center: Center) -> None:
    script = "#!/bin/sh\necho sorry about this\nexit 3\n"
    (machine,) = center.create("failing", metadata={"user-script": script})
    try:
        state = eventually(
            lambda: (
                center.ssh(address(machine), "svcs -H -o state smartdc/mdata:execute").strip()
                == "maintenance"
            )
        )
        assert state
        assert "sorry about this" in center.run("logs", "failing", "mdata:execute").stdout
    finally:
        center.delete(machine)
