"""Restart, and sudden death at any moment."""

import asyncio
import os
import random
import sqlite3
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
import requests

from localdc.api.engine.records_only import RecordsCompute
from localdc.api.store import Store, StoreError

from .killing import Client, Victim

KILLS = 12
SEED = int(os.environ.get("LOCALDC_TEST_SEED", "20131104"))


def test_restart_keeps_everything_and_boots_what_ran(start, tmp_path):
    path = tmp_path / "dc.db"
    dc = start(path)
    running, stopped, deleted = (dc.create(n, **{"tag.n": n}) for n in "abc")
    dc.act(stopped, "stop")
    dc.delete(f"/my/machines/{deleted}")
    dc.settle()
    before = [dc.machine(uuid) for uuid in (running, stopped)]
    dc.stop()
    assert dc.compute.running == set()

    dc = start(path)
    dc.settle()
    progress = dc.engine.progress
    assert (progress.total, progress.done, progress.failed) == (1, 1, 0) and progress.settled
    after = [dc.machine(uuid) for uuid in (running, stopped)]
    for old, new in zip(before, after, strict=True):
        old.pop("updated"), new.pop("updated")
        assert old == new
    assert dc.compute.running == {running}
    assert dc.get(f"/my/machines/{deleted}").status_code == 410
    assert [e["action"] for e in dc.audit(stopped)] == ["stop", "provision"]


@pytest.mark.parametrize(
    "trouble",
    [
        # refused by COMMIT: a key of an account that there is not
        ("PRAGMA defer_foreign_keys = ON", "INSERT INTO keys VALUES ('nobody', 'a', 'b', 'c')"),
        ("ROLLBACK", "SELECT * FROM what_follows_a_rollback_of_sqlite"),
    ],
)
def test_a_transaction_that_fails_does_not_spoil_the_next_one(tmp_path, trouble):
    store = Store(tmp_path / "dc.db")
    with pytest.raises(sqlite3.Error, match=r"FOREIGN KEY|no such table"), store.transaction():
        for statement in trouble:
            store.db.execute(statement)
    with store.transaction():
        assert store.accounts.keys("nobody") == []
    store.close()


def test_deleted_machines_are_forgotten_in_the_end(start, tmp_path, monkeypatch):
    path = tmp_path / "dc.db"
    dc = start(path)
    kept, gone = dc.create("kept"), dc.create("gone")
    dc.delete(f"/my/machines/{gone}")
    dc.settle()
    dc.stop()
    monkeypatch.setattr("localdc.api.engine.queue.HISTORY", timedelta(0))
    dc = start(path)
    assert dc.get(f"/my/machines/{gone}").status_code == 404
    assert dc.get(f"/my/machines/{kept}").status_code == 200


def test_api_answers_while_machines_boot(start, tmp_path):
    class Slow(RecordsCompute):
        async def boot(self, spec):
            await super().boot(spec)
            if not self.provision_seconds:
                await asyncio.sleep(0.5)

    path = tmp_path / "dc.db"
    dc = start(path)
    uuid = dc.create()
    dc.stop()
    dc = start(path, compute=Slow())
    assert dc.machine(uuid)["state"] == "ready"
    assert not dc.engine.progress.settled
    dc.settle()
    assert dc.machine(uuid)["state"] == "running"


def test_machine_that_does_not_boot_again_is_stopped(start, tmp_path):
    class Broken(RecordsCompute):
        async def boot(self, spec):
            raise RuntimeError("no kernel")

    path = tmp_path / "dc.db"
    dc = start(path)
    uuid = dc.create()
    dc.stop()
    dc = start(path, compute=Broken())
    dc.settle()
    assert dc.machine(uuid)["state"] == "stopped"
    assert dc.engine.progress.failed == 1 and dc.engine.progress.settled


