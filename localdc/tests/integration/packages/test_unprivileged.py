"""Packages on demand where an ordinary user runs the data center."""

from __future__ import annotations

from embedded.center import Center
from embedded.users import unprivileged, user

from .conftest import Zone

__all__ = ["unprivileged", "user"]


def test_a_package_on_demand(unprivileged: Center) -> None:
    (machine,) = unprivileged.create("demand")
    try:
        zone = Zone(unprivileged, machine)
        zone.succeed("pkgin -y update")
        name = zone.succeed("pkgin -p avail").partition("-mpmath-")[0].rpartition("\n")[2]
        output = zone.succeed(f"pkgin -y install {name}-mpmath")
        assert f"[1/1] downloading {name}-mpmath-" in output
        version = f"{name[2]}.{name[3:]}"
        code = "import mpmath; print(mpmath.mpf(2))"
        assert zone.succeed(f"/opt/local/bin/python{version} -c '{code}'") == "2.0\n"
        zone.succeed(f"pkgin -y install {name}-zmq {name}-psutil {name}-pip")
        python = f"/opt/local/bin/python{version}"
        zone.succeed(f"{python} -m venv --system-site-packages --without-pip /root/v")
        zone.succeed("/root/v/bin/python3 -m pip install ipyparallel")
        where = zone.succeed("/root/v/bin/python3 -c 'import ipyparallel as i; print(i.__file__)'")
        assert where.startswith("/root/v/lib/")
    finally:
        unprivileged.delete(machine)
