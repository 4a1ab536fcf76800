"""The client against the embedded data center's own API, which was written from the other side."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization

import smartdc
from embedded.served import Served
from localdc.api.engine.records_only import RecordsCompute
from localdc.api.http.app import create_app
from localdc.api.routes import ROUTES
from localdc.api.settings import AccountKey, DataCenterSettings
from smartdc import DataCenter, wait_many
from smartdc.errors import AnswerLost, Conflict, Gone, InvalidArgument, NotFound, Unauthorized
from smartdc.keys import blob_of, md5_of

from .fake_cloud import write_key

KINDS = ["rsa", "p256", "p384", "p521", "ed25519"]
TOKEN = "let-me-in"
PAGE = Path(__file__).resolve().parents[3] / "docs/smartdc.md"


@contextmanager
def embedded(path: Path, keys: dict[str, Any], **settings: Any) -> Iterator[str]:
    def line(key: Any) -> str:
        return str(
            key.public_key()
            .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            .decode()
        )

    accepted = tuple(AccountKey(name, line(key)) for name, key in keys.items())
    options = {"account": "username", "throttle": None, "admin_token": TOKEN, **settings}
    application = create_app(
        DataCenterSettings(keys=accepted, **options),
        path / "state.db",
        RecordsCompute(0.05),
        ROUTES,
    )
    served = Served(application)
    try:
        yield served.url
    finally:
        served.stop()


@pytest.fixture
def localdc(tmp_path: Path, private_keys: dict[str, Any]) -> Iterator[str]:
    with embedded(tmp_path, private_keys) as url:
        yield url


def nap(seconds: float) -> None:
    time.sleep(seconds / 20)


@pytest.fixture
def sdc(localdc: str, home: Path, private_keys: dict[str, Any]) -> Iterator[DataCenter]:
    path = write_key(home / ".ssh" / "id_ed25519", private_keys["ed25519"])
    key_id = md5_of(blob_of(private_keys["ed25519"]))
    with DataCenter(localdc, key_id, str(path), login="username", rate=None, sleep=nap) as dc:
        yield dc


def fault(url: str, kind: str, **fields: Any) -> None:
    requests.post(
        f"{url}/--admin/faults",
        json={"kind": kind, **fields},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=10,
    ).raise_for_status()


def test_the_session_of_2013(
    localdc: str, home: Path, private_keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_key(home / ".ssh" / "id_rsa", private_keys["rsa"])
    monkeypatch.setitem(smartdc.KNOWN_LOCATIONS, "eu-ams-1", localdc)
    monkeypatch.chdir(home)
    (home / "ipcontroller.sh").write_text("#!/bin/sh\n")

    sdc = DataCenter("eu-ams-1", key_id="/username/keys/rsa", verbose=True)
    ipc = sdc.create_machine(
        dataset="sdc:sdc:base64:",
        package="Extra Small 512 MB",
        tags={"cluster": "ipython", "role": "controller"},
        boot_script="./ipcontroller.sh",
        name="ipcontroller",
    )
    ipc.poll_until("running", interval=0.05)
    assert (len(ipc.public_ips), len(ipc.private_ips)) == (1, 1)
    assert ipc.public_ips[0] == ipc.primary_ip
    for _ in range(4):
        sdc.create_machine(
            dataset="sdc:sdc:base64:",
            package="Extra Small 512 MB",
            metadata={"ipython.url": "tcp://", "ipython.key": "secret"},
            tags={"cluster": "ipython", "role": "engine"},
        )
    cluster = sdc.machines(tags={"cluster": "ipython"})
    assert len(cluster) == 5
    list(map(methodcaller("poll_until", "running", interval=0.05), cluster))
    list(map(methodcaller("stop"), cluster))
    list(map(methodcaller("poll_until", "stopped", interval=0.05), cluster))
    list(map(methodcaller("delete"), cluster))
    list(map(methodcaller("poll_until", "deleted", interval=0.05), cluster))
    assert sdc.machines(tags={"cluster": "ipython"}) == []


SSH = """#!/bin/sh
echo "$2 $3" >>calls
case $3 in
svcs*) if [ -e asked ]; then echo "ON -"; else echo "OFF ON"; touch asked; fi ;;
*) echo '{"interface": "tcp://10.99.0.2", "registration": 20000, "key": "s3cret"}' ;;
esac
"""


def test_the_session_of_the_page(
    localdc: str,
    home: Path,
    private_keys: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """docs/smartdc.md as it stands; only `ssh` is not the real one, as machines are records."""
    write_key(home / ".ssh" / "id_rsa", private_keys["rsa"])
    for name, value in (("URL", localdc), ("ACCOUNT", "username"), ("KEY_ID", "rsa")):
        monkeypatch.setenv(f"SDC_{name}", value)
    monkeypatch.chdir(home)
    for name in ("ipcontroller.sh", "ipengine.sh"):
        (home / name).write_text("#!/bin/sh\n")
    (home / "ssh").write_text(SSH)
    (home / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(home), prepend=os.pathsep)
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(seconds / 40))

    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    names: dict[str, Any] = {}
    for block in blocks[:-2]:
        exec(block, names)
    sdc = names["sdc"]
    engines = sdc.machines(tags={"cluster": "ipython", "role": "engine"})
    assert len(engines) == 4 and len(sdc.machines(tags={"cluster": "ipython"})) == 5
    assert engines[0].get_metadata()["ipython.url"] == "tcp://10.99.0.2:20000"
    assert engines[0].get_metadata()["ipython.key"] == "s3cret"
    address = names["ipc"].public_ips[0]
    calls = (home / "calls").read_text().splitlines()
    assert calls[0] == f"root@{address} svcs -H -o STA,NSTA svc:/smartdc/mdata:execute"
    assert len(calls) == 3
    exec(blocks[-2], names)
    assert sdc.machines() == []
    exec(blocks[-1], names)
    printed = capsys.readouterr()
    assert "0 machines" in printed.out and "base-64-lts 24.4.1" in printed.out
    assert "POST /username/machines -> 201" in printed.err and "s3cret" not in printed.err


@pytest.mark.parametrize("kind", KINDS)
def test_every_key(kind: str, localdc: str, home: Path, private_keys: dict[str, Any]) -> None:
    path = write_key(home / "key", private_keys[kind])
    fingerprint = md5_of(blob_of(private_keys[kind]))
    for key_id in (fingerprint, f"/username/keys/{kind}"):
        with DataCenter(localdc, key_id, str(path), login="username") as dc:
            assert dc.me()["login"] == "username"
    with (
        DataCenter(localdc, "/somebody/keys/k", str(path)) as dc,
        pytest.raises(Unauthorized),
    ):
        dc.me()


def test_account_and_offers(sdc: DataCenter, localdc: str) -> None:
    assert sdc.api()["ping"] == "pong"
    keys = {key["name"]: key for key in sdc.keys()}  # noqa: SIM118
    assert set(keys) == set(KINDS)
    assert sdc.key("rsa") == keys["rsa"]
    assert sdc.image("base-64-lts")["id"] == sdc.dataset("sdc:sdc:base64:")["id"]
    assert sdc.package("sample-512M")["memory"] == 512
    assert {n["name"] for n in sdc.networks()} == {
        "external",
        "internal",
        "My-Fabric-Network",
    }
    assert sdc.network("internal")["public"] is False
    assert list(sdc.datacenters())


def test_a_life(sdc: DataCenter) -> None:
    machine = sdc.create_machine(
        name="web",
        image="base-64-lts",
        package="sample-512M",
        tags={"n": 5, "on": True, "s": "x y/ü"},
        networks=sdc.networks(),
    )
    with pytest.raises(Conflict, match="UnallocatedVM"):
        machine.stop()
    machine.poll_until("running", interval=0.05)
    assert (len(machine.public_ips), len(machine.private_ips)) == (1, 2)
    assert [m.id for m in sdc.machines(tags={"n": 5, "on": True, "s": "x y/ü"})] == [machine.id]
    assert machine.get_tag("on") == "true"
    machine.add_tags({"a.b": "c"})
    machine.delete_tag("a.b")
    machine.replace_tags({"only": "this"})
    assert machine.get_tags() == {"only": "this"}
    machine.update_metadata({"ipython.url": "tcp://x"})
    assert machine.delete_metadata_at_key("ipython.url").get("ipython.url") is None
    with pytest.raises(InvalidArgument):
        sdc.create_machine(name="web", image="base-64-lts", package="sample-512M")
    machine.rename("www")
    machine.resize("sample-1G")
    machine.reboot()
    deadline = time.monotonic() + 5
    while machine.refresh().package != "sample-1G" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (machine.name, machine.memory) == ("www", 1024)
    machine.poll_until("running", interval=0.02)
    assert {e["action"] for e in machine.audit()} >= {"provision", "resize", "rename"}
    machine.delete()
    machine.poll_until("deleted", interval=0.02)
    with pytest.raises(Gone):
        machine.refresh()
    with pytest.raises(NotFound):
        sdc.machine("00000000-0000-4000-8000-000000000000")


def test_fifty_at_once(sdc: DataCenter) -> None:
    image = sdc.image("base-64-lts")["id"]
    payload = {"image": image, "package": "sample-512M", "tags": {"c": "x"}}
    with ThreadPoolExecutor(10) as pool:
        ids = [m["id"] for m in pool.map(lambda _: sdc.create(payload), range(50))]
        filters = {"tags": {"c": "x"}}
        assert len(wait_many(sdc, ids, filters=filters, interval=0.1, timeout=20)) == 50
        assert sdc.num_machines(tags={"c": "x"}) == 50
        list(pool.map(sdc.delete, ids))
    wait_many(sdc, ids, "deleted", filters=filters, interval=0.1, timeout=20)
    assert sdc.list_machines() == []


def test_injected_faults(sdc: DataCenter, localdc: str) -> None:
    payload = {"image": sdc.image("base-64-lts")["id"], "package": "sample-512M", "name": "one"}
    fault(localdc, "cut_before", method="GET", count=2)
    assert sdc.list_machines() == []
    fault(localdc, "throttle", method="POST", path="*/machines", retry_after=0)
    fault(localdc, "unavailable", method="GET", path="*/machines", count=2)
    sdc.create(payload)
    assert [m["name"] for m in sdc.list_machines()] == ["one"]
    fault(localdc, "cut_after", method="POST", path="*/machines")
    with pytest.raises(AnswerLost) as caught:
        sdc.create({**payload, "name": "two"})
    assert caught.value.ambiguous
    two = sdc.list_machines(name="two")
    assert len(two) == 1
    wait_many(sdc, [two[0]["id"]], interval=0.05)
    fault(localdc, "cut_after", method="DELETE")
    sdc.delete(two[0]["id"])


def test_throttled_like_the_real_one(tmp_path: Path, home: Path, private_keys: Any) -> None:
    from localdc.api.settings import Throttle

    path = write_key(home / "key", private_keys["ed25519"])
    with (
        embedded(tmp_path, private_keys, throttle=Throttle(30, 50.0)) as url,
        DataCenter(url, "/username/keys/ed25519", str(path), rate=(30, 50)) as dc,
        ThreadPoolExecutor(8) as pool,
    ):
        began = time.monotonic()
        list(pool.map(lambda _: dc.list_packages(), range(80)))
        assert 0.9 <= time.monotonic() - began < 8