class Hanging(RecordsCompute):
    """Calls for what `hang` names never end."""

    hang = ()

    def __init__(self):
        super().__init__()
        self.hangs = threading.Event()

    async def _maybe(self, name):
        if name in self.hang:
            self.hangs.set()
            await asyncio.sleep(3600)

    async def provision(self, spec):
        await self._maybe("provision")
        await super().provision(spec)

    async def boot(self, spec):
        await self._maybe("start")
        await super().boot(spec)

    async def halt(self, uuid):
        await self._maybe("stop")
        await self._maybe("reboot")
        await super().halt(uuid)

    async def destroy(self, uuid):
        await self._maybe("destroy")
        await super().destroy(uuid)


@pytest.mark.parametrize("action", ["provision", "stop", "reboot", "destroy", "start"])
def test_interrupted_jobs_are_done_again(start, tmp_path, monkeypatch, action):
    """The jobs hang for ever in the first life, which ends by cancelling them."""

    path = tmp_path / "dc.db"
    dc = start(path, compute=Hanging())
    if action == "provision":
        dc.compute.hang = (action,)
        uuid = dc.create(settle=False)
    else:
        uuid = dc.create()
        if action == "start":
            dc.act(uuid, "stop")
        dc.compute.hang = (action,)
        if action == "destroy":
            dc.delete(f"/my/machines/{uuid}")
        else:
            dc.post(f"/my/machines/{uuid}", json={"action": action})
    assert dc.compute.hangs.wait(20)
    with monkeypatch.context() as patch:
        patch.setattr("localdc.api.engine.queue.GRACE", 0.2)
        dc.stop()

    dc = start(path)
    dc.settle()
    expected = {"stop": "stopped", "destroy": "deleted"}.get(action, "running")
    assert dc.machine(uuid)["state"] == expected
    assert (dc.audit(uuid)[0]["action"], dc.audit(uuid)[0]["success"]) == (action, "yes")
    assert (uuid in dc.compute.running) == (expected == "running")


def test_unreadable_state(tmp_path):
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="move the file away"):
        Store(damaged)
    future = tmp_path / "future.db"
    db = sqlite3.connect(future)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="version 99"):
        Store(future)


def test_state_from_before_accounts_could_be_disabled(start, tmp_path):
    dc = start()
    uuid = dc.create("web")
    dc.stop()
    db = sqlite3.connect(tmp_path / "state.db")
    db.execute("ALTER TABLE accounts DROP COLUMN disabled")
    db.execute("PRAGMA user_version = 2")
    db.close()
    again = start()
    assert again.machine(uuid)["name"] == "web"
    assert again.admin("GET", "accounts/acme/disabled").json() == {"disabled": False}


def settled(session, url):
    deadline = time.monotonic() + 60
    while True:
        machines = session.get(f"{url}/my/machines?tombstone=1", timeout=30).json()
        if all(m["state"] in ("running", "deleted") for m in machines):
            return {m["id"]: m for m in machines}
        assert time.monotonic() < deadline, Counter(m["state"] for m in machines)
        time.sleep(0.1)


@pytest.fixture
def victim(tmp_path, key):
    victim = Victim(tmp_path, key)
    yield victim
    victim.kill()


