"""Start, stop and sudden death of the data center."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from embedded.center import IMAGE, PACKAGE, Center, alive, descendants, eventually, traces


def kill(center: Center) -> None:
    """A power failure."""
    pid = center.process()["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid))


def test_start_twice_finds_the_running_one(center: Center) -> None:
    before = center.descriptor()
    done = center.run("start")
    assert done.stdout.strip() == before["url"]
    assert "already running" in done.stderr
    assert center.descriptor() == before


def test_descriptor_is_private_and_complete(center: Center) -> None:
    descriptor = center.descriptor()
    assert (center.state / "datacenter.json").stat().st_mode & 0o777 == 0o600
    assert set(descriptor) == {
        "name", "url", "account", "key_id", "key_file", "ssh_config", "pid",
    }  # fmt: skip
    assert Path(f"/proc/{descriptor['pid']}").exists()


def test_env_gives_what_clients_need(center: Center) -> None:
    script = 'eval "$LOCALDC_ENV"; echo "$SDC_URL $TRITON_ACCOUNT"; ssh-add -l -E md5'
    env = {**os.environ, "LOCALDC_ENV": center.run("env").stdout}
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=True)
    url, keys = done.stdout.splitlines()
    assert url == f"{center.descriptor()['url']} localdc"
    assert center.descriptor()["key_id"] in keys


def test_two_starts_at_once_make_one_data_center(
    able: None, tmp_path: Path, center: Center
) -> None:
    both = Center(tmp_path / "dc", center.store)
    try:
        starts = [both.popen("start") for _ in range(2)]
        outputs = [start.communicate(timeout=120)[0] for start in starts]
        assert [start.returncode for start in starts] == [0, 0], outputs
        assert sum("already running" in output for output in outputs) == 1
        urls = {output.splitlines()[-1] for output in outputs}
        assert urls == {both.descriptor()["url"]}
    finally:
        both.run("purge")


def test_stop_leaves_nothing_and_start_brings_it_back(fresh: Center) -> None:
    machine, idle = fresh.create("worker", "idle")
    idle.stop()
    idle.poll_until("stopped", interval=0.3, timeout=60)
    address = machine.public_ips[0]
    fresh.ssh(address, "echo kept > /root/note; touch /tmp/file")
    key = fresh.ssh(address, "cat /var/ssh/ssh_host_ed25519_key.pub /etc/ssh/*ed25519*.pub; true")
    url, namespaces = fresh.descriptor()["url"], fresh.namespaces()
    assert len(namespaces["pid"]) >= 2

    fresh.run("stop")
    assert traces(fresh, namespaces) == []
    assert fresh.run("status", check=False).returncode == 1
    assert "not running" in fresh.run("stop").stderr

    fresh.run("start")
    assert fresh.descriptor()["url"] == url
    states = {m["name"]: m["state"] for m in fresh.status()["machines"]}
    assert states == {"worker": "running", "idle": "stopped"}
    assert fresh.ssh(address, "cat /root/note") == "kept\n"
    same = fresh.ssh(address, "cat /var/ssh/ssh_host_ed25519_key.pub /etc/ssh/*ed25519*.pub; true")
    assert same == key


def test_traces_are_those_of_one_data_center(center: Center, tmp_path: Path) -> None:
    """A namespace that ended and one that was made since may have the same inode."""
    namespaces = center.namespaces()
    assert [trace for trace in traces(center, namespaces) if "process" in trace]
    ended = Center(tmp_path / "dc", center.store)
    assert traces(ended, namespaces) == []


def test_kill_leaves_nothing_running_and_start_repairs(fresh: Center) -> None:
    (machine,) = fresh.create("survivor", tags={"role": "engine"}, metadata={"k": "v"})
    address = machine.public_ips[0]
    fresh.ssh(address, "echo kept > /root/note; sync; sleep 600 >/dev/null 2>&1 &")
    namespaces = fresh.namespaces()
    kill(fresh)
    # the kernel ends the members of a pid namespace one after the other
    eventually(
        lambda: not [t for t in traces(fresh, namespaces) if "process" in t or "mount" in t], 10
    )
    assert fresh.run("env", check=False).returncode == 1

    fresh.run("start")
    machine.refresh()
    assert (machine.state, machine.public_ips[0]) == ("running", address)
    assert machine.tags == {"role": "engine"}
    assert fresh.ssh(address, "cat /root/note; mdata-get k") == "kept\nv\n"


def test_kill_in_the_middle_of_provisioning(fresh: Center) -> None:
    api = fresh.api()
    names = [f"m{i}" for i in range(6)]
    for name in names:
        api.create_machine(name, PACKAGE, image=IMAGE)
    kill(fresh)
    fresh.run("start")
    machines = {m.name: m for m in fresh.api().machines()}
    assert sorted(machines) == names
    for machine in machines.values():
        machine.poll_until("running", interval=0.3, timeout=120)
    assert fresh.ssh(machines["m5"].public_ips[0], "zonename").strip() == machines["m5"].id


def test_stop_in_the_middle_of_provisioning(fresh: Center) -> None:
    api = fresh.api()
    for name in ("a", "b", "c", "d"):
        api.create_machine(name, PACKAGE, image=IMAGE)
    namespaces = fresh.namespaces()
    fresh.run("stop")
    assert "did not halt" not in fresh.log_text()
    assert traces(fresh, namespaces) == []
    fresh.run("start")
    for machine in fresh.api().machines():
        machine.poll_until("running", interval=0.3, timeout=120)
    assert len(fresh.api().machines()) == 4


def test_half_made_root_is_made_anew(fresh: Center) -> None:
    (machine,) = fresh.create("first")
    fresh.delete(machine)
    zones = fresh.state / "zones"
    assert [entry.name for entry in zones.iterdir()] == []
    (zones / ".destroyed-leftover-1" / "root").mkdir(parents=True)
    fresh.run("stop")
    fresh.run("start")
    eventually(lambda: not list(zones.iterdir()))


def test_taken_port_is_named(able: None, tmp_path: Path, center: Center) -> None:
    other = Center(tmp_path / "dc", center.store)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        other.state.mkdir()
        (other.state / "port").write_text(f"{port}\n")
        done = other.run("start", check=False)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert str(other.state / "port") in done.stderr
    assert "Traceback" not in done.stderr


def test_unusable_state_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = Center(tmp_path / "file" / "dc", tmp_path / "store").run("start", check=False)
    assert done.returncode == 1
    assert "LOCALDC_DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_purge_removes_the_state_directory(able: None, tmp_path: Path, center: Center) -> None:
    other = Center(tmp_path / "dc", center.store)
    other.run("start")
    other.create("gone")
    namespaces = other.namespaces()
    other.run("purge")
    assert traces(other, namespaces) == []
    assert not other.state.exists()


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_reports_read_well(center: Center, command: str) -> None:
    done = center.run(command)
    assert done.stderr == ""
    words = {"status": "CloudAPI", "doctor": "The data center can run here."}
    assert words[command] in done.stdout


def test_start_during_stop_waits_for_it(fresh: Center) -> None:
    fresh.create("one")
    stop = fresh.popen("stop")
    eventually(lambda: not (fresh.state / "datacenter.json").exists())
    fresh.run("start")
    assert stop.wait(60) == 0, stop.stdout
    assert [m["state"] for m in fresh.status()["machines"]] == ["running"]
    assert fresh.descriptor()["pid"] == fresh.status()["pid"]


def test_loss_of_the_launcher_is_a_power_failure(fresh: Center) -> None:
    (machine,) = fresh.create("one")
    daemon = fresh.process()["pid"]
    (launcher,) = (
        pid
        for pid in descendants(daemon)
        if Path(f"/proc/{pid}/comm").read_text() == "localdc-launch\n"
    )
    namespaces = fresh.namespaces()
    os.kill(launcher, signal.SIGKILL)
    eventually(lambda: not alive(daemon))
    left = traces(fresh, namespaces)
    assert [item for item in left if "process" in item or "mount" in item] == []
    fresh.run("start")
    assert fresh.ssh(machine.public_ips[0], "echo back") == "back\n"


def test_forbidden_namespaces_are_named_by_start_and_doctor(tmp_path: Path, center: Center) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, to take a capability away, and setpriv")
    confined = Center(tmp_path / "dc", center.store)
    confined.prefix = ("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin")
    for command in ("start", "doctor"):
        done = confined.run(command, check=False)
        assert done.returncode == 1
        assert "overlayfs" in done.stdout + done.stderr
        assert "--privileged" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_logins_end_with_the_data_center(fresh: Center, end: str) -> None:
    """A hanging ssh would keep the sockets, and with them the network namespace, alive."""
    (machine,) = fresh.create("one")
    address = machine.public_ips[0]
    fresh.ssh(address, "true")
    command = ["ssh", "-N", "-F", str(fresh.state / "ssh_config"), address]
    login = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        eventually(
            lambda: "root" in fresh.ssh(address, "ps -ef | grep '[s]shd: root' | tail -n +2")
        )
        if end == "stop":
            fresh.run("stop")
        else:
            kill(fresh)
        assert login.wait(10) != 0
    finally:
        login.kill()
