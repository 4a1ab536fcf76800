"""Packages in real zones: on demand, of another release, from a repository that is down."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.center import Center, alive, eventually
from embedded.faults import Faults
from embedded.fixtures import STORE, running
from embedded.pythons import OWN, PY

from .conftest import NewZone, Zone


@pytest.fixture(scope="module")
def center(able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """A data center with a store of its own, because these tests take packages out of it."""
    place = tmp_path_factory.mktemp("packages")
    if STORE.exists():
        copy_store(STORE, place / "store")
    yield from running(Center(place / "dc", place / "store"))


def copy_store(store: Path, to: Path) -> None:
    """The same packages without their room: files of a store are replaced, never written to."""

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    # the lock is held by its inode, and would be the same
    ignored = shutil.ignore_patterns("lock")
    shutil.copytree(store, to, symlinks=True, ignore=ignored, copy_function=link)


def test_a_package_on_demand_is_made_once_and_works(zone: Zone) -> None:
    pattern = f"/opt/.pkgsrc/*/packages/{PY}-networkx-*"
    for made in zone.center.store.glob(f"*/packages/{PY}-networkx-*"):
        shutil.rmtree(made)
    assert zone.run(f"ls -d {pattern}")[0] != 0
    output = zone.succeed(f"pkgin -y install {PY}-networkx")
    assert f"[1/1] downloading {PY}-networkx-" in output and ".tgz done.\n" in output
    code = "import networkx; print(networkx.path_graph(4).number_of_edges())"
    assert zone.succeed(f"/opt/local/bin/python{OWN} -c '{code}'") == "3\n"
    zone.succeed(f"pkgin -y remove {PY}-networkx")
    assert ".tgz" not in zone.succeed(f"pkgin -y install {PY}-networkx")


def test_two_zones_ask_for_the_same(new_zone: NewZone) -> None:
    zones = [new_zone(), new_zone()]
    for made in zones[0].center.store.glob(f"*/packages/{PY}-mpmath-*"):
        shutil.rmtree(made)
    config = str(zones[0].center.state / "ssh_config")
    running = [
        subprocess.Popen(
            ["ssh", "-F", config, each.address, f"/opt/local/bin/pkgin -y install {PY}-mpmath"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for each in zones
    ]
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum(".tgz" in output for output in outputs) == 1


def test_everything_on_demand_is_offered(zone: Zone) -> None:
    offered = zone.succeed("pkgin -p avail")
    for name in ("numpy", "scipy", "pandas", "matplotlib", "scikit-learn", "sympy", "jupyterlab"):
        assert f"{PY}-{name}-" in offered


def test_one_good_and_one_bad_name(zone: Zone) -> None:
    status, output = zone.run(f"pkgin -y install {PY}-decorator nosuch")
    assert status == 1
    assert "nosuch is not available in the repository\n" in output
    zone.succeed(f"pkg_info -qe {PY}-decorator")


def test_a_repository_that_is_down(zone: Zone, faults: Faults) -> None:
    zone.succeed("pkgin -y update")
    faults.order("repository_down", machine=zone.machine.name, reason="Connection refused", count=1)
    status, output = zone.run(f"pkgin -y install {PY}-decorator")
    assert status == 1
    assert output.startswith("pkgin: Could not fetch file:///opt/.pkgsrc/")
    assert output.endswith("pkg_summary.gz: Connection refused\n")
    # ordered for one request
    zone.succeed(f"pkgin -y install {PY}-decorator")
    faults.order("repository_down", machine="another", count=None)
    zone.succeed("pkgin -y update")


def test_without_the_rights(zone: Zone) -> None:
    zone.succeed(f"pkgin -y install {PY}-decorator")
    for command in ("-y install nosuch", "-y update", f"-y remove {PY}-decorator", "-y upgrade"):
        status, output = zone.run(f"su nobody -s /bin/sh -c 'pkgin {command}'")
        assert (status, output) == (
            1,
            "pkgin: You don't have enough rights for this operation.\n",
        )
    found = zone.succeed(f"su nobody -s /bin/sh -c 'pkgin list; pkg_info -e {PY}-decorator'")
    assert found.count(f"{PY}-decorator-") == 2


def test_pkgin_killed_and_run_again(zone: Zone) -> None:
    install = f"pkgin -y install {PY}-ipyparallel {PY}-numpy"
    zone.succeed("pkgin -y update")
    for tenths in (0, 1, 2, 3, 5):
        zone.run(f"{install} >/dev/null & sleep 0.{tenths}; kill -9 $!; wait $!")
        zone.succeed(install)
        zone.succeed(f"/opt/local/bin/python{OWN} -c 'import ipyparallel, numpy'")
        zone.succeed(f"pkgin -y remove python{OWN.replace('.', '')}")
        assert zone.run(f"ls /opt/local/bin/python{OWN}")[0] != 0


def test_an_index_that_cannot_be_reached(center: Center, tmp_path: Path) -> None:
    lonely = Center(tmp_path / "dc", tmp_path / "store")
    copy_store(center.store, lonely.store)
    for made in [*lonely.store.glob("*/*/*scikit_learn*"), *lonely.store.glob("*/*/*-scikit-*")]:
        shutil.rmtree(made) if made.is_dir() else made.unlink()
    lonely.variables.update(PIP_NO_INDEX="1", PIP_FIND_LINKS="", PIP_CONFIG_FILE="/dev/null")
    for _ in running(lonely):
        (machine,) = lonely.create("lonely")
        zone = Zone(lonely, machine)
        status, output = zone.run(f"pkgin -y install {PY}-scikit-learn")
        assert status == 1
        assert "pkgin: error downloading packages: pip could not download" in output
        assert "No matching distribution found for " in output
        assert zone.run(f"pkg_info -qe {PY}-numpy")[0] == 1


def test_an_image_whose_release_has_no_ipyparallel(new_zone: NewZone) -> None:
    old = new_zone(image="0a2b61d5-5f0c-4d7e-8f0b-23c4a1e62304")
    assert old.run("pkgin search ^py3[0-9]+-ipyparallel")[0] == 1
    assert "2023Q4" in old.succeed("cat /opt/local/etc/pkgin/repositories.conf")
    old.succeed(f"pkgin -y install {PY}-zmq {PY}-psutil {PY}-pip")
    # real pip, with what the store keeps
    python = f"/opt/local/bin/python{OWN}"
    old.succeed(f"{python} -m venv --system-site-packages --without-pip /root/v")
    output = old.succeed("/root/v/bin/python -m pip install ipyparallel")
    assert "Successfully installed" in output
    where = old.succeed("/root/v/bin/python -c 'import zmq, ipyparallel as i; print(i.__file__)'")
    assert where.startswith("/root/v/lib/")


def test_the_process_on_the_host_ends_with_the_data_center(tmp_path: Path, zone: Zone) -> None:
    center = Center(tmp_path / "dc", zone.center.store)
    center.run("start")
    try:
        found = fetchers(center)
        assert len(found) == 1
        assert resident(found[0]) < 20_000
        center.run("stop")
        eventually(lambda: not any(alive(pid) for pid in found), 10)
        center.run("start")
        found = fetchers(center)
        subprocess.run(["kill", "-9", str(center.process()["pid"])], check=True)
        eventually(lambda: not any(alive(pid) for pid in found), 10)
    finally:
        center.run("purge", check=False)


def fetchers(center: Center) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            where = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"localdc.pkgsrc.fetcher" in words and f"LOCALDC_DIR={center.state}\0".encode() in where:
            found.append(int(entry.name))
    return found


def resident(pid: int) -> int:
    """RSS in KiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def test_packages_before_a_machine_asks(zone: Zone) -> None:
    center = zone.center
    done = center.run("packages", "sympy")
    assert f"{PY}-sympy-" in done.stderr and f"{PY}-mpmath-" in done.stderr
    assert ".tgz" not in zone.succeed(f"pkgin -y install {PY}-sympy")
    refused = center.run("packages", "nosuch", check=False)
    assert refused.returncode == 1 and "no package nosuch" in refused.stderr
    refused = center.run("packages", check=False)
    assert refused.returncode == 1 and "--all" in refused.stderr


