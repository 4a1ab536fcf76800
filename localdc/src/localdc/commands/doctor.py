"""`localdc doctor`: try everything the data center needs, and name what is missing."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localdc import LocalDCError
from localdc.access import require_program
from localdc.commands.starting import MINIMUM_DISK
from localdc.image.host import Host
from localdc.paths import StateDir
from localdc.zones import cores, probes
from localdc.zones.container import OPEN_FILES
from localdc.zones.isolate import IsolationError, run_as_mapped_root, subordinate_ids, user_name
from localdc.zones.syscalls import SYS_PIVOT_ROOT

REAL = (
    "OpenSSH's sshd and ssh-agent, TCP/IP between machines, process, mount and network "
    "isolation by the kernel",
    "HTTP signatures, checked on every request against the account's keys",
    "Python, numpy, ZeroMQ and every other package: the same files as on any Linux",
)
EMULATED = (
    "CloudAPI, SMF, pkgin, mdata and the illumos commands: written for this data center after "
    "their documentation",
    "the kernel is Linux: uname says so, and no zone has ZFS, DTrace or crossbow",
    "memory, CPU and disk limits of packages are recorded, not enforced",
    "firewall rules are enforced by nftables in each zone; a fabric network is a bridge of its "
    "own, with internet_nat masqueraded by nftables",
    "volumes are directories shared by the zones, not NFS, and may outgrow their size; "
    "snapshots are copies",
    "CNS names resolve in the zones; the name server knows no others",
    "no route leads from a machine to the host or beyond; `localdc connect` leads in",
    "zones separate users' mistakes, not attackers: root of a zone is not to be trusted",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `remedy` says what to do when it is not `ok`."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def run(paths: StateDir) -> int:
    """Print every check and what is real; 0 when the data center can run here."""
    checks = list(examine(paths))
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = "ok     " if check.ok else "MISSING"
        print(f"{mark}  {check.name.ljust(width)}  {check.detail}")
        if not check.ok:
            print(f"         {' ' * width}  -> {check.remedy}")
    for title, lines in (
        ("Real:", REAL),
        ("Emulated or absent:", EMULATED),
        ("As this host allows:", tuple(host_limits(Host()))),
    ):
        print(f"\n{title}")
        for line in lines:
            print(f"  - {line}")
    missing = [check.name for check in checks if not check.ok]
    if missing:
        print(f"\nThe data center cannot run here. Missing: {', '.join(missing)}.")
        return 1
    print("\nThe data center can run here.")
    return 0


def host_limits(host: Host) -> Iterator[str]:
    """What machines have from the host that others may have otherwise; nothing of it is fatal."""
    if host.ksh93 is not None:
        yield "/bin/sh of machines is ksh93, as on illumos (in POSIX mode, as 93u+m calls it)"
    else:
        yield (
            "/bin/sh of machines is the host's, not ksh93 as on illumos, so that scripts may work "
            "that do not there; as root: apt-get install ksh"
        )
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = OPEN_FILES[1]
    if hard not in (resource.RLIM_INFINITY, most) and hard < most:
        yield (
            f"a process in a machine may have {hard} open files at most, not {most}: raise the "
            f"hard limit, ulimit -H -n {most}, before the start"
        )


def failures(paths: StateDir) -> list[Check]:
    """The checks that did not pass."""
    return [check for check in examine(paths) if not check.ok]


def examine(paths: StateDir) -> Iterator[Check]:
    """Make every check, the cheap ones first."""
    yield _python()
    yield from _programs()
    yield _merged_usr()
    yield _state_directory(paths)
    yield _disk(paths)
    yield _loopback()
    yield _crashes()
    allowed = True
    if os.geteuid() != 0:
        for check in _unprivileged():
            allowed = allowed and check.ok
            yield check
    # Without a user namespace each trial would only repeat what is missing.
    if allowed:
        yield from _kernel(paths)


def _crashes() -> Check:
    """Not needed to run: it says how much of a contract's events there is."""
    try:
        cores.listen().close()
    except OSError as error:
        detail = f"only those of daemons are noticed by SMF, and those of no child ({error})"
        return Check("crashes", True, detail)
    return Check("crashes", True, "SMF sees every program of a service that dumps core")


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    machine = os.uname().machine
    ok = sys.version_info >= (3, 11) and machine in SYS_PIVOT_ROOT
    remedy = f"Python 3.11 or newer on {' or '.join(SYS_PIVOT_ROOT)} is needed."
    return Check("python", ok, f"{version} on {machine} ({sys.executable})", remedy)


