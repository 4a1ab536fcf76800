"""Namespace and mount system calls that Python's os module lacks before 3.12.

Every function raises OSError with the failing step as its file name.
"""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x0002_0000
CLONE_NEWCGROUP = 0x0200_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_RELATIME = 1 << 21
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, step: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), step)


def unshare(flags: int, step: str = "unshare") -> None:
    """unshare(2) of the calling thread."""
    _check(_libc.unshare(flags), step)


def setns(descriptor: int, kind: int, step: str = "setns") -> None:
    """setns(2) of the calling thread."""
    _check(_libc.setns(descriptor, kind), step)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        os.fsencode(options) or None,
    )
    _check(result, f"mount {kind or source} on {target}")


def bind(source: str, target: str, flags: int = 0) -> None:
    """Bind-mount `source` and, as a second step, change its flags (MS_RDONLY, MS_NODEV ...).

    A user namespace may not clear the flags that the source already has.
    """
    mount(source, target, flags=MS_BIND)
    if flags:
        locked = _mount_flags(target)
        mount("", target, flags=MS_REMOUNT | MS_BIND | flags | locked)


def _mount_flags(path: str) -> int:
    present = os.statvfs(path).f_flag
    translation = (
        (os.ST_RDONLY, MS_RDONLY),
        (os.ST_NOSUID, MS_NOSUID),
        (os.ST_NODEV, MS_NODEV),
        (os.ST_NOEXEC, MS_NOEXEC),
        (os.ST_NOATIME, MS_NOATIME),
        (os.ST_NODIRATIME, MS_NODIRATIME),
        (os.ST_RELATIME, MS_RELATIME),
    )
    return sum(flag for bit, flag in translation if present & bit)


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc.umount2(os.fsencode(target), flags), f"unmount {target}")


def pivot_root(directory: str) -> None:
    """Make `directory` (a mount point) the root and let go of the old one, pivot_root(2)."""
    number = SYS_PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(0, f"unknown machine type {os.uname().machine}", "pivot_root")
    os.chdir(directory)
    _check(_libc.syscall(ctypes.c_long(number), b".", b"."), "pivot_root")
    umount(".", MNT_DETACH)
    os.chdir("/")


def prctl(option: int, argument: int | bytes, step: str) -> int:
    """prctl(2) with one argument."""
    value = argument if isinstance(argument, bytes) else ctypes.c_ulong(argument)
    result: int = _libc.prctl(option, value, 0, 0, 0)
    _check(result, step)
    return result


def drop_bounding_capabilities(keep: frozenset[int]) -> None:
    """Take every capability but `keep` from what later programs can have."""
    capability = 0
    while True:
        try:
            present = prctl(PR_CAPBSET_READ, capability, "read bounding set")
        except OSError:
            return
        if present and capability not in keep:
            prctl(PR_CAPBSET_DROP, capability, f"drop capability {capability}")
        capability += 1
