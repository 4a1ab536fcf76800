"""The package that is taken when none is named."""

from __future__ import annotations

import pytest

from . import modules_support  # noqa: F401 - makes ansible.module_utils complete


def package(name, memory, **more):
    return {"id": name, "name": name, "memory": memory, "disk": 25600, "vcpus": 1, **more}


class Catalogue:
    """A data center that has these packages only."""

    def __init__(self, *packages):
        self.packages = packages

    def list_packages(self):
        return list(self.packages)


REAL = (
    package("g1.nano", 256, brand="joyent", active=True),
    package("g1.bhyve", 512, brand="bhyve", active=True),
    package("g1.lx", 512, brand="lx", active=True),
    package("g1.old", 512, brand="joyent", active=False),
    package("g1.micro", 1024, active=True),
    package("g1.small", 2048, brand="joyent"),
)


class Networks:
    """A data center that has these networks only."""

    def list_networks(self):
        return [{"id": f"id-{name}", "name": name} for name in ("external", "fabric")]


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (["external", "fabric"], ["id-external", "id-fabric"]),
        (
            ["external", "fabric=10.0.0.5"],
            [{"ipv4_uuid": "id-external"}, {"ipv4_uuid": "id-fabric", "ipv4_ips": ["10.0.0.5"]}],
        ),
    ],
)
def test_networks_are_ids_or_objects_and_never_both(wanted, sent):
    """sdc-cloudapi, lib/machines.js, getCreateOptions: 409 for a list of both."""
    from ansible.module_utils.sdc.offers import Offers

    assert Offers(Networks()).attachments(wanted) == sent


def smallest(image, *packages):
    from ansible.module_utils.sdc.offers import Offers

    return Offers(Catalogue(*packages)).smallest_package(image)["name"]


def test_active_of_the_right_brand_and_large_enough():
    assert smallest({}, *REAL) == "g1.micro"
    assert smallest({}, *REAL, package("g1.fit", 512, brand="joyent")) == "g1.fit"


def test_what_the_image_needs_counts():
    assert smallest({"requirements": {"min_ram": 1500}}, *REAL) == "g1.small"
    assert smallest({"requirements": {"brand": "joyent"}}, *REAL) == "g1.micro"


def test_none_fits():
    from ansible.module_utils.sdc.base import Refused

    with pytest.raises(Refused, match=r"512 MiB or more; name one of: g1\.bhyve, g1\.lx"):
        smallest({}, *REAL[:4][1:3])
    with pytest.raises(Refused, match="9000 MiB"):
        smallest({"requirements": {"min_ram": 9000}}, *REAL)
