"""svc.startd as a process: power failure, halt and reboot, pid 1, other users, leaks, idleness."""

from __future__ import annotations

import os
import resource
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localdc.smartos.smf.door import Door
from localdc.smartos.smf.startd.seed import seed
from localdc.smartos.smf.wire import framed

from .conftest import BEGIN, CLIENT, DAEMON, HEADER, PYTHON, SOURCES, Zone, service
from .services import SLEEP, A

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")


def test_power_failure_loses_nothing_that_was_acknowledged(zone: Zone) -> None:
    zone.service("a", SLEEP)
    zone.ok("svccfg", "-s", "site/a", "addpg config application")
    for number in range(20):
        zone.ok("svccfg", "-s", "site/a", f"setprop config/n = count: {number}")
    zone.ok("svcadm", "disable", "-t", A)
    zone.kill()
    zone.start()
    zone.reaches(A, "online")
    assert zone.ok("svcprop", "-c", "-p", "config/n", A) == "19\n"
    zone.ok("svcadm", "disable", A)
    zone.kill()
    zone.start()
    assert zone.state(A) == "disabled"


def test_seeded_repository(tmp_path: Path) -> None:
    manifest = tmp_path / "m.xml"
    manifest.write_text(HEADER + service("a", SLEEP) + "</service_bundle>")
    db = tmp_path / "etc/svc/repository.db"
    db.parent.mkdir(parents=True)
    seed([manifest], db)
    assert [path.name for path in db.parent.iterdir()] == ["repository.db"]
    assert db.stat().st_mode & 0o777 == 0o600
    zone = Zone(tmp_path)
    zone.start()
    zone.reaches(A, "online")
    assert zone.ok("svccfg", "-s", A, "listsnap").split() == [
        "initial", "last-import", "running", "start",
    ]  # fmt: skip
    zone.stop()


@pytest.mark.parametrize(
    ("command", "status"),
    [("halt", 0), ("poweroff", 0), ("reboot", 6), ("init 6", 6), ("init 0", 0),
     ("shutdown -y -g 0 -i 6", 6)],
)  # fmt: skip
@root_only
def test_halt_and_reboot(zone: Zone, command: str, status: int) -> None:
    zone.service("a", SLEEP)
    zone.reaches(A, "online")
    zone.ok(*command.split())
    assert zone.process is not None
    assert zone.process.wait(10) == status


@root_only
def test_pid_one(tmp_path: Path) -> None:
    """In pid and mount namespaces of its own: orphans are reaped, nobody is left at the end."""
    manifest = tmp_path / "m.xml"
    start = "sh -c 'setsid sh -c \"sleep 1000 & sleep 0.1\" & sleep 1000 &'"
    manifest.write_text(HEADER + service("a", start) + "</service_bundle>")
    zone = Zone(tmp_path)
    (tmp_path / "etc/svc").mkdir(parents=True)
    seed([manifest], tmp_path / "etc/svc/repository.db")
    zone.process = subprocess.Popen(
        ["unshare", "-pfm", "--kill-child", "--mount-proc", *PYTHON, DAEMON,
         "--root", str(tmp_path)],
        cwd="/",
    )  # fmt: skip
    try:
        zone.wait(zone.answers)
        zone.reaches(A, "online")
        door = Door(str(zone.door))
        zone.wait(lambda: len(door.call("list", only=[A], pids=True)[0]["pids"]) == 2)
        zone.ok("reboot")
        assert zone.process.wait(10) == 6
    finally:
        zone.process.kill()
        zone.process.wait()


@root_only
def test_an_ordinary_user_can_run_it(tmp_path: Path) -> None:
    """Without privileges contracts are told by a marker in the environment."""
    home = tmp_path / "z"
    home.mkdir()
    os.chown(home, 12345, 12345)
    zone = Zone(home)
    python = next((p for p in (PYTHON[0], "/usr/bin/python3") if usable(p)), None)
    if python is None:
        pytest.skip("no Python that other users may run")
    # they may not read this repository either
    shutil.copytree(SOURCES / "localdc/smartos", home / "smartos")
    path = f"import sys; sys.path.insert(0, {str(home)!r}); "
    daemon = path + "from smartos.smf.startd.startd import main; main()"
    command = [python, "-IS", "-c", daemon, "--root", str(home)]
    zone.process = subprocess.Popen(command, user=12345, group=12345, extra_groups=[], cwd="/")
    zone.wait(zone.answers)
    fmri = zone.service("a", "setsid sh -c 'sleep 1000 &' &")
    zone.reaches(fmri, "online")
    zone.wait(lambda: len(zone.ok("svcs", "-Hp", fmri).splitlines()) == 2)
    zone.ok("svcadm", "disable", "-s", fmri)
    zone.process.terminate()
    assert zone.process.wait(10) == 0