@pytest.mark.parametrize("requirement", ["six"])
def test_wheels_for_pip(zone: Zone, requirement: str) -> None:
    zone.center.run("packages", "--pip", requirement)
    zone.succeed(f"pkgin -y install {PY}-pip")
    zone.succeed(f"/opt/local/bin/python{OWN} -m pip install --target /root/t {requirement}")
    status, output = zone.run(f"/opt/local/bin/python{OWN} -m pip install nosuch-zzz")
    assert status == 1 and "No matching distribution found for nosuch-zzz" in output


def test_pip_has_no_wheel_with_compiled_parts(zone: Zone) -> None:
    """The package index has none for SunOS, and machines have no compiler."""
    center = zone.center
    refused = center.run("packages", "--pip", "shapely", check=False)
    assert refused.returncode == 1
    for words in ("has shapely==", "extra_packages", "--compiled"):
        assert words in refused.stderr
    zone.succeed(f"pkgin -y install {PY}-pip")
    pip = f"/opt/local/bin/python{OWN} -m pip install --target /root/t"
    # the packages of pkgsrc are made from such wheels
    for name in ("numpy", "shapely"):
        status, output = zone.run(f"{pip} {name}")
        assert status == 1 and f"No matching distribution found for {name}" in output
    said = center.run("packages", "--pip", "xarray").stderr
    assert "pandas comes from pkgsrc: -e extra_packages=pyNN-pandas" in said
    center.run("packages", "--pip", "--compiled", "shapely")
    zone.succeed(f"{pip} --no-deps shapely")