def test_kill_9_loses_and_doubles_nothing(victim):
    """200 machines by 16 clients at once; the daemon is killed again and again meanwhile."""
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    victim.fabric = make_fabric(victim)
    todo = [f"m{n:03d}" for n in range(200)]
    created, tagged, deleted, asked = {}, {}, set(), set()
    nics, snapshots, rules, volumes = set(), set(), {}, {}
    kills = 0
    while todo:
        victim.start(0.02)
        clients = [Client(victim, todo[n::16], random.Random(dice.random())) for n in range(16)]
        for client in clients:
            client.start()
        if kills < KILLS:
            time.sleep(dice.uniform(0.02, 0.25))
            victim.kill()
            kills += 1
        for client in clients:
            client.join()
            if client.error:
                raise client.error
            created.update(client.created)
            tagged.update(client.tagged)
            deleted |= client.deleted
            asked |= client.asked
            nics |= client.nics
            snapshots |= client.snapshots
            rules.update(client.rules)
            volumes.update(client.volumes)
        if victim.process.poll() is not None:
            victim.start(0.02)
            if dice.random() < 0.5:  # dies again, in the midst of repairing itself
                time.sleep(dice.uniform(0, 0.05))
                victim.kill()
                kills += 1
                victim.start(0.02)
        session = requests.Session()
        session.auth = victim.signer
        machines = settled(session, victim.url)
        # What was created without the answer arriving is adopted by its name.
        known = Counter(m["name"] for m in machines.values() if m["state"] != "deleted")
        assert not known or max(known.values()) == 1
        for machine in machines.values():
            if machine["name"] not in created:
                created[machine["name"]] = machine["id"]
        victim.kill()
        todo = [name for name in todo if name not in created]

    victim.start(0)
    settled(session, victim.url)
    while open_jobs(victim.store):
        time.sleep(0.05)
    machines = settled(session, victim.url)
    assert len(created) == 200 and len(machines) == 200
    for name, uuid in created.items():
        assert machines[uuid]["name"] == name
        if uuid in deleted:
            assert machines[uuid]["state"] == "deleted"
        elif uuid not in asked:
            assert machines[uuid]["state"] == "running"
    for uuid, tag in tagged.items():
        assert machines[uuid]["tags"] == {"t": tag}
    alive = [m for m in machines.values() if m["state"] == "running"]
    check_addresses(alive, nics, victim.fabric)
    check_documents(session, victim.url, machines, snapshots, rules, volumes)
    victim.kill()
    check_store(victim.store, alive)
    print(f"{len(alive)} running, {len(machines) - len(alive)} deleted, {kills} kills")


def make_fabric(victim):
    victim.start(0)
    session = requests.Session()
    session.auth = victim.signer
    vlans = f"{victim.url}/my/fabrics/default/vlans"
    assert session.post(vlans, json={"vlan_id": 1, "name": "one"}, timeout=30).status_code == 201
    body = {"name": "lab", "subnet": "192.168.0.0/22", "provision_start_ip": "192.168.0.5"}
    body["provision_end_ip"] = "192.168.3.250"
    answer = session.post(f"{vlans}/1/networks", json=body, timeout=30)
    victim.kill()
    return answer.json()["id"]


def check_addresses(alive, nics, fabric):
    addresses = [ip for m in alive for ip in m["ips"]]
    macs = [nic["mac"] for m in alive for nic in m["nics"]]
    assert len(addresses) == len(set(addresses)) == len(macs) == len(set(macs))
    for machine in alive:
        networks = machine["networks"]
        assert len(networks) == len(set(networks)) == 2 + (fabric in networks)
        assert machine["id"] not in nics or fabric in networks
        assert all(nic["state"] == "running" for nic in machine["nics"])


def check_documents(session, url, machines, snapshots, rules, volumes):
    known = {r["id"]: r["rule"] for r in session.get(f"{url}/my/fwrules", timeout=30).json()}
    assert rules.items() <= known.items()
    found = session.get(f"{url}/my/volumes", timeout=30).json()
    assert volumes.items() <= {volume["name"]: volume["id"] for volume in found}.items()
    assert {volume["state"] for volume in found} <= {"ready"}
    for uuid in snapshots:
        kept = session.get(f"{url}/my/machines/{uuid}/snapshots", timeout=30).json()
        wanted = [("s", "created")] if machines[uuid]["state"] == "running" else []
        assert [(one["name"], one["state"]) for one in kept] == wanted


def open_jobs(path):
    db = sqlite3.connect(path)
    count = db.execute("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')").fetchone()
    db.close()
    return count[0]


def check_store(path, alive):
    db = sqlite3.connect(path)
    held = db.execute("SELECT count(*) FROM addresses").fetchone()[0]
    assert held == sum(len(machine["ips"]) for machine in alive)
    assert open_jobs(path) == 0
