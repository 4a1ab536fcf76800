"""`localdc start --records-only`: the API at scale, as an ordinary process."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from smartdc import DataCenter
from smartdc.config import resolve

from embedded.center import IMAGE, PACKAGE, Center, cpu_seconds, descendants, eventually
from localdc.api.catalogue import widened
from localdc.api.settings import DataCenterSettings
from localdc.api.store import Store

MACHINES = int(os.environ.get("LOCALDC_TEST_RECORDS", "5000"))
# What the list of a thousand machines may cost the data center; and how many are counted.
LIST_CPU_SECONDS, LISTS = 0.05, 10


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    center = Center(tmp_path / "dc", tmp_path / "no-packages-needed")
    yield center
    center.run("purge", check=False)


def agents(center: Center) -> list[str]:
    sock = str(center.state / "run" / "agent.sock").encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"-a" in words and sock in words:
                found.append(entry.name)
    return found


def unhurried(center: Center) -> DataCenter:
    """A client without a limit of its own."""
    found = center.descriptor()
    wanted = {name: found[name] for name in ("url", "account", "key_id", "key_file")}
    return DataCenter.of(resolve(**wanted, env={}), rate=None)


def admin(center: Center, method: str, path: str, **more: Any) -> requests.Response:
    token = (center.state / "admin_token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{center.descriptor()['url']}/--admin/{path}"
    return requests.request(method, url, headers=headers, timeout=10, **more)


def test_life_without_zones(center: Center) -> None:
    center.run("start", "--records-only", "--provision-seconds", "0.5")
    status = center.status()
    assert status["records_only"] and "records only" in center.run("status").stdout
    token = Path(status["admin_token_file"])
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert str(token) in center.run("env").stdout
    api = center.api()
    began = time.monotonic()
    machine = api.create_machine("one", PACKAGE, image=IMAGE)
    machine.poll_until("running", interval=0.1, timeout=30)
    assert time.monotonic() - began >= 0.5
    assert center.run("stop").returncode == 0 and not agents(center)
    refused = center.run("start", check=False)
    assert refused.returncode == 1 and "of records, not of zones" in refused.stderr
    center.run("start", "--records-only")
    assert [m["state"] for m in center.status()["machines"]] == ["running"]
    os.kill(center.process()["pid"], signal.SIGKILL)
    eventually(lambda: not agents(center))
    center.run("start", "--records-only")
    assert [m["name"] for m in center.status()["machines"]] == ["one"]


def test_another_external_network(center: Center) -> None:
    center.run("start", "--records-only", "--external-network", "203.0.113.0/24")
    machine = center.api().create_machine("one", PACKAGE, image=IMAGE)
    machine.poll_until("running", interval=0.1, timeout=30)
    machine.refresh()
    assert machine.public_ips == ["203.0.113.6"] and machine.private_ips == ["10.99.0.5"]
    other = ("start", "--records-only", "--external-network", "198.51.100.0/24")
    running = center.run(*other, check=False)
    assert running.returncode == 1 and "with another external network" in running.stderr
    center.run("stop")
    refused = center.run(*other, check=False)
    assert refused.returncode == 1 and "203.0.113.0/24 (1). Delete" in refused.stderr
    center.run("start", "--records-only")
    assert center.status()["machines"][0]["ips"] == ["203.0.113.6", "10.99.0.5"]


def multiply(center: Center) -> None:
    """Make of the one machine in the state file as many as the test is about."""
    networks = [widened(network) for network in DataCenterSettings().networks]
    store = Store(center.state / "cloudapi.db")
    with store.transaction():
        (first,) = store.machines.alive()
        for number in range(MACHINES - 1):
            uuid = str(uuid4())
            machine = replace(first, uuid=uuid, name=f"m{number:05}", nics=[])
            store.machines.add(machine)
            for network in networks:
                nic = store.addresses.allocate(network, uuid, first.account, None, network.public)
                machine.nics.append(nic)
            store.machines.save(machine)
    store.close()


def test_thousands_of_machines(center: Center) -> None:
    center.run("start", "--records-only", "--throttle", "off")
    first = unhurried(center).create_machine("first", PACKAGE, image=IMAGE)
    first.poll_until("running", interval=0.1, timeout=30)
    center.run("stop")
    multiply(center)
    center.run("start", "--records-only", "--throttle", "off")
    api = unhurried(center)
    assert api.num_machines(state="running") == MACHINES
    assert len(api.machines()) == MACHINES
    admin(center, "DELETE", "requests")
    daemon = descendants(center.process()["pid"])
    before = cpu_seconds(daemon)
    for _ in range(LISTS):
        assert len(api.machines(limit=1000)) == min(1000, MACHINES)
    used = (cpu_seconds(daemon) - before) / LISTS
    print(f"list of 1000 of {MACHINES}: {used * 1000:.0f} ms CPU")
    assert used < LIST_CPU_SECONDS
    assert admin(center, "GET", "requests").json()["calls"] == {"GET /:account/machines": LISTS}


def test_faults_from_the_command_line(center: Center) -> None:
    center.run("start", "--records-only", "--throttle", "2/0.1")
    ordered = admin(center, "POST", "faults", json={"kind": "throttle", "retry_after": 1})
    assert ordered.status_code == 201 and ordered.json()["id"] == 1
    assert json.loads(admin(center, "GET", "settings").text)["throttle"] == {
        "burst": 2,
        "rate": 0.1,
    }


def names(center: Center) -> set[str]:
    with center.api() as api:
        return {str(package["name"]) for package in api.packages()}


def test_a_catalogue_is_chosen_and_kept(center: Center, tmp_path: Path) -> None:
    start = ("start", "--records-only")
    center.run(*start, "--catalogue", "public")
    assert "z1-micro" in names(center) and PACKAGE not in names(center)
    center.run(*start, "--catalogue", "public")
    refused = center.run(*start, "--catalogue", "default", check=False)
    assert refused.returncode == 1 and "python -m localdc stop" in refused.stderr
    center.run("stop")
    center.run(*start)
    assert "z1-micro" in names(center), "a later start has forgotten it"
    center.run("stop")
    own = tmp_path / "offers.json"
    own.write_text('{"packages": [{"name": "mine", "memory": 512, "disk": 1024}]}')
    center.run(*start, "--catalogue", str(own))
    assert names(center) == {"mine"}
    center.run("stop")
    center.run(*start, "--catalogue", "default")
    assert PACKAGE in names(center)


def test_a_running_data_center_does_not_become_lenient(center: Center) -> None:
    start = ("start", "--records-only")
    center.run(*start, "--lenient", "python,commands")
    for words in ((), ("--lenient", "commands,python")):
        center.run(*start, *words)
    refused = center.run(*start, "--lenient", "all", check=False)
    assert refused.returncode == 1
    assert "runs with --lenient commands,python" in refused.stderr
    assert "python -m localdc stop" in refused.stderr
    center.run("stop")
    center.run(*start)
    refused = center.run(*start, "--lenient", "python", check=False)
    assert refused.returncode == 1 and "runs without --lenient" in refused.stderr


def test_a_catalogue_that_cannot_be_used_changes_nothing(center: Center, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"packages": [{"name": "mine"}]}')
    for path, words in ((bad, "lacks memory, disk"), (tmp_path / "none", "No such file")):
        done = center.run("start", "--records-only", "--catalogue", str(path), check=False)
        assert done.returncode == 2 and words in done.stderr
    assert not (center.state / "datacenter.json").exists()
    center.run("start", "--records-only")
    center.run("stop")
    (center.state / "catalogue.json").write_text("{")
    done = center.run("start", "--records-only", check=False)
    assert done.returncode == 1 and "--catalogue default" in done.stderr
    center.run("start", "--records-only", "--catalogue", "default")
