"""extra_packages and python_packages from the command line to what engines can import."""

from __future__ import annotations

import ipyparallel as ipp
import pytest

from embedded.center import Center
from embedded.faults import Faults
from embedded.pythons import PY

from ..cluster.playbooks import Cluster

OLD = "base-64-lts@23.4.0"


def versions(cluster: Cluster, *names: str) -> list[str]:
    """The versions that an engine imports."""

    def found(names: tuple[str, ...]) -> list[str]:
        from importlib import import_module, metadata

        for name in names:
            import_module(name)
        return [metadata.version(name) for name in names]

    # engines do not have this module, so the function has to travel by value
    found.__module__ = "__main__"
    client = cluster.client()
    try:
        view: ipp.DirectView = client[client.ids[0]]
        result: list[str] = view.apply_sync(found, names)
        return result
    finally:
        client.close()


@pytest.mark.parametrize("image", ["base-64-lts@24.4.1", OLD])
def test_packages_of_both_kinds(center: Center, cluster: Cluster, image: str) -> None:
    center.run("packages", "--pip", "lark==1.3.1")
    variables = {"engines": 1, "machine_image": image}
    cluster.play("site.yml", **variables)
    wanted = {
        **variables,
        "extra_packages": "pyNN-scipy>=1.10",
        "python_packages": ["lark >= 1"],
    }
    planned = cluster.play("site.yml", "--check", "--diff", **wanted)
    assert f"+ package {PY}-scipy>=1.10 installed" in planned.output
    assert "+ Python package lark>=1 installed" in planned.output
    assert (
        cluster.ssh("engine", f"/opt/local/sbin/pkg_info -qe {PY}-scipy || echo absent")
        == "absent\n"
    )
    done = cluster.play("site.yml", **wanted)
    assert done.total("changed") >= 2
    assert versions(cluster, "scipy", "lark", "numpy", "ipyparallel")[1] == "1.3.1"
    again = cluster.play("site.yml", **wanted)
    assert again.total("changed") == 0, again.output
    by_pip = cluster.ssh("engine", "ls /opt/local/libexec/ipyparallel/venv/lib/*/site-packages")
    assert ("ipyparallel" in by_pip) is (image == OLD)


def test_an_ipyparallel_that_is_a_little_older(center: Center, cluster: Cluster) -> None:
    """pkgsrc 2026Q1 has 9.1.0 (NetBSD, pkgsrc/doc/CHANGES-2026), the client side here 9.2.0."""
    older = "ipyparallel==9.1.0"

    def double(number: int) -> int:
        return number * 2

    # engines do not have this module, so the function has to travel by value
    double.__module__ = "__main__"
    assert ipp.__version__ != "9.1.0"
    center.run("packages", "--pip", older)
    variables = {"engines": 1, "machine_image": OLD, "pkgsrc_ipyparallel": older}
    run = cluster.play("site.yml", **variables)
    assert "1 engine(s) ready" in run.output
    assert versions(cluster, "ipyparallel") == ["9.1.0"]
    with cluster.client() as client:
        view = client[client.ids[0]]
        view.push({"numbers": [1, 2, 3]}, block=True)
        assert view.pull("numbers", block=True) == [1, 2, 3]
        assert view.map_sync(double, range(5)) == [0, 2, 4, 6, 8]
        assert client.load_balanced_view().apply_sync(double, 3) == 6


def test_a_repository_that_is_down(center: Center, cluster: Cluster, faults: Faults) -> None:
    """It is named, and the next run goes on; an outage of a moment is waited for."""
    name = f"{cluster.name}-controller"
    variables = {"engines": 0, "pkgsrc_repository_patience": 1}
    faults.order("repository_down", machine=name, reason="Host not found", count=None)
    failed = cluster.play("site.yml", check=False, **variables)
    assert failed.code != 0
    assert "pkgin cannot read its package repository:" in failed.output
    assert "pkg_summary.gz: Host not found" in failed.output
    assert "Correct the names" not in failed.output
    faults.withdraw()
    faults.order("repository_down", machine=name, reason="Host not found", count=2)
    cluster.play("site.yml", **{**variables, "pkgsrc_repository_patience": 20})
    assert f"{PY}-ipyparallel-" in cluster.ssh("controller", "/opt/local/sbin/pkg_info")


def test_a_python_package_that_nobody_fetched(center: Center, cluster: Cluster) -> None:
    done = cluster.play("site.yml", check=False, engines=0, python_packages="nosuch-zzz")
    assert done.code != 0
    assert "No matching distribution found for nosuch-zzz" in done.output
    assert "python -m localdc packages --pip nosuch-zzz" in done.output
