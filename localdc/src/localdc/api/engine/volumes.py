"""Volumes: directories of the compute node that machines mount.

A volume has no machine, so its work is no machine's job: what it still needs
follows from its state, and is taken up again after a crash.
"""

from __future__ import annotations

import asyncio
import logging

from localdc.api.compute import Compute, ComputeError
from localdc.api.engine.pace import Pace
from localdc.api.store import Store
from localdc.api.store.documents import VOLUME, Record
from localdc.api.store.machines import Query

log = logging.getLogger(__name__)


class Volumes:
    """Makes and removes volumes as their records say."""

    def __init__(self, store: Store, compute: Compute, pace: Pace) -> None:
        self._store = store
        self._compute = compute
        self._pace = pace
        self._tasks: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        """Take up what a crash cut short."""
        for account, record in self._store.documents.every(VOLUME):
            if record["state"] in ("creating", "deleting"):
                self.submit(account, record["id"])

    def submit(self, account: str, identifier: str) -> None:
        """A record says creating or deleting; call it after the commit."""
        task = asyncio.get_running_loop().create_task(self._work(account, identifier))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _work(self, account: str, identifier: str) -> None:
        await self._pace.wait()
        documents = self._store.documents
        record = documents.get(VOLUME, account, identifier)
        if record is None:
            return
        ordered = record["state"]
        deleting = ordered == "deleting"
        try:
            await (self._compute.delete_volume if deleting else self._compute.create_volume)(
                identifier
            )
        except ComputeError as error:
            log.error("volume %s: %s", identifier, error)
            self._change(account, identifier, ordered, "failed")
            return
        if not deleting:
            self._change(account, identifier, ordered, "ready")
            return
        with self._store.transaction():
            documents.remove(VOLUME, identifier)

    def _change(self, account: str, identifier: str, ordered: str, state: str) -> None:
        """Note what came of an order, unless there is another one by now."""
        with self._store.transaction():
            record = self._store.documents.get(VOLUME, account, identifier)
            if record is not None and record["state"] == ordered:
                record["state"] = state
                self._store.documents.save(VOLUME, identifier, record["name"], record)


def references(store: Store, account: str) -> dict[str, list[str]]:
    """Volume id to the machines that mount it."""
    found: dict[str, list[str]] = {}
    for machine in store.machines.find(Query(account, limit=-1)):
        for volume in machine.volumes:
            found.setdefault(volume["id"], []).append(machine.uuid)
    return found


def view(record: Record, refs: list[str]) -> Record:
    """As CloudAPI shows it (sdc-cloudapi, docs/index.md, Volumes)."""
    shown = {name: value for name, value in record.items() if name != "tags" or value}
    if refs:
        shown["refs"] = refs
    return shown
