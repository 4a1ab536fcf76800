"""The root file system of one zone."""

# Descriptors and raw system calls: for safety here, for speed there.
# ruff: noqa: PTH101, PTH102, PTH115, PTH116, PTH123, PTH208, PTH211

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from localdc.api.compute import ZoneSpec
from localdc.image import template
from localdc.image.host import ImageError
from localdc.image.layer import Layer
from localdc.pkgsrc import releases

_PRODUCT = """\
Name: Joyent Instance
Image: {name} {version}
Documentation: https://docs.smartos.org/
"""
_MOTD = """\

  {alias}: {name} {version} on the embedded data center "{dc}"
  A Linux namespace that keeps house like a SmartOS zone: SMF, pkgin, mdata.

"""


def create_root(layer: Layer, spec: ZoneSpec, root: Path) -> None:
    """Make the persistent root of a new zone in `root`, which must not exist.

    Runs inside the data center's user namespace, as its root.  Atomic: `root`
    appears complete or not at all.
    Raises ImageError when `root` exists already.
    """
    if root.exists():
        raise ImageError(f"{root} exists already")
    root.parent.mkdir(parents=True, exist_ok=True)
    scratch = root.with_name(f".{root.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    _copy(str(layer.template), str(scratch))
    words = {"name": spec.image_name, "version": spec.image_version, "dc": spec.dc_name}
    (scratch / "etc/product").write_text(_PRODUCT.format(**words))
    (scratch / "etc/motd").write_text(_MOTD.format(alias=spec.alias, **words))
    conf = scratch / template.REPOSITORIES
    default = conf.read_text().splitlines()[-1]
    conf.write_text(template.repositories(releases.repository(default, spec.image_version)))
    configure_root(layer, spec, scratch)
    _set_hostname(scratch / "etc", zone_hostname(spec))
    _make_host_keys(scratch / "var/ssh", zone_hostname(spec))
    scratch.rename(root)


def configure_root(layer: Layer, spec: ZoneSpec, root: Path) -> None:
    """Write what depends on `spec` into `root`: addresses, resolvers, keys.

    Called before each boot, and for a running zone when its keys change.
    Leaves alone what an administrator of the zone changed elsewhere.
    Never follows a symbolic link of the zone, whose root owns these files.
    Raises ImageError when the zone has made a directory unusable.
    """
    with _directory(root, "etc") as etc:
        wanted = {
            "zonename": f"{spec.uuid}\n",
            "resolv.conf": _resolv_conf(spec),
            "defaultrouter": _default_router(spec),
        }
        wanted |= {f"hostname.{nic.interface}": f"{nic.ip}/{nic.prefix}\n" for nic in spec.nics}
        for name in os.listdir(etc):
            if name.startswith("hostname.") and name not in wanted:
                os.unlink(name, dir_fd=etc)
        for name, text in wanted.items():
            _replace(etc, name, text)
    with _directory(root, "var/ssh/authorized_keys") as keys:
        _replace(keys, "root", "".join(f"{key.strip()}\n" for key in spec.authorized_keys))


def _set_hostname(etc: Path, name: str) -> None:
    """As zoneinit does in a zone's first boot, and never again (its 12-network.sh)."""
    (etc / "nodename").write_text(f"{name}\n")
    hosts = etc / "inet/hosts"
    hosts.write_text(re.sub(r"(?m)^(127\.0\.0\.1.*)$", rf"\1 {name}", hosts.read_text()))


def _make_host_keys(directory: Path, host: str) -> None:
    """What the start method of svc:/network/ssh would make in every zone, ten times as slowly."""
    keys: dict[str, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey] = {
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    }
    for kind, key in keys.items():
        path = directory / f"ssh_host_{kind}_key"
        path.touch(0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        path.with_suffix(".pub").write_bytes(b"%s root@%s\n" % (public, host.encode()))


def zone_hostname(spec: ZoneSpec) -> str:
    """The host name of a new zone: what CloudAPI set, else its uuid (zoneinit, 02-config.sh)."""
    return spec.hostname or spec.uuid


def _resolv_conf(spec: ZoneSpec) -> str:
    lines = [f"search {spec.dns_domain}"] if spec.dns_domain else []
    lines += [f"nameserver {address}" for address in spec.resolvers]
    return "".join(f"{line}\n" for line in lines)


def _default_router(spec: ZoneSpec) -> str:
    return "".join(f"{nic.gateway}\n" for nic in spec.nics if nic.primary and nic.gateway)


@contextmanager
def _directory(root: Path, name: str) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    current = os.open(root, flags)
    try:
        for part in name.split("/"):
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=current)
            try:
                below = os.open(part, flags, dir_fd=current)
            except OSError as error:
                raise ImageError(
                    f"/{name} of the zone in {root} is not a directory ({error.strerror}); "
                    "repair it there, the compute node keeps files in it"
                ) from None
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def _read(directory: int, name: str) -> str:
    try:
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory
        )
    except OSError:
        return ""
    with open(descriptor, errors="replace") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return file.read(1 << 20)


def _replace(directory: int, name: str, text: str) -> None:
    if _read(directory, name) == text:
        return
    temporary = f".{name}.compute-node"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o644, dir_fd=directory)
    with open(descriptor, "w") as file:
        os.fchmod(descriptor, 0o644)
        file.write(text)
    try:
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        raise ImageError(f"cannot replace {name} of the zone: {error.strerror}") from None


def _copy(source: str, target: str) -> None:
    """Copy a tree of directories, links and files, modes included.

    shutil.copytree takes three times as long, and every zone waits for it.
    """
    os.mkdir(target)
    with os.scandir(source) as entries:
        for entry in entries:
            destination = f"{target}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), destination)
            elif entry.is_dir(follow_symlinks=False):
                _copy(entry.path, destination)
            else:
                _copy_file(entry, destination)
    os.chmod(target, os.stat(source).st_mode & 0o7777)


def _copy_file(entry: os.DirEntry[str], target: str) -> None:
    status = entry.stat(follow_symlinks=False)
    with open(entry.path, "rb") as reader, open(target, "xb", buffering=0) as writer:
        while data := reader.read(1 << 20):
            writer.write(data)
        os.fchmod(writer.fileno(), status.st_mode & 0o7777)
