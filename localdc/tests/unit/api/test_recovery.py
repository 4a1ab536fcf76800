"""Restart, and what interrupted jobs and damaged state come to."""

import asyncio
import sqlite3
import threading
from datetime import timedelta

import pytest

from localdc.api.engine.records_only import RecordsCompute
from localdc.api.store import Store, StoreError


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
    db.execute("DROP INDEX machines_by_node")
    db.execute("ALTER TABLE machines DROP COLUMN compute_node")
    db.execute("PRAGMA user_version = 2")
    db.close()
    again = start()
    assert again.machine(uuid)["name"] == "web"
    assert again.admin("GET", "accounts/acme/disabled").json() == {"disabled": False}
