"""The layer over /usr and the roots of zones, made for a host that is a directory."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from localdc.api.compute import Nic, ZoneSpec
from localdc.daemon.options import LENIENT
from localdc.image import ImageError, Layer, build_layer, configure_root, create_root
from localdc.image.host import Host
from localdc.pkgsrc.store import Store

NICS = (
    Nic(
        *("net0", "90:b8:d0:00:00:01", "100.64.0.10", "255.255.252.0", 22, "100.64.0.1"),
        *("n0", "external", "external", True),
    ),
    Nic(
        *("net1", "90:b8:d0:00:00:02", "10.99.0.10", "255.255.252.0", 22, None),
        *("n1", "internal", "internal", False),
    ),
)
SPEC = ZoneSpec(
    uuid="6f0f4b44-8a6c-4d3f-9f0c-0d5b6a1d7e10",
    alias="ip_Controller",
    hostname="ip-controller",
    owner="owner",
    image_uuid="image",
    image_name="base-64-lts",
    image_version="24.4.1",
    package="sample-512M",
    nics=NICS,
    ram=512,
    disk=1024,
    cpu_cap=None,
    tags={},
    customer_metadata={},
    internal_metadata={},
    authorized_keys=("ssh-ed25519 AAAA one",),
    resolvers=("100.64.0.1",),
    dc_name="localdc",
    server_uuid="server",
    dns_domain="localdc.test",
)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    root = tmp_path / "host"
    names = "python3 python3.11 pip3 apt-get dpkg systemctl sudo grep awk hostname unshare"
    for name in [*names.split(), "ssh-keygen", "pipewire", "rpcinfo", "aptly-not"]:
        path = root / "usr/bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in ("usr/sbin/sshd", "usr/sbin/service", "usr/local/bin/x", "etc/services"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "usr/lib/python3.11").mkdir(parents=True)
    for name in ("bin", "sbin", "lib"):
        (root / name).symlink_to(f"usr/{name}")
    return Host(root)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    result = Store(
        tmp_path / "store", "cp311-test", "311", "3.11", "python311-3.11.7", "cp311-test"
    )
    library = result.directory / "packages/python311-3.11.7/lib/libpython3.11.so.1.0"
    library.parent.mkdir(parents=True)
    library.touch()
    return result


@pytest.fixture
def layer(tmp_path: Path, store: Store, host: Host) -> Layer:
    return build_layer(tmp_path / "state", store, host)


def hidden(layer: Layer) -> set[str]:
    found = set()
    for path in layer.usr.rglob("*"):
        status = path.lstat()
        if stat.S_ISCHR(status.st_mode):
            assert status.st_rdev == 0
            found.add(str(path.relative_to(layer.usr)))
    return found


def test_what_zones_do_not_see(layer: Layer) -> None:
    assert hidden(layer) == {
        "bin/apt-get",
        "bin/dpkg",
        "bin/pip3",
        "bin/python3",
        "bin/python3.11",
        "bin/sudo",
        "bin/systemctl",
        "lib/python3.11",
        "local",
        "sbin/service",
    }


def test_commands(layer: Layer) -> None:
    for name in ("bin/svcs", "bin/svcprop", "sbin/svcadm", "sbin/svccfg", "sbin/mdata-get"):
        script = layer.usr / name
        assert script.read_text().startswith("#!/usr/lib/localdc/python/bin/python3.11 -IS\n")
        assert os.access(script, os.X_OK)
    compiled = layer.usr / "lib/localdc/lib/smartos/pkgsrc/__pycache__"
    assert list(compiled.glob("pkgin.*.pyc"))
    assert layer.startd == "/usr/lib/localdc/lib/startd.py"


def test_private_interpreter_comes_from_the_store(layer: Layer) -> None:
    package = "/opt/.pkgsrc/cp311-test/packages/python311-3.11.7"
    assert str((layer.usr / "lib/localdc/python").readlink()) == package
    libraries = [path for path in layer.usr.rglob("*") if path.name.startswith("libpython")]
    assert [str(path.readlink()) for path in libraries] == [f"{package}/lib/libpython3.11.so.1.0"]


def test_layer_is_reused_until_something_changes(
    tmp_path: Path, layer: Layer, store: Store, host: Host
) -> None:
    assert build_layer(tmp_path / "state", store, host) == layer
    (host.usr / "bin/python3.12").touch()
    other = build_layer(tmp_path / "state", store, host)
    assert other.usr != layer.usr
    assert not layer.usr.exists()


def test_the_shell_is_ksh93_where_the_host_has_it(
    tmp_path: Path, layer: Layer, store: Store, host: Host
) -> None:
    assert not (layer.usr / "bin/sh").exists()
    (host.usr / "bin/ksh93").touch()
    other = build_layer(tmp_path / "state", store, host)
    assert str((other.usr / "bin/sh").readlink()) == "ksh93"
    # a different layer, so that a start with the option gets what it asked for
    lenient = build_layer(tmp_path / "state", store, host, lenient=("shell",))
    assert lenient.usr != other.usr and not (lenient.usr / "bin/sh").is_symlink()


def test_what_may_be_more_generous(tmp_path: Path, layer: Layer, store: Store, host: Host) -> None:
    (host.usr / "bin/timeout").touch()
    austere = build_layer(tmp_path / "austere", store, host)
    generous = build_layer(tmp_path / "generous", store, host, lenient=tuple(LENIENT))
    assert "bin/timeout" in hidden(austere) and "bin/timeout" not in hidden(generous)
    python = "lib/localdc/lib/smartos/python/sitecustomize.py"
    for name in ("bin/grep", "bin/pgrep", python):
        assert (austere.usr / name).is_file(), name
    assert not (generous.usr / "bin/grep").exists()
    assert not (generous.usr / python).exists()
    for layer in (austere, generous):
        assert (layer.usr / "lib/localdc/gnu/bin/grep").is_symlink()
        assert (layer.usr / "lib/localdc/host/grep").is_file()


def test_a_program_that_the_host_replaced_is_copied_again(
    tmp_path: Path, layer: Layer, store: Store, host: Host
) -> None:
    (host.usr / "bin/grep").write_text("newer")
    other = build_layer(tmp_path / "state", store, host)
    assert (other.usr / "lib/localdc/host/grep").read_text() == "newer"


def test_missing_sshd_names_the_package(tmp_path: Path, store: Store, host: Host) -> None:
    (host.usr / "sbin/sshd").unlink()
    with pytest.raises(ImageError, match="apt-get install openssh-server"):
        build_layer(tmp_path / "state", store, host)


def test_split_usr_is_refused(tmp_path: Path, store: Store, host: Host) -> None:
    (host.root / "lib").unlink()
    (host.root / "lib").mkdir()
    with pytest.raises(ImageError, match="merged /usr"):
        build_layer(tmp_path / "state", store, host)


def test_root_of_a_new_zone(tmp_path: Path, layer: Layer) -> None:
    root = tmp_path / "zones/z/root"
    create_root(layer, SPEC, root)
    modes = {"root": 0o700, "tmp": 0o1777, "etc/shadow": 0o400, "root/.ssh": 0o700}
    for name, mode in modes.items():
        assert stat.S_IMODE((root / name).stat().st_mode) == mode, name
    assert "Image: base-64-lts 24.4.1\n" in (root / "etc/product").read_text()
    assert (root / "var/svc/provisioning").exists()
    assert (root / "etc/svc/repository.db").stat().st_size > 0
    assert str((root / "lib").readlink()) == "usr/lib"
    assert (
        "file:///opt/.pkgsrc/cp311-test/All"
        in (root / "opt/local/etc/pkgin/repositories.conf").read_text()
    )
    assert not list(root.parent.glob(".*"))
    with pytest.raises(ImageError, match="exists already"):
        create_root(layer, SPEC, root)


def test_every_zone_has_host_keys_of_its_own(tmp_path: Path, layer: Layer) -> None:
    seen = set()
    for number in range(2):
        root = tmp_path / f"zones/{number}/root"
        create_root(layer, SPEC, root)
        for kind in ("ed25519", "ecdsa"):
            key = root / f"var/ssh/ssh_host_{kind}_key"
            assert stat.S_IMODE(key.stat().st_mode) == 0o600
            command = ["ssh-keygen", "-y", "-P", "", "-f", str(key)]
            public = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            words = key.with_suffix(".pub").read_text().split()
            assert words == [*public.split()[:2], "root@ip-controller"]
            seen.add(words[1])
    assert len(seen) == 4


def test_roots_are_made_fast(tmp_path: Path, layer: Layer) -> None:
    times = []
    for number in range(5):
        before = time.process_time()
        create_root(layer, SPEC, tmp_path / f"zones/{number}/root")
        times.append(time.process_time() - before)
    assert min(times) < 0.05


def test_half_made_root_is_made_again(tmp_path: Path, layer: Layer) -> None:
    leftover = tmp_path / "zones/z/.root.new/etc"
    leftover.mkdir(parents=True)
    create_root(layer, SPEC, tmp_path / "zones/z/root")
    assert not leftover.exists()


@pytest.fixture
def root(tmp_path: Path, layer: Layer) -> Path:
    path = tmp_path / "zones/z/root"
    create_root(layer, SPEC, path)
    return path


def test_names_and_addresses(root: Path) -> None:
    # zoneinit, includes/12-network.sh: the name is appended to the line of 127.0.0.1
    hosts = "::1\tlocalhost\n127.0.0.1\tlocalhost loghost ip-controller\n"
    assert (root / "etc/hosts").read_text() == (root / "etc/inet/hosts").read_text() == hosts
    assert (root / "etc/nodename").read_text() == "ip-controller\n"
    assert (root / "etc/zonename").read_text() == f"{SPEC.uuid}\n"
    assert (root / "etc/hostname.net0").read_text() == "100.64.0.10/22\n"
    assert (root / "etc/defaultrouter").read_text() == "100.64.0.1\n"
    assert (root / "etc/resolv.conf").read_text() == "search localdc.test\nnameserver 100.64.0.1\n"
    keys = root / "var/ssh/authorized_keys/root"
    assert keys.read_text() == "ssh-ed25519 AAAA one\n"


def test_a_zone_without_a_host_name_is_called_by_its_uuid(tmp_path: Path, layer: Layer) -> None:
    """CloudAPI sets none for an account without CNS (lib/machines.js; zoneinit, 02-config.sh)."""
    root = tmp_path / "zones/z/root"
    create_root(layer, replace(SPEC, hostname=None), root)
    assert (root / "etc/nodename").read_text() == f"{SPEC.uuid}\n"
    assert f"127.0.0.1\tlocalhost loghost {SPEC.uuid}\n" in (root / "etc/hosts").read_text()


def test_configure_keeps_what_the_administrator_wrote(root: Path, layer: Layer) -> None:
    """Names are written once, by zoneinit; sm-set-hostname changes them for good."""
    (root / "etc/inet/hosts").write_text("127.0.0.1 localhost\n10.1.2.3 mine\n")
    (root / "etc/nodename").write_text("mine\n")
    configure_root(layer, replace(SPEC, alias="renamed", nics=NICS[:1]), root)
    assert (root / "etc/hosts").read_text() == "127.0.0.1 localhost\n10.1.2.3 mine\n"
    assert (root / "etc/nodename").read_text() == "mine\n"
    assert not (root / "etc/hostname.net1").exists()
    configure_root(layer, replace(SPEC, authorized_keys=()), root)
    assert (root / "var/ssh/authorized_keys/root").read_text() == ""


def test_configure_never_follows_links_of_the_zone(
    tmp_path: Path, root: Path, layer: Layer
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched\n")
    (root / "etc/zonename").unlink()
    (root / "etc/zonename").symlink_to(victim)
    configure_root(layer, SPEC, root)
    assert victim.read_text() == "untouched\n"
    assert (root / "etc/zonename").read_text() == f"{SPEC.uuid}\n"
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "etc").rename(root / "etc.old")
    (root / "etc").symlink_to(outside)
    with pytest.raises(ImageError, match="is not a directory"):
        configure_root(layer, SPEC, root)
    assert not list(outside.iterdir())


def test_a_fifo_in_place_of_a_file_does_not_block(root: Path, layer: Layer) -> None:
    (root / "etc/zonename").unlink()
    os.mkfifo(root / "etc/zonename")
    configure_root(layer, SPEC, root)
    assert (root / "etc/zonename").read_text() == f"{SPEC.uuid}\n"