def usable(python: str) -> bool:
    """May other users run this Python, and is it new enough?"""
    script = "import sys, sqlite3; sys.exit(sys.version_info < (3, 11))"
    try:
        done = subprocess.run([python, "-c", script], user=12345, capture_output=True, cwd="/")
    except OSError:
        return False
    return done.returncode == 0


def test_without_namespaces(tmp_path: Path) -> None:
    zone = Zone(tmp_path, "--no-namespaces")
    zone.start()
    fmri = zone.service("a", "setsid sh -c 'sleep 1000 &' &")
    zone.reaches(fmri, "online")
    zone.wait(lambda: len(zone.ok("svcs", "-Hp", fmri).splitlines()) == 2)
    zone.ok("svcadm", "disable", "-s", fmri)
    zone.ok("svcadm", "enable", "-s", fmri)
    zone.stop()


def test_waiting_clients_do_not_block_others(zone: Zone) -> None:
    go = zone.root / "go"
    start = f"sh -c 'until test -e {go}; do sleep 0.05; done; sleep 1000 &'"
    zone.service("a", start, enabled=False, timeout=60)
    waiting = [
        subprocess.Popen([*PYTHON, CLIENT, "svcadm", "enable", "-s", A], env=zone.env)
        for _number in range(4)
    ]
    zone.reaches(A, "offline*")
    zone.ok("svcs")
    assert [process.poll() for process in waiting] == [None] * 4
    go.touch()
    assert [process.wait(20) for process in waiting] == [0, 0, 0, 0]
    assert zone.state(A) == "online"


def test_a_method_killed_before_it_is_executed(zone: Zone) -> None:
    """What is killed is the child, which is not the method yet; and it takes nobody with it."""
    zone.service("a", "sleep 1000", duration="child", enabled=False, timeout=60)
    door = Door(str(zone.door))
    for _time in range(300):
        for verb in ("enable", "disable"):
            door.call("action", fmri=A, verb=verb)
        zone.reaches(A, "disabled", 5)


FORK_FAILS = """
import os
from localdc.smartos.smf.startd.contracts import Contracts

def fork():
    raise BlockingIOError

def holds():
    return os.listdir("/proc/self/fd"), os.readlink("/proc/self/ns/cgroup")

contracts, os.fork = Contracts(), fork
assert contracts.namespaces
before = holds()
for _time in range(3):
    try:
        contracts.spawn(print)
    except BlockingIOError:
        assert holds() == before
"""


@root_only
def test_a_fork_that_fails_leaks_nothing() -> None:
    subprocess.run([*PYTHON, BEGIN + FORK_FAILS], check=True)


def test_thousands_of_restarts_leak_nothing(zone: Zone) -> None:
    """2,000 starts of a service that ends at once, and meanwhile 300 restarts of a daemon."""
    zone.service("w", "true", duration="child")
    zone.service("a", SLEEP)
    zone.reaches(A, "online")
    assert zone.process is not None
    proc = Path(f"/proc/{zone.process.pid}")
    log = zone.root / "var/svc/log/site-w:default.log"
    door = Door(str(zone.door))

    def starts() -> int:
        return log.read_bytes().count(b"Executing start method")

    def restart() -> None:
        generation = door.call("action", fmri=A, verb="restart")["generation"]
        (row,) = door.call("list", only=[A])
        while (row["state"], row["next"]) != ("online", "none"):
            generation = door.call("watch", fmri=A, generation=generation)["generation"]
            (row,) = door.call("list", only=[A])

    def costs() -> tuple[int, int, int]:
        """Open files, resident KiB, bytes of the repository with what waits to be merged."""
        stored = sum(file.stat().st_size for file in (zone.root / "etc/svc").glob("repository.db*"))
        return len(list((proc / "fd").iterdir())), resident(proc), stored

    for _time in range(50):
        restart()
    zone.wait(lambda: starts() > 200, 60)
    files, memory, stored = costs()
    for _time in range(250):
        restart()
    zone.wait(lambda: starts() > 2000, 240)
    zone.ok("svcadm", "disable", "-s", "svc:/site/w:default")
    after = costs()
    assert abs(after[0] - files) <= 3
    assert after[1] - memory < 300
    assert after[2] - stored < 64 << 10
    children = (proc / f"task/{zone.process.pid}/children").read_text().split()
    assert len(children) == 1
    # nothing but the lines of the starts is in the log
    assert log.stat().st_size < 150 * (starts() + 2)


