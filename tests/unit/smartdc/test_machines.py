"""Machines: plain calls and objects, paging, waiting, lookups."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import smartdc
from smartdc import DataCenter, LegacyDataCenter, Machine, Snapshot, lookup, wait_many
from smartdc.compat.machine import dt_time, priv, pub, timestamp
from smartdc.errors import (
    APIError,
    ConfigError,
    Gone,
    LookupFailed,
    MachineFailed,
    NotFound,
    UsageError,
    WaitTimeout,
)

from .fake_cloud import FakeCloud, FakeHandler

Connect = Callable[..., DataCenter]


def test_paging_beyond_a_thousand(cloud: FakeCloud, sdc: DataCenter) -> None:
    ids = [cloud.add(tags={"n": "x"})["id"] for _ in range(2500)]
    found = sdc.machines(tags={"n": "x"})
    assert [m.id for m in found] == ids
    assert len(cloud.requests) == 3
    assert [m["id"] for m in sdc.list_machines(limit=1200, offset=900)] == ids[900:2100]
    assert len(sdc.machines(paged=True)) == 1000
    assert len(sdc.machines(limit=7)) == 7
    assert sdc.num_machines() == 2500
    assert sdc.num_machines(tags={"n": "y"}) == 0


def test_deletion_between_two_pages_loses_nobody(cloud: FakeCloud, sdc: DataCenter) -> None:
    ids = [cloud.add()["id"] for _ in range(1500)]

    def fault(handler: FakeHandler) -> bool:
        if len(cloud.requests) == 2:
            cloud.machines[ids[3]]["state"] = "deleted"
        return False

    cloud.fault = fault
    found = {m["id"] for m in sdc.list_machines()}
    assert found == set(ids) - {ids[3]}


def test_creation_between_two_pages_doubles_nobody(cloud: FakeCloud, sdc: DataCenter) -> None:
    ids = [cloud.add()["id"] for _ in range(1500)]

    def fault(handler: FakeHandler) -> bool:
        if len(cloud.requests) == 2:
            new = cloud.add()
            cloud.machines = {new["id"]: new, **cloud.machines}
        return False

    cloud.fault = fault
    found = [m["id"] for m in sdc.list_machines()]
    assert sorted(found) == sorted(ids)


def test_filters(cloud: FakeCloud, sdc: DataCenter) -> None:
    cloud.add(name="foo", tags={"cluster": "a", "n": 5, "on": True})
    cloud.add(name="foo1", tags={"cluster": "b"}, package="big")
    assert [m.name for m in sdc.machines(name="foo")] == ["foo"]
    assert [m["name"] for m in sdc.list_machines(package="big")] == ["foo1"]
    assert [m["name"] for m in sdc.list_machines(tags={"n": 5.0})] == ["foo"]
    sdc.list_machines(
        tags={"on": True, "n": 5}, state="active", memory=512, tombstone=True, docker=False
    )
    query = cloud.requests[-1][1]
    for part in ("tag.on=true", "tag.n=5", "state=active", "memory=512", "tombstone=true"):
        assert part in query
    with pytest.raises(UsageError, match="no filter color"):
        sdc.count_machines(color="red")


def test_a_server_that_ignores_tags_shows_no_foreign_machines(
    cloud: FakeCloud, sdc: DataCenter
) -> None:
    mine = cloud.add(tags={"cluster": "a", "on": True})
    other = cloud.add(tags={"cluster": "b"})
    records = [cloud.describe(m) for m in (mine, other)]

    def ignore(handler: FakeHandler) -> bool:
        handler.answer(200, records)
        return True

    cloud.fault = ignore
    assert [m.id for m in sdc.machines(tags={"cluster": "a", "on": True})] == [mine["id"]]


def test_plain_calls(cloud: FakeCloud, sdc: DataCenter) -> None:
    record = sdc.create(
        {
            "name": "web",
            "image": cloud.images[0]["id"],
            "package": "p",
            "tags": {"a": 1},
            "metadata": {"k": "v"},
            "firewall_enabled": None,
        }
    )
    ident = record["id"]
    assert (record["state"], record["tags"], record["metadata"]) == (
        "provisioning",
        {"a": 1},
        {"k": "v"},
    )
    assert sdc.set_tags(ident, {"b": 2}) == {"a": 1, "b": 2}
    assert sdc.replace_tags(ident, {"c": 3}) == {"c": 3} == sdc.get_tags(ident)
    sdc.delete_tag(ident, "c")
    sdc.set_tags(ident, {"odd/key ü": "x"})
    sdc.delete_tag(ident, "odd/key ü")
    assert sdc.get_tags(ident) == {}
    assert sdc.set_metadata(ident, {"x": "y"}) == {"k": "v", "x": "y"}
    sdc.delete_metadata(ident, "x")
    assert sdc.get_metadata(ident) == {"k": "v"}
    sdc.delete_all_metadata(ident)
    sdc.act(ident, "rename", name="new")
    assert sdc.get_machine(ident)["name"] == "new"
    with pytest.raises(APIError, match="not a valid action"):
        sdc.act(ident, "dance")
    sdc.delete(ident)
    sdc.delete(ident)
    with pytest.raises(Gone) as caught:
        sdc.get_machine(ident)
    assert caught.value.body["id"] == ident  # type: ignore[index]
    with pytest.raises(NotFound):
        sdc.get_machine("nobody")


def test_addresses_go_by_their_value(cloud: FakeCloud, sdc: DataCenter) -> None:
    """As in smartdc 0.2; of several, those on networks called public come first, or last."""
    cloud.networks.append({"id": "n2", "name": "internal", "public": False})
    on = {"198.51.100.4": "n2", "203.0.113.7": "n1", "10.0.0.1": "n1", "100.64.0.5": "n2",
          "10.99.0.7": "n2"}  # fmt: skip
    nics = [{"ip": ip, "network": network, "mac": ip} for ip, network in on.items()]
    machine = sdc.machine(cloud.add(ips=[*on], nics=nics)["id"])
    assert machine.public_ips == ["203.0.113.7", "198.51.100.4", "100.64.0.5"]
    assert machine.private_ips == ["10.99.0.7", "10.0.0.1"]
    inner = sdc.machine(cloud.add(ips=["10.0.0.1"], nics=nics[2:3])["id"])
    assert (inner.public_ips, inner.private_ips) == ([], ["10.0.0.1"])


def test_machine_object(cloud: FakeCloud, sdc: DataCenter, home: Path) -> None:
    record = cloud.add(
        name="web",
        ips=["dhcp", "203.0.113.7", "10.88.0.7", "fd00::1"],
        primaryIp="203.0.113.7",
        metadata={"credentials": {"root": "x"}, "user-script": "#!/bin/sh", "k": "v"},
        tags={"role": "web", "n": 5},
    )
    machine = sdc.machine(record["id"])
    assert str(machine) == machine.id == record["id"]
    assert repr(machine) == f"<Machine {machine.id} 'web' running>"
    assert machine.created == datetime(2016, 1, 4, 12, 55, 50, 539000)
    assert (machine.metadata, machine.boot_script) == ({"k": "v"}, "#!/bin/sh")
    assert (machine.public_ips, machine.primary_ip) == (["203.0.113.7"], "203.0.113.7")
    assert machine.private_ips == ["10.88.0.7", "fd00::1"]
    assert machine == sdc.machine(machine) == sdc.machine({"id": machine.id})
    assert len({machine, sdc.machine(machine.id)}) == 1
    assert machine == {"id": machine.id}
    assert machine != "x"
    assert machine.path == f"machines/{machine.id}"
    assert machine.credentials() == {"root": "x"}
    assert machine.image == record["image"]

    assert machine.get_tag("n") == "5"
    with pytest.raises(KeyError):
        machine.get_tag("none")
    assert machine.add_tags({"a-b": "c"}, d="e")["a-b"] == "c"
    machine.delete_tag("d")
    assert machine.tags == {"role": "web", "n": 5, "a-b": "c"}
    assert machine.replace_tags({"z": "z"}) == {"z": "z"}
    machine.delete_all_tags()
    assert machine.get_tags() == {}

    assert machine.update_metadata({"ipython.url": "u"}, x="y")["ipython.url"] == "u"
    assert "x" not in machine.delete_metadata_at_key("x")
    (home / "boot.sh").write_text("#!/bin/sh\necho\n")
    machine.set_boot_script(home / "boot.sh")
    assert sdc.machine(machine.id).boot_script == "#!/bin/sh\necho\n"
    machine.delete_boot_script()
    assert machine.refresh().boot_script is None
    assert machine.delete_all_metadata() == {}
    with pytest.raises(UsageError, match="boot script"):
        machine.set_boot_script(home / "none.sh")

    machine.resize("big")
    machine.rename("new")
    assert (machine.refresh().package, machine.name) == ("big", "new")
    snapshot = machine.create_snapshot()
    assert isinstance(snapshot, Snapshot)
    assert (str(snapshot), snapshot.state, snapshot.created) == ("s1", "queued", None)
    assert [s.name for s in machine.snapshots()] == ["s1"]


def test_states(cloud: FakeCloud, sdc: DataCenter) -> None:
    machine = sdc.create_machine(image="minimal-64-lts", package="Extra Small 512 MB")
    machine.poll_while("provisioning", interval=0)
    assert machine.state == "running"
    machine.stop()
    machine.poll_until("stopped", interval=0)
    machine.start()
    machine.poll_until("running", 0)
    machine.reboot()
    machine.poll_until("running", interval=0, timeout=5)
    machine.delete()
    machine.poll_until("deleted", interval=0)
    assert machine.state == "deleted"
    with pytest.raises(Gone):
        machine.poll_until("running", interval=0)
    with pytest.raises(Gone):
        machine.poll_while("running", interval=0)


def test_waits_end(cloud: FakeCloud, sdc: DataCenter) -> None:
    machine = sdc.machine(cloud.add(state="provisioning", _next="failed", _polls=3)["id"])
    with pytest.raises(WaitTimeout, match=r"is provisioning after 0 s of waiting until running"):
        machine.poll_until("running", interval=0, timeout=0)
    with pytest.raises(MachineFailed, match="failed while waiting until running") as caught:
        machine.poll_until("running", interval=0)
    assert caught.value.machines == {machine.id: "failed"}
    with pytest.raises(MachineFailed):
        machine.poll_while("provisioning", interval=0)
    machine.poll_until("failed", interval=0)


def test_a_machine_that_cannot_be_read_yet(cloud: FakeCloud, sdc: DataCenter) -> None:
    machine = sdc.create_machine(image="minimal-64-lts", package="p")
    misses = iter([True, True])

    def fault(handler: FakeHandler) -> bool:
        if not next(misses, False):
            return False
        handler.answer(404, {"code": "ResourceNotFound", "message": "VM not found"})
        return True

    cloud.fault = fault
    machine.poll_until("running", interval=0)


def test_wait_many_lists_once_per_poll(cloud: FakeCloud, sdc: DataCenter) -> None:
    ids = [
        cloud.add(state="provisioning", _next="running", _polls=n % 5, tags={"c": "x"})["id"]
        for n in range(50)
    ]
    seen: list[tuple[str, str]] = []
    done = wait_many(
        sdc,
        ids,
        filters={"tags": {"c": "x"}},
        interval=0,
        on_change=lambda i, s: seen.append((i, s)),
    )
    assert set(done) == set(ids)
    assert len(cloud.requests) <= 5
    assert seen.count((ids[4], "provisioning")) == 1
    for ident in ids:
        sdc.delete(ident)
    assert set(wait_many(sdc, ids, "deleted", interval=0)) == set(ids)
    assert wait_many(sdc, [], interval=0) == {}


def test_wait_many_names_the_late_and_the_failed(cloud: FakeCloud, sdc: DataCenter) -> None:
    good, slow = (
        cloud.add()["id"],
        cloud.add(state="provisioning", _next="running", _polls=99)["id"],
    )
    with pytest.raises(WaitTimeout, match=f"{slow} is provisioning") as caught:
        wait_many(sdc, [good, slow], interval=0, timeout=0)
    assert caught.value.late == {slow: "provisioning"}
    bad = cloud.add(state="failed")["id"]
    with pytest.raises(MachineFailed, match=f"{bad} is failed"):
        wait_many(sdc, [good, bad], interval=0)
    gone = cloud.add(state="deleted")["id"]
    with pytest.raises(MachineFailed, match=f"{gone} is deleted"):
        wait_many(sdc, [good, gone], interval=0)


def test_create_refuses_early(sdc: DataCenter, cloud: FakeCloud) -> None:
    for name in ("-x", "a b", "", "a" * 190, "ü"):
        with pytest.raises(UsageError, match="not a machine's name"):
            sdc.create_machine(name=name, image="base-64-lts", package="p")
    with pytest.raises(LookupFailed, match=r"no image 'base-65-lts' - nearest: base-64-lts@"):
        sdc.create_machine(image="base-65-lts", package="p")
    with pytest.raises(UsageError, match="boot script"):
        sdc.create_machine(image="base-64-lts", package="p", boot_script="./none")
    with pytest.raises(APIError, match="image must be specified"):
        sdc.create_machine(package="p")
    assert cloud.machines == {}


def test_create_accepts_dicts(sdc: DataCenter, cloud: FakeCloud) -> None:
    machine = sdc.create_machine(
        image=sdc.images()[0],
        package=sdc.packages()[0],
        networks=sdc.networks(),
        credentials=True,
        firewall_enabled=True,
    )
    assert machine.image == cloud.images[0]["id"]
    assert machine.package == "Extra Small 512 MB"
    assert (
        Machine.create_in_datacenter(sdc, dataset={"urn": "sdc:sdc:base64:23.4"}).image
        == (cloud.images[0]["id"])
    )


def test_offers(sdc: DataCenter, cloud: FakeCloud) -> None:
    assert sdc.dataset("sdc:sdc:base64:")["id"] == cloud.images[1]["id"]
    assert sdc.dataset({"id": cloud.images[0]["id"]})["version"] == "23.4.0"
    assert [d["urn"] for d in sdc.datasets("MINIMAL")] == ["sdc:sdc:minimal-64-lts:24.4.1"]
    assert sdc.image("base-64-lts@23.4.0") == cloud.images[0]
    assert sdc.default_package() == sdc.packages()[0]
    assert sdc.networks("EXT")[0]["id"] == "n1"
    assert sdc.networks("^n1$", fields=["id"])
    assert sdc.network("external")["id"] == "n1"
    with pytest.raises(LookupFailed, match="nearest: external"):
        sdc.network("extern")
    with pytest.raises(UsageError, match="regular expression"):
        sdc.networks("(")


def test_lookup() -> None:
    packages = [
        {"id": "1", "name": "g4", "version": "1.9.0"},
        {"id": "2", "name": "g4", "version": "1.10.0"},
    ]
    assert lookup.package(packages, "g4")["id"] == "2"
    assert lookup.package(packages, "1")["id"] == "1"
    with pytest.raises(LookupFailed, match="nearest: g4"):
        lookup.package(packages, "G5")
    with pytest.raises(LookupFailed, match="there is no package at all"):
        lookup.package([], "g4")
    twins = [{"id": "a", "name": "net"}, {"id": "b", "name": "net"}]
    with pytest.raises(UsageError, match=r"2 networks .*use an id: a, b"):
        lookup.network(twins, "net")
    images: list[dict[str, Any]] = [
        {"id": "a", "name": "x", "version": "1", "state": "active", "published_at": "2020"},
        {"id": "b", "name": "x", "version": "2", "state": "disabled", "published_at": "2021"},
    ]
    assert lookup.image(images, "x")["id"] == "a"


def test_data_center(sdc: DataCenter, connect: Connect, url: str, cloud: FakeCloud) -> None:
    assert sdc.url == f"{url}/acme/"
    other = sdc.datacenter("dc2")
    assert (other.base_url, other.auth) == (url, sdc.auth)
    assert other.machines() == []
    assert "dc2" not in smartdc.KNOWN_LOCATIONS
    body, response = sdc.request("GET", "machines", params={"limit": 3})
    assert (body, response.status_code) == ([], 200)
    assert cloud.requests[-1][1] == "/acme/machines?limit=3"
    mine = connect(key_id="/acme/keys/laptop", login=None)
    assert mine.login == "my"
    assert mine == sdc
    assert mine.login == "acme"
    assert (mine == 3) is False


@pytest.mark.parametrize(
    ("location", "base"),
    [
        ("sdc.example.org", "https://sdc.example.org"),
        ("localhost:8443", "https://localhost:8443"),
        ("http://127.0.0.1:80/", "http://127.0.0.1:80"),
    ],
)
def test_locations(location: str, base: str) -> None:
    assert DataCenter(location).base_url == base


@pytest.mark.parametrize(
    "location",
    [
        *("eu-ams-1", "somewhere", "us-east-1.api.joyentcloud.com"),
        *("https://us-sw-1.API.joyentcloud.com:443/", "api-eu-lon-1.instantservers.telefonica.com"),
    ],
)
def test_locations_of_2013_that_are_closed(location: str) -> None:
    with pytest.raises(ConfigError, match=r"closed - give the URL of a CloudAPI.*SDC_URL"):
        DataCenter(location)


def test_a_location_of_2013_that_is_known_to_be_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"eu-ams-1": "https://sdc.example.org"}
    assert DataCenter("eu-ams-1", known_locations=known).base_url == "https://sdc.example.org"
    monkeypatch.setitem(smartdc.KNOWN_LOCATIONS, "us-sw-1", "https://sdc.example.org/")
    assert DataCenter("us-sw-1").base_url == "https://sdc.example.org"


def test_names_of_the_package() -> None:
    assert smartdc.TELEFONICA_LOCATIONS["London"] == smartdc.TELEFONICA_LOCATIONS["eu-lon-1"]
    assert smartdc.DEFAULT_LOCATION == "us-west-1"
    for name in smartdc.__all__:
        assert hasattr(smartdc, name)


def test_legacy(url: str, connect: Connect, cloud: FakeCloud) -> None:
    sdc = connect()
    legacy = LegacyDataCenter(url, login="acme")
    legacy.auth = legacy.transport.auth = sdc.auth
    assert legacy.packages("EXTRA")[0]["id"] == "p1"
    assert cloud.headers[-1]["Accept-Version"] == "~6.5"
    assert legacy.default_dataset() is None
    with pytest.raises(UsageError, match=r"6\.5"):
        legacy.images()
    sdc.packages()
    assert cloud.headers[-1]["Accept-Version"] == "~9||~8||~7"


def test_addresses_and_times() -> None:
    assert [priv(ip) for ip in ("10.1.2.3", "172.31.0.1", "192.168.0.1")] == [True] * 3
    assert [pub(ip) for ip in ("127.0.0.1", "100.64.0.1", "8.8.8.8")] == [True] * 3
    assert (pub("dhcp"), priv("dhcp"), priv("172.32.0.1")) == (False, False, False)
    assert dt_time("2013-03-01T22:00:09+02:00") == datetime(2013, 3, 1, 20, 0, 9)
    assert dt_time(None) is None
    assert timestamp("1970-01-02T00:00:00Z") == 86400
    with pytest.raises(UsageError):
        timestamp("soon")
