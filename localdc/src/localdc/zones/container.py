"""The inside of a zone: what the launcher's child does between fork and exec.

Runs single-threaded in a forked child and only makes system calls, so the
order of the steps is the whole design: namespaces, mounts, pivot_root, limits,
capabilities, exec.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from localdc.zones import syscalls as sc

CAPABILITIES = frozenset(
    {
        0,  # chown
        1,  # dac_override
        2,  # dac_read_search
        3,  # fowner
        4,  # fsetid
        5,  # kill
        6,  # setgid
        7,  # setuid
        8,  # setpcap
        10,  # net_bind_service
        13,  # net_raw
        14,  # ipc_lock
        15,  # ipc_owner
        18,  # sys_chroot
        19,  # sys_ptrace
        21,  # sys_admin: svc.startd makes a cgroup namespace for each contract
        23,  # sys_nice
        24,  # sys_resource
        28,  # lease
        29,  # audit_write
    }
)
"""What root of a zone may do, capabilities(7); no modules, clock, devices, reboot or network."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
READ_ONLY_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs")
VOLATILE = "etc/svc/volatile"
OPEN_FILES = 1024, 65536
"""Soft and hard: /etc/system of SmartOS and rlim_fd_max of illumos (os/param.c)."""
PROCESSES = 8000


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one zone.

    `binds` are (source, directory in the zone, read only); `init` is the
    command of pid 1, `console` the file that gets its output.
    """

    zone: str
    root: str
    hostname: str
    init: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    binds: tuple[tuple[str, str, bool], ...]
    console: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> Launch:
        return Launch(
            zone=value["zone"],
            root=value["root"],
            hostname=value["hostname"],
            init=tuple(value["init"]),
            environment=tuple((name, text) for name, text in value["environment"]),
            binds=tuple((source, target, ro) for source, target, ro in value["binds"]),
            console=value["console"],
        )


def run(launch: Launch, network: int, report: int) -> None:
    """Become the zone.  Never returns.

    `network` is the zone's network namespace.  `report` gets JSON lines
    `{"pid": N}` and, when a step fails, `{"error": text}`; it closes on exec.
    """
    try:
        sc.setns(network, sc.CLONE_NEWNET, "enter the network namespace")
        sc.unshare(
            sc.CLONE_NEWNS | sc.CLONE_NEWUTS | sc.CLONE_NEWIPC | sc.CLONE_NEWPID,
            "create the namespaces",
        )
        pid = os.fork()
        if pid:
            _tell(report, pid=pid)
            os._exit(0)
        _become_init(launch)
    except OSError as error:
        _tell(report, error=f"{error.filename or 'start'}: {error.strerror or error}")
    except BaseException as error:
        _tell(report, error=repr(error))
    os._exit(1)


def _tell(report: int, **message: object) -> None:
    os.write(report, json.dumps(message).encode() + b"\n")


def _become_init(launch: Launch) -> None:
    os.setsid()
    output = os.open(launch.console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((null, output, output)):
        os.dup2(source, target)
    sc.unshare(sc.CLONE_NEWCGROUP, "create a cgroup namespace")
    _mount_all(launch)
    sc.pivot_root(launch.root)
    socket.sethostname(launch.hostname)
    os.umask(0o022)
    _set_limits()
    sc.drop_bounding_capabilities(CAPABILITIES)
    os.setgroups([])
    # Signals that the launcher ignores would stay ignored over exec.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execve(launch.init[0], launch.init, dict(launch.environment))


def _mount_all(launch: Launch) -> None:
    root = launch.root
    sc.mount("none", "/", flags=sc.MS_REC | sc.MS_PRIVATE)
    sc.bind(root, root, sc.MS_NODEV)
    for source, target, read_only in launch.binds:
        directory = _inside(root, target.strip("/"))
        sc.bind(source, directory, sc.MS_RDONLY | sc.MS_NODEV if read_only else sc.MS_NODEV)
    _mount_proc(_directory(root, "proc"))
    _mount_dev(_directory(root, "dev"))
    flags = sc.MS_NOSUID | sc.MS_NODEV
    volatile = _directory(root, VOLATILE)
    sc.mount("swap", volatile, "tmpfs", flags, "mode=0755,size=64m")
    for alias in ("system/volatile", "run"):
        path = Path(root, alias)
        if path.is_dir() and not path.is_symlink():
            sc.bind(volatile, str(path))


def _inside(root: str, name: str) -> str:
    """As `_directory`, but through no link, which could lead out of the zone."""
    path = Path(root)
    for part in name.split("/"):
        path /= part
        if path.is_symlink():
            raise OSError(
                errno.ELOOP, "is a symbolic link, nothing can be mounted there", str(path)
            )
        path.mkdir(exist_ok=True)
    return str(path)


def _directory(root: str, name: str) -> str:
    path = Path(root, name)
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


def _mount_proc(proc: str) -> None:
    sc.mount("proc", proc, "proc", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
    for name in READ_ONLY_PROC:
        path = Path(proc, name)
        if path.exists():
            sc.bind(str(path), str(path), sc.MS_RDONLY)


def _mount_dev(dev: str) -> None:
    sc.mount("dev", dev, "tmpfs", sc.MS_NOSUID, "mode=0755,size=64k")
    for name in DEVICES:
        node = Path(dev, name)
        node.touch()
        sc.bind(f"/dev/{name}", str(node))
    for name, target in DEVICE_LINKS.items():
        Path(dev, name).symlink_to(target)
    options = "newinstance,ptmxmode=0666,mode=0620"
    pts, shm = _directory(dev, "pts"), _directory(dev, "shm")
    sc.mount("devpts", pts, "devpts", sc.MS_NOSUID | sc.MS_NOEXEC, options)
    sc.mount("shm", shm, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=1777")


def _set_limits() -> None:
    wanted = (
        (resource.RLIMIT_CORE, (0, 0)),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, (PROCESSES, PROCESSES)),
    )
    for kind, (soft, most) in wanted:
        hard = resource.getrlimit(kind)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (min(soft, limit), limit))