def _programs() -> Iterator[Check]:
    needed = [("sshd", "openssh-server"), ("ssh", "openssh-client")]
    needed += [("ssh-agent", "openssh-client"), ("ssh-keygen", "openssh-client")]
    needed += [("nft", "nftables")]
    for name, package in needed:
        try:
            yield Check(name, True, require_program(name, package))
        except LocalDCError:
            remedy = f"As root: apt-get install {package}"
            yield Check(name, False, "not installed", remedy)


def _merged_usr() -> Check:
    apart = [name for name in ("/bin", "/sbin", "/lib") if not Path(name).is_symlink()]
    remedy = "Zones share the host's /usr. As root: apt-get install usrmerge"
    detail = f"{', '.join(apart)} not in /usr" if apart else "/bin, /sbin and /lib are in /usr"
    return Check("merged /usr", not apart, detail, remedy)


def _state_directory(paths: StateDir) -> Check:
    place = _existing(paths.root)
    ok = os.access(place, os.W_OK | os.X_OK)
    detail = f"{paths.root}" if ok else f"{place} cannot be written by {user_name()}"
    return Check("state directory", ok, detail, "Set LOCALDC_DIR to a directory you may write.")


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _disk(paths: StateDir) -> Check:
    free = shutil.disk_usage(_existing(paths.root)).free
    remedy = f"At least {MINIMUM_DISK >> 20} MiB are needed; or set LOCALDC_DIR."
    return Check("disk space", free >= MINIMUM_DISK, f"{free >> 20} MiB free", remedy)


def _loopback() -> Check:
    try:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
    except OSError as error:
        return Check("loopback", False, f"{error.strerror}", "ip link set lo up")
    return Check("loopback", True, "127.0.0.1 can be listened on")


def _unprivileged() -> Iterator[Check]:
    for name in ("newuidmap", "newgidmap"):
        path = shutil.which(name)
        yield Check(name, bool(path), path or "not installed", "As root: apt-get install uidmap")
    try:
        ids = subordinate_ids()
        assert ids is not None
        detail = f"uids from {ids.uid} ({ids.uid_count}), gids from {ids.gid} ({ids.gid_count})"
        yield Check("subordinate ids", True, detail)
    except IsolationError as error:
        text, _, command = str(error).partition(" As root: ")
        remedy = f"As root: {command}" if command else "Repair the file."
        yield Check("subordinate ids", False, text, remedy)
    for name, wanted, forbidden in (
        ("kernel.unprivileged_userns_clone", "1", "0"),
        ("kernel.apparmor_restrict_unprivileged_userns", "0", "1"),
        ("user.max_user_namespaces", "10000", "0"),
    ):
        setting = Path("/proc/sys", *name.split(".", 1))
        value = setting.read_text().strip() if setting.exists() else None
        if value is not None:
            remedy = f"As root: sysctl -w {name}={wanted}"
            yield Check(name, value != forbidden, value, remedy)


def _kernel(paths: StateDir) -> Iterator[Check]:
    with tempfile.TemporaryDirectory(prefix="localdc-", dir=_writable(paths)) as scratch:
        try:
            messages = run_as_mapped_root(lambda report: probes.run_all(Path(scratch), report))
        except IsolationError as error:
            yield Check("user namespace", False, str(error), probes.FORBIDDEN)
            return
    if os.geteuid() != 0:
        yield Check("user namespace", True, f"{user_name()} is root in it")
    for message in messages:
        yield Check(message["name"], message["ok"], message["detail"], message["remedy"])


def _writable(paths: StateDir) -> Path:
    """Where the zones' files will be, because overlayfs depends on the file system."""
    place = _existing(paths.root)
    return place if os.access(place, os.W_OK) else Path(tempfile.gettempdir())
