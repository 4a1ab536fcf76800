"""Crashes as the proc connector of the host tells them."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from localdc.zones import cores


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
    command = ["sh", "-c", f"ulimit -c 0; kill -{number.value} $$"]
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
