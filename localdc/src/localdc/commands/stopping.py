"""`localdc stop`: an orderly end, and proof that nothing is left of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from localdc import LocalDCError, access
from localdc.daemon.control import ask
from localdc.paths import StateDir, read_json

STOP_SECONDS = 100.0
"""svc.startd of a zone may take 60 s, the jobs before it 15 s."""
KILL_SECONDS = 20.0
START_SECONDS = 60.0

Progress = Callable[[str], None]


def find_process(paths: StateDir) -> dict[str, Any] | None:
    """What daemon.json says of the running daemon; None when it does not run.

    The start time guards against a pid that now belongs to another program.
    """
    process = read_json(paths.process)
    if process is None:
        return None
    fields = _stat(process["pid"])
    if fields is None or int(fields[19]) != process["started"]:
        return None
    return process


def _stat(pid: int) -> list[str] | None:
    """The fields of proc(5)'s stat from the state on; None for a process that has ended.

    One that has ended may be there as a zombie until the host's init collects it.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields


def stop(paths: StateDir, say: Progress) -> bool:
    """End the data center; False when it did not run.

    Raises LocalDCError when something of it is left.
    """
    if not paths.lock.exists():
        return False
    process = find_process(paths) or _wait_for_process(paths)
    if process is None:
        _remove_traces(paths)
        return False
    handle = os.pidfd_open(process["pid"])
    try:
        _end(paths, handle, say)
    finally:
        os.close(handle)
    _remove_traces(paths)
    left = list(leftovers(paths, process["pid_namespace"]))
    if left:
        raise LocalDCError("Left behind by the data center: " + "; ".join(left))
    return True


def _remove_traces(paths: StateDir) -> None:
    """Clean up after a daemon that could not, unless the next one is there already."""
    with paths.lock.open("w") as lock, contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        access.remove_traces(paths)


def _wait_for_process(paths: StateDir) -> dict[str, Any] | None:
    """The daemon of a start in progress; None when nobody holds the lock."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with paths.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pass
            else:
                return None
        process = find_process(paths)
        if process is not None:
            return process
        time.sleep(0.1)
    raise LocalDCError("A start is still in progress; interrupt it, or wait and stop again.")


def _end(paths: StateDir, handle: int, say: Progress) -> None:
    listener = threading.Thread(target=_request, args=(paths, handle, say), daemon=True)
    listener.start()
    if _ended(handle, STOP_SECONDS):
        return
    say(f"no orderly end after {STOP_SECONDS:.0f} s; killing the data center")
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    if not _ended(handle, KILL_SECONDS):
        raise LocalDCError("The daemon cannot be killed; a process of it hangs in the kernel.")


def _request(paths: StateDir, handle: int, say: Progress) -> None:
    """Ask for the end and report on it; by signal when the control socket is mute."""
    shown = None

    def each(message: dict[str, Any]) -> None:
        nonlocal shown
        remaining = message["remaining"]
        if remaining and remaining != shown:
            say(f"halting machines: {remaining} left")
            shown = remaining

    try:
        answered = ask(paths.control, {"op": "stop"}, each)
    except (LocalDCError, OSError):
        answered = None
    if answered is None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)


def _ended(handle: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def leftovers(paths: StateDir, pid_namespace: int | None) -> Iterator[str]:
    """Processes in the data center's pid namespace, and mounts of it on the host.

    A data center of records has no pid namespace of its own.
    """
    for entry in Path("/proc").iterdir() if pid_namespace is not None else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                inside = (entry / "ns/pid").stat().st_ino == pid_namespace
                if inside and _stat(int(entry.name)) is not None:
                    yield f"process {entry.name}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place = line.split()[4]
        if place.startswith(f"{paths.root}/"):
            yield f"mount {place}"