def resident(proc: Path) -> int:
    """Resident memory in KiB."""
    lines = (proc / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_idle_means_idle(zone: Zone) -> None:
    """No wake-up at all: svc.startd sleeps without a time limit until an event comes."""
    zone.service("a", SLEEP)
    zone.service("w", "sleep 1000", duration="child")
    zone.reaches(A, "online")
    zone.reaches("svc:/site/w:default", "online")
    assert zone.process is not None
    proc = Path(f"/proc/{zone.process.pid}")

    def switches() -> list[str]:
        status = (proc / "status").read_text().splitlines()
        return [line for line in status if "ctxt" in line]

    zone.wait(lambda: len((proc / "syscall").read_text().split()) > 5)
    before = switches()
    # number, then the arguments of epoll_wait: descriptor, events, how many, milliseconds
    number, *arguments = (proc / "syscall").read_text().split()
    assert int(number) in EPOLL_WAIT
    assert int(arguments[3], 16) & 0xFFFFFFFF == 0xFFFFFFFF
    time.sleep(1.0)
    assert switches() == before


# epoll_wait and epoll_pwait on x86-64, epoll_pwait on 64-bit ARM
EPOLL_WAIT = (232, 281, 22)


def test_a_malformed_request_does_no_harm(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    bodies = (b"", b"op", b"op\0", b"op\0sget", b"op\0sget\0fmri\0i3", b"\xff", b"op\0l9",
              b"op\0l-1", b"op\0j{", b"op\0ix")  # fmt: skip
    # a path that a socket address can hold
    monkeypatch.chdir(zone.door.parent)
    for body in bodies:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(zone.door.name)
        client.sendall(framed(body))
        assert b"error" in client.recv(4096)
        client.close()
    assert "restarter:default" in zone.ok("svcs")


def test_no_daemon(tmp_path: Path) -> None:
    done = Zone(tmp_path).run("svcs")
    assert done.returncode == 1
    assert done.stderr.startswith("svcs: Could not connect to repository server")


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Zone]:
    """A svc.startd that would rather wait for an hour than cut its shutdown short."""
    zone = Zone(tmp_path)
    zone.preface = (
        f"{BEGIN}from localdc.smartos.smf.startd import startd; "
        "startd.INTERRUPT_LIMIT = startd.SHUTDOWN_LIMIT = 3600.0; "
    )
    zone.start()
    yield zone
    zone.sweep()


def test_a_start_method_does_not_hold_up_the_shutdown(patient: Zone) -> None:
    patient.service("a", "sh -c 'sleep 1000'", timeout=0)
    patient.wait(lambda: patient.state(A) == "offline*")
    assert patient.stop() == 0


def test_a_log_that_cannot_be_written_stops_no_service(zone: Zone) -> None:
    shutil.rmtree(zone.root / "var/svc/log")
    (zone.root / "var/svc/log").touch()
    zone.service("a", SLEEP)
    zone.reaches(A, "online")


def test_a_repository_that_cannot_be_written_does_not_hold_up_the_shutdown(patient: Zone) -> None:
    patient.service("a", SLEEP)
    patient.reaches(A, "online")
    assert patient.process is not None
    resource.prlimit(patient.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    refused = patient.run("svcadm", "disable", "-s", A)
    assert "Could not write the repository" in refused.stderr
    assert patient.stop() == 0


def test_nothing_outlives_a_test(zone: Zone, tmp_path: Path) -> None:
    """As nothing outlives a zone: what svc.startd has abandoned, too."""
    fmri = zone.service("a", f"sh -c 'sleep 1000 & echo $! >{tmp_path}/pid'")
    zone.reaches(fmri, "online")
    left = os.pidfd_open(int((tmp_path / "pid").read_text()))
    zone.ok("svcadm", "mark", "-I", "maintenance", fmri)
    zone.reaches(fmri, "maintenance")
    zone.stop()
    zone.sweep()
    assert select.select([left], [], [], 30)[0]
    os.close(left)
