"""Small trials of every kernel feature that zones are made of, each in a process of its own."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

from localdc.api.compute import FirewallRule
from localdc.zones import packetfilter
from localdc.zones import syscalls as sc
from localdc.zones.container import CAPABILITIES
from localdc.zones.isolate import Report

FORBIDDEN = (
    "A container or security policy forbids it; run on the host, in a virtual machine, or in a "
    "container with --privileged."
)
ABSENT = "The kernel lacks it; load the module or use a distribution kernel: modprobe {module}"
OTHER_USER = 33


def run_all(scratch: Path, report: Report) -> None:
    """Try everything; one report {name, ok, detail, remedy} each.

    `scratch` is an empty directory where the zones' files would be.
    """
    for name, module, trial in TRIALS:
        place = scratch / name.replace(" ", "-").replace("/", "-")
        place.mkdir()
        detail, number = _try(trial, place)
        remedy = ""
        if number is not None:
            absent = number in (errno.ENODEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
            remedy = ABSENT.format(module=module) if absent and module else FORBIDDEN
        report(name=name, ok=number is None, detail=detail, remedy=remedy)


def _try(trial: Callable[[Path], str], place: Path) -> tuple[str, int | None]:
    """(detail, errno) of a trial made in a forked child; errno None when it worked."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        result: tuple[str, int | None]
        try:
            result = trial(place), None
        except OSError as error:
            result = f"{error.filename or trial.__name__}: {error.strerror}", error.errno or 0
        except BaseException as error:
            result = f"{type(error).__name__}: {error}", 0
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as results:
        text = results.read()
    os.waitpid(child, 0)
    if not text:
        return "the trial was killed", 0
    detail, number = json.loads(text)
    return detail, number


def _private_mounts() -> None:
    sc.unshare(sc.CLONE_NEWNS, "create a mount namespace")
    sc.mount("none", "/", flags=sc.MS_REC | sc.MS_PRIVATE)


def _namespace(flag: int, name: str) -> Callable[[Path], str]:
    def trial(_: Path) -> str:
        sc.unshare(flag, f"create a {name} namespace")
        return "works"

    return trial


def _processes(place: Path) -> str:
    _private_mounts()
    sc.unshare(sc.CLONE_NEWPID, "create a pid namespace")
    child = os.fork()
    if child == 0:
        try:
            flags = sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC
            sc.mount("proc", str(place), "proc", flags)
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number:
        raise OSError(number, os.strerror(number), "mount proc in a pid namespace")
    return "a pid namespace with its own /proc"


def _overlay(place: Path) -> str:
    _private_mounts()
    for name in ("layer", "below", "merged"):
        (place / name).mkdir()
    (place / "below" / "hidden").write_text("")
    (place / "below" / "seen").write_text("")
    os.mknod(place / "layer" / "hidden", stat.S_IFCHR, os.makedev(0, 0))
    options = f"lowerdir={place / 'layer'}:{place / 'below'}"
    sc.mount("overlay", str(place / "merged"), "overlay", sc.MS_RDONLY, options)
    names = sorted(entry.name for entry in (place / "merged").iterdir())
    if names != ["seen"]:
        raise OSError(errno.EINVAL, f"whiteouts do not hide: {names}", "overlayfs")
    return "read-only, with whiteouts"


def _system_mounts(place: Path) -> str:
    _private_mounts()
    sc.mount("tmpfs", str(place), "tmpfs", sc.MS_NOSUID, "mode=0755")
    for name in ("pts", "bound"):
        (place / name).mkdir()
    options = "newinstance,ptmxmode=0666,mode=0620"
    sc.mount("devpts", str(place / "pts"), "devpts", sc.MS_NOSUID | sc.MS_NOEXEC, options)
    sc.bind("/usr", str(place / "bound"), sc.MS_RDONLY)
    (place / "null").touch()
    sc.bind("/dev/null", str(place / "null"))
    (place / "null").write_text("swallowed")
    return "tmpfs, devpts, read-only and device binds"


def _pivot(place: Path) -> str:
    _private_mounts()
    sc.bind(str(place), str(place), sc.MS_NODEV)
    sc.pivot_root(str(place))
    return "works"


def _links(_: Path) -> str:
    from pyroute2 import IPRoute  # type: ignore[import-untyped]
    from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

    sc.unshare(sc.CLONE_NEWNET, "create a network namespace")
    step = "open netlink"
    try:
        with IPRoute() as route:
            step = "create a bridge"
            route.link("add", ifname="br0", kind="bridge")
            step = "create a veth pair"
            route.link("add", ifname="z0", kind="veth", peer={"ifname": "net0"})
            bridge = route.link_lookup(ifname="br0")[0]
            index = route.link_lookup(ifname="z0")[0]
            step = "put an interface on a bridge"
            route.link("set", index=index, master=bridge, state="up")
            step = "set an address"
            route.addr("add", index=bridge, address="100.64.0.1", prefixlen=22)
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code), step) from None
    return "bridge, veth pair, addresses"


def _firewall(_: Path) -> str:
    sc.unshare(sc.CLONE_NEWNET, "create a network namespace")
    rules = (FirewallRule("in", "allow", "tcp", ("100.64.0.1",), ((22, 22),)),)
    try:
        packetfilter.apply(packetfilter.ruleset(rules))
        packetfilter.apply(packetfilter.masquerade("inside", "outside"))
    except packetfilter.FilterError as error:
        raise OSError(errno.EOPNOTSUPP, str(error), "firewall") from None
    return "nftables with connection tracking and masquerading"


def _identities(_: Path) -> str:
    sc.drop_bounding_capabilities(CAPABILITIES)
    os.setgroups([])
    os.setresgid(OTHER_USER, OTHER_USER, OTHER_USER)
    os.setresuid(OTHER_USER, OTHER_USER, OTHER_USER)
    return "capabilities can be dropped and users changed"


TRIALS: tuple[tuple[str, str, Callable[[Path], str]], ...] = (
    ("mount namespace", "", _namespace(sc.CLONE_NEWNS, "mount")),
    ("network namespace", "", _namespace(sc.CLONE_NEWNET, "network")),
    ("uts and ipc namespace", "", _namespace(sc.CLONE_NEWUTS | sc.CLONE_NEWIPC, "uts or ipc")),
    ("cgroup namespace", "", _namespace(sc.CLONE_NEWCGROUP, "cgroup")),
    ("pid namespace", "", _processes),
    ("overlayfs", "overlay", _overlay),
    ("tmpfs and devpts", "", _system_mounts),
    ("pivot_root", "", _pivot),
    ("bridge and veth", "veth bridge", _links),
    ("firewall", "nf_tables nf_conntrack", _firewall),
    ("users", "", _identities),
)
