"""The modules that only look, against the embedded API without zones."""

from __future__ import annotations

import json

import pytest

from .modules_support import OFFER, Cloud, run_module

UNKNOWN = "5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    for name, role in (("web-1", "web"), ("web-2", "web"), ("store", "db")):
        run_module(
            "sdc_machine", **cloud.access, **OFFER, name=name, networks=["external"],
            tags={"role": role},
            metadata={"stage": "test", "admin.password": "hush", "my.key": "s3cret"},
        )  # fmt: skip
    run_module("sdc_machine", **cloud.access, name="store", state="stopped")
    yield cloud
    cloud.stop()


@pytest.fixture
def info(cloud):
    def run(kind, /, *, check=False, expect="ok", **arguments):
        arguments = {**cloud.access, **arguments}
        result = run_module(f"sdc_{kind}_info", check=check, expect=expect, **arguments)
        assert not result["changed"]
        return result if expect == "fail" else result[f"{kind}s"]

    return run


def names(things):
    return [thing["name"] for thing in things]


def test_machines(cloud, info):
    cloud.requests.clear()
    machines = info("machine")
    assert names(machines) == ["store", "web-1", "web-2"]
    assert cloud.requests == [("GET", "/acme/machines")]
    assert machines[0]["state"] == "stopped" and "metadata" not in machines[0]
    assert machines[1]["nics"][0]["ip"] == machines[1]["primary_ip"]
    assert info("machine", check=True) == machines
    assert names(info("machine", name="web-*")) == ["web-1", "web-2"]
    assert names(info("machine", name=machines[0]["id"])) == ["store"]
    assert names(info("machine", selector={"role": "web"})) == ["web-1", "web-2"]
    assert names(info("machine", states=["stopped"])) == ["store"]
    assert names(info("machine", package="sample-512M", image="base-64-lts")) == names(machines)
    assert info("machine", package="sample-1G") == []
    assert info("machine", network="internal") == []
    assert len(info("machine", network="external")) == 3


def test_secrets_of_machines_are_hidden(info):
    machine = info("machine", name="web-1", metadata=True)[0]
    assert machine["metadata"]["stage"] == "test" and machine["metadata"]["my.key"] == "(hidden)"
    assert "s3cret" not in json.dumps(machine) and "hush" not in json.dumps(machine)


def test_images(info):
    newest = info("image", name="base-64-lts")
    assert len(newest) == 1 and newest[0]["version"] == "24.4.1"
    assert info("image", name="base-64-lts@24.4.1") == newest
    assert info("image", name=newest[0]["id"]) == newest
    every = info("image", state="all")
    assert len(set(names(every))) == len(info("image", state="all", newest=True))
    assert info("image", os="plan9") == []
    assert {image["type"] for image in info("image", type="zone-dataset")} == {"zone-dataset"}
    assert newest[0] in info("image", name="base-*")


def test_packages(info):
    packages = info("package")
    assert [p["memory"] for p in packages] == sorted(p["memory"] for p in packages)
    assert all(p["memory"] >= 1024 for p in info("package", min_memory=1024))
    assert info("package", min_memory=1 << 40) == info("package", min_vcpus=999) == []
    one = info("package", name="sample-512M")
    assert info("package", name=one[0]["id"]) == one
    group = one[0].get("group") or ""
    assert not group or one[0] in info("package", group=group)
    assert info("package", group="none-such") == []


def test_networks(info):
    fabric = "My-Fabric-Network"
    assert set(names(info("network"))) == {"external", "internal", fabric}
    assert names(info("network", public=True)) == ["external"]
    assert set(names(info("network", public=False))) == {"internal", fabric}
    assert names(info("network", fabric=True)) == [fabric]
    external = info("network", name="external", addresses=True)[0]
    assert len(external["addresses"]) >= 3
    assert names(info("network", name=external["id"])) == ["external"]


@pytest.mark.parametrize(
    ("kind", "wrong", "near"),
    [
        ("machine", "web-11", "web-1"),
        ("image", "base-64-lst", "base-64-lts"),
        ("package", "sample-512", "sample-512M"),
        ("network", "extern", "external"),
    ],
)
def test_unknown_names(info, kind, wrong, near):
    failed = info(kind, expect="fail", name=wrong)
    assert f"no {kind} {wrong!r}" in failed.msg and near in failed.msg
    assert "no " in info(kind, expect="fail", name=UNKNOWN).msg
    assert info(kind, name=wrong, missing_ok=True) == []
    assert info(kind, name="zzz*", missing_ok=True) == []


@pytest.mark.parametrize("kind", ["machine", "image", "package", "network"])
def test_refusals_are_structured(info, kind):
    failed = info(kind, expect="fail", account="nobody")
    assert failed["code"] == "InvalidCredentials" and failed["status"] == 401
    assert failed["request_id"]
