"""Crashes as the proc connector of the host tells them."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localdc.smartos.smf import door
from localdc.smartos.smf.wire import LENGTH, unpack_request
from localdc.zones import cores

REQUEST: dict[str, object] = {"op": "core", "pids": ["7", "1"], "group": 7}


@pytest.fixture
def events() -> Iterator[socket.socket]:
    try:
        listening = cores.listen()
    except OSError as error:
        pytest.skip(f"the host lets nobody listen here: {error}")
    with listening:
        yield listening


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT, signal.SIGILL])
def test_a_crash_is_told_though_no_core_is_written(events: socket.socket, number: int) -> None:
    # what starts tests in the background may have them ignore SIGQUIT
    reset = f"--default-signal={signal.Signals(number).name.removeprefix('SIG')}"
    command = ["env", reset, "sh", "-c", f"ulimit -c 0; kill -{number.value} $$"]
    with subprocess.Popen(command) as crashed:
        pass
    found: list[int | None] = []
    while crashed.pid not in found:
        assert select.select([events], [], [], 20)[0], "no event came"
        found.append(cores.dumped(events.recv(4096)))


def test_other_ends_are_none(events: socket.socket) -> None:
    quiet = subprocess.Popen(["sh", "-c", "kill -KILL $$"])
    quiet.wait()
    with subprocess.Popen(["sh", "-c", "ulimit -c 0; kill -SEGV $$"]) as last:
        pass
    found: list[int | None] = []
    while last.pid not in found:
        assert select.select([events], [], [], 20)[0], "no event came"
        found.append(cores.dumped(events.recv(4096)))
    assert quiet.pid not in found


def test_what_is_no_event() -> None:
    assert cores.dumped(b"") is None
    assert cores.dumped(bytes(76)) is None


def test_processes_of_the_host_are_nobodys(events: socket.socket) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        # of no data center, so nothing is looked for, and nobody told
        cores.pass_on(process.pid, os.getpid())
        process.kill()


def test_a_program_whose_name_is_no_text(tmp_path: Path) -> None:
    program = os.fsencode(tmp_path) + b"/\xff\xfe"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, b"60"]) as process:
        try:
            deadline = time.monotonic() + 30
            while Path(f"/proc/{process.pid}/comm").read_bytes() != b"\xff\xfe\n":
                assert time.monotonic() < deadline, "the program was not started"
            cores.pass_on(process.pid, os.getpid())
        finally:
            process.kill()


@pytest.fixture
def zone_door(tmp_path: Path) -> Path:
    """Where the door of a zone is whose files are below tmp_path."""
    path = tmp_path / door.DEFAULT.lstrip("/")
    path.parent.mkdir(parents=True)
    return path


def test_svc_startd_is_told(tmp_path: Path, zone_door: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(zone_door))
        listening.listen()
        cores.tell(tmp_path, REQUEST)
        peer, _address = listening.accept()
        with peer, peer.makefile("rb") as stream:
            body = stream.read()[LENGTH:]
    assert unpack_request(body) == REQUEST


def test_a_door_that_nobody_serves_is_given_up(tmp_path: Path, zone_door: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind(str(zone_door))
        listening.listen(0)
        first.connect(str(zone_door))
        with pytest.raises(BlockingIOError):
            cores.tell(tmp_path, REQUEST)


def test_a_door_that_becomes_a_link(
    tmp_path: Path, zone_door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zone's root must not have the host's root connect to a socket of the host."""
    with socket.socket(socket.AF_UNIX) as own, socket.socket(socket.AF_UNIX) as foreign:
        own.bind(str(zone_door))
        own.listen()
        foreign.bind(str(tmp_path / "foreign"))
        foreign.listen()

        def swapped(_mode: int) -> bool:
            zone_door.unlink()
            zone_door.symlink_to(tmp_path / "foreign")
            return True

        monkeypatch.setattr(stat, "S_ISSOCK", swapped)
        cores.tell(tmp_path, REQUEST)
        assert not select.select([foreign], [], [], 0)[0]
        assert select.select([own], [], [], 0)[0]


@pytest.mark.parametrize("kind", ["link", "file", "nothing"])
def test_what_is_no_door(tmp_path: Path, zone_door: Path, kind: str) -> None:
    if kind == "link":
        zone_door.symlink_to("/run/docker.sock")
    elif kind == "file":
        zone_door.touch()
    with pytest.raises(OSError):
        cores.tell(tmp_path, REQUEST)


def test_python_modules_of_the_developer_are_still_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python that finds what it needs by PYTHONPATH finds it in this process, too."""
    modules, out = tmp_path / "modules", tmp_path / "out"
    modules.mkdir()
    os.mkfifo(out)
    text = f"import os; open({str(out)!r}, 'w').write(str(os.getpid()))"
    (modules / "sitecustomize.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(modules))
    reading = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen(["sleep", "60"]) as first:
        try:
            cores.spawn(first.pid, tmp_path / "log")
            assert select.select([reading], [], [], 30)[0], "another PYTHONPATH"
            watching = os.pidfd_open(int(os.read(reading, 20)))
        finally:
            first.kill()
            os.close(reading)
    assert select.select([watching], [], [], 30)[0], "it outlived its data center"
    os.close(watching)
