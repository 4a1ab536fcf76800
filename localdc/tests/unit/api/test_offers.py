"""What a data center offers, read from a file (docs/admin.md, Catalogue)."""

from __future__ import annotations

import json

import pytest

from localdc.api.catalogue import networks
from localdc.api.offers import PUBLIC, OfferError, read
from localdc.api.settings import DataCenterSettings


def test_names_of_a_public_cloud(start):
    offers = read(PUBLIC.read_text())
    dc = start(**offers)
    own = DataCenterSettings()
    listed = dc.get("/my/packages").json()
    names = {package["name"] for package in listed}
    assert not names & {package.name for package in own.packages}
    brands = {package.get("brand") for package in listed}
    assert brands == {"joyent", "lx", "bhyve", None}
    fitting = [p for p in listed if p.get("brand") in ("joyent", None) and p["memory"] >= 512]
    assert min(fitting, key=lambda package: package["memory"])["name"] == "z1-micro"
    assert {image["type"] for image in dc.get("/my/images").json()} == {
        "zone-dataset", "lx-dataset", "zvol",
    }  # fmt: skip
    uuid = dc.create(package="z1-micro")
    assert dc.machine(uuid)["state"] == "running"
    assert {n["name"] for n in dc.get("/my/networks").json()} == {
        "Joyent-SDC-Public", "Joyent-SDC-Private", "My-Fabric-Network",
    }  # fmt: skip
    assert len(dc.machine(uuid)["networks"]) == 2
    suffixes = {tuple(network["suffixes"]) for network in dc.get("/my/networks").json()}
    assert len(suffixes) == 1, "CNS has one zone"


def test_what_is_left_out_is_filled_in():
    offers = read('{"packages": [{"name": "one", "memory": 512, "disk": 1024}]}')
    (package,) = offers["packages"]
    assert (package.swap, package.active, package.brand) == (1024, True, None)
    again = read('{"packages": [{"name": "one", "memory": 1, "disk": 1}]}')["packages"][0]
    assert again.id == package.id, "a name has the same id in every data center"
    (image,) = read('{"images": [{"name": "mine", "version": "1"}]}')["images"]
    assert (image.type, image.brand, image.public) == ("zone-dataset", "joyent", True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ([], "a JSON object"),
        ({"package": []}, "package: unknown; known are packages"),
        ({"packages": []}, "packages must be a list, and not an empty one"),
        ({"packages": ["p"]}, r"packages\[0\] must be an object"),
        ({"packages": [{"name": "p"}]}, r"packages\[0\] lacks memory, disk"),
        ({"packages": [{"memory": "512"}]}, r"packages\[0\]: memory must be a whole number"),
        ({"packages": [{"active": 1}]}, "active must be true or false"),
        ({"packages": [{"ram": 1}]}, "unknown field ram"),
        ({"packages": [{"networks": "x"}]}, "networks must be a list of strings"),
        ({"packages": [{"name": "p", "memory": 1, "disk": 1, "brand": "vm"}]}, "brand must be"),
        ({"images": [{"name": "i", "version": "1", "requirements": {"brand": "x"}}]}, "brand must"),
        ({"images": [{"name": "i", "version": "1"}] * 2}, "is there twice"),
        ({"fabric_package_prefixes": "g4-"}, "must be a list of strings"),
        ({"cns_public": 1}, "cns_public must be a string"),
        ({"cns_public": ""}, "cns_public must be a name of DNS"),
        ({"cns_private": "x y"}, "cns_private must be a name of DNS"),
        ({"cns_private": f"{'a' * 64}.example"}, "cns_private must be a name of DNS"),
        ({"packages": [{"name": "p", "memory": 0, "disk": 1}]}, "memory must be 1 or more"),
        ({"packages": [{"name": "p", "memory": 1, "disk": -5}]}, "disk must be 1 or more"),
        ({"packages": [{"cpu_cap": -1}]}, r"packages\[0\]: cpu_cap must be 1 or more"),
        (
            {"packages": [{"name": "p", "memory": 1, "disk": 1, "networks": ["nosuch"]}]},
            "package p: no network nosuch",
        ),
        ({"pools": [{"name": "p"}]}, r"pools\[0\] lacks networks"),
        ({"pools": [{"name": "p", "networks": []}]}, "pool p: it has no networks"),
        ({"pools": [{"name": "p", "networks": ["nosuch"]}]}, "pool p: there is no network nosuch"),
        (
            {"pools": [{"name": "p", "networks": [network.id for network in networks()]}]},
            "pool p: its networks have different NIC tags",
        ),
        (
            {"pools": [{"name": "p", "id": networks()[0].id, "networks": [networks()[0].id]}]},
            "is the id of a network",
        ),
        (
            {
                "pools": [{"name": "p", "networks": [networks()[0].id]}],
                "packages": [{"name": "p", "memory": 1, "disk": 1, "networks": [networks()[0].id]}],
            },
            f"package p: no network {networks()[0].id}",
        ),
        ({"images": [{"requirements": {"min_ram": "many"}}]}, "min_ram must be a whole number"),
        ({"images": [{"requirements": {"min_ram": -1}}]}, "min_ram must not be negative"),
        ({"images": [{"type": "nonsense"}]}, "type must be one of zone-dataset, lx-dataset, zvol"),
        ({"images": [{"size": -1}]}, "size must not be negative"),
    ],
)
def test_what_cannot_be_used_is_named(content, words):
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(OfferError, match=words):
        read(text)
