"""The process outside the data center that sees programs crash, and tells their svc.startd.

On illumos a core is an event of the process contract, whoever's child the process is. Linux tells
only its parent, and whoever listens to the proc connector, which speaks in the host's namespaces
only. `localdc start` leaves this process behind on the host; it ends with the data center.

The event comes before the process has ended, but its group is known no longer than until its
parent has collected it: a crash that cannot be told from others' in time is passed over.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

from localdc.paths import package_path
from localdc.smartos.smf import door
from localdc.smartos.smf.wire import framed, pack_request

# linux/connector.h, linux/cn_proc.h
NETLINK_CONNECTOR = 11
CN_IDX_PROC = CN_VAL_PROC = 1
PROC_CN_MCAST_LISTEN = 1
PROC_EVENT_COREDUMP = 0x40000000
NLMSG_DONE = 3
_NETLINK, _CONNECTOR = struct.Struct("=IHHII"), struct.Struct("=IIIIHH")
_LISTEN, _EVENT, _DUMPED = struct.Struct("=II"), struct.Struct("=IIQ"), struct.Struct("=IIII")
# a struct timeval: how long a svc.startd may be busy with others
PATIENCE = struct.pack("@ll", 2, 0)
_BODY = _NETLINK.size + _CONNECTOR.size


def listen() -> socket.socket:
    """A socket that gets an event for every process of the host that dumps core.

    Raises OSError outside the host's user and network namespace, and, for users other than root,
    before Linux 6.6.
    """
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_CONNECTOR)
    try:
        events.bind((0, CN_IDX_PROC))
        # older kernels do not know the filter, and send everything
        order = _LISTEN.pack(PROC_CN_MCAST_LISTEN, PROC_EVENT_COREDUMP)
        message = _CONNECTOR.pack(CN_IDX_PROC, CN_VAL_PROC, 0, 0, len(order), 0) + order
        events.send(_NETLINK.pack(_NETLINK.size + len(message), NLMSG_DONE, 0, 0, 0) + message)
    except OSError:
        events.close()
        raise
    return events


def dumped(message: bytes) -> int | None:
    """The process that an event is about, by its pid on the host; None for other events."""
    if len(message) < _BODY + _EVENT.size + _DUMPED.size:
        return None
    what, _cpu, _time = _EVENT.unpack_from(message, _BODY)
    _pid, tgid, _parent_pid, _parent = _DUMPED.unpack_from(message, _BODY + _EVENT.size)
    return tgid if what == PROC_EVENT_COREDUMP else None


def spawn(first: int, log: Path) -> None:
    """Start the process for the data center whose first process is `first`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "localdc.zones.cores", str(first)],
            env={**os.environ, "PYTHONPATH": package_path()},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    # it outlives this process, which need not wait for it
    process.returncode = 0


def main(first: int) -> None:
    """Pass on what happens in the data center until it has ended."""
    try:
        center = os.pidfd_open(first)
        events = listen()
    except OSError as error:
        print(f"cores: no crash will be noticed but those of daemons: {error}", file=sys.stderr)
        return
    with events:
        while True:
            ready, _, _ = select.select([center, events.fileno()], [], [])
            if center in ready:
                return
            # whatever a process of the host may be called or be, the next crash is told again
            with contextlib.suppress(OSError, ValueError, LookupError):
                pid = dumped(events.recv(4096))
                if pid is not None:
                    pass_on(pid, first)


def pass_on(pid: int, first: int) -> None:
    """Tell the svc.startd of the zone in which process `pid` of the host dumps core."""
    crashed = _status(pid)
    group, parent = crashed["NSpgid"][-1], crashed["PPid"][0]
    own, above = crashed["NSpid"][-1], _status(parent)["NSpid"][-1]
    # up to the first process of its pid namespace
    init = parent
    while (status := _status(init))["NSpid"][-1] != 1:
        init = status["PPid"][0]
    launcher = status["PPid"][0]
    if len(status["NSpid"]) < 3 or not _below(launcher, first):
        return
    request = {"op": "core", "pids": [str(own), str(above)], "group": group}
    tell(Path("/proc", str(init), "root"), request)


def tell(root: Path, request: dict[str, object]) -> None:
    """Send a request to the svc.startd of the zone whose files are below `root`.

    The zone's root may put anything in the way: raises OSError for what is no socket, and after
    `PATIENCE` for one that nobody serves.
    """
    directory = _directory(root, Path(door.DEFAULT).parent)
    try:
        # held, so that what is looked at is what is connected to
        held = os.open(Path(door.DEFAULT).name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    finally:
        os.close(directory)
    try:
        if not stat.S_ISSOCK(os.fstat(held).st_mode):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK), door.DEFAULT)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            # unlike settimeout, this waits where the queue of connections is full
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, PATIENCE)
            peer.connect(f"/proc/self/fd/{held}")
            # the answer would be a zone's word to a process of the host, which has no use for it
            peer.sendall(framed(pack_request(request)))
    finally:
        os.close(held)


def _status(pid: int) -> dict[str, list[int]]:
    """The numbers in /proc/PID/status, as the host sees them, and then each namespace below."""
    # the name of a program need not be text
    lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return {name: [int(n) for n in fields[name].split()] for name in ("PPid", "NSpid", "NSpgid")}


def _below(pid: int, first: int) -> bool:
    """Does process `pid` belong to the data center?"""
    while pid > 1 and pid != first:
        pid = _status(pid)["PPid"][0]
    return pid == first


def _directory(root: Path, below: Path) -> int:
    """A descriptor of a directory of a zone; links, which a zone's root may make, are errors."""
    current = os.open(root, os.O_PATH | os.O_DIRECTORY)
    for part in below.relative_to("/").parts:
        above = current
        try:
            current = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        finally:
            os.close(above)
    return current


if __name__ == "__main__":
    main(int(sys.argv[1]))
