"""The machine engine: one queue of jobs per machine, and order after a crash."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from localdc.api.compute import Compute
from localdc.api.engine.faults import Faults
from localdc.api.engine.firewall import Firewalls
from localdc.api.engine.jobs import ACTIONS, BootProgress, JobFailed, JobRunner
from localdc.api.engine.networks import Networks
from localdc.api.engine.pace import Pace
from localdc.api.engine.placement import Placement
from localdc.api.engine.volumes import Volumes
from localdc.api.model import Job, now_iso
from localdc.api.settings import DataCenterSettings
from localdc.api.store import Store

log = logging.getLogger(__name__)

# Jobs that leave a machine `stopping` when they are cut short, and take it from there.
ENDING = ("stop", "reboot", "destroy", "rollback_snapshot", "add_nics", "remove_nics")
# How long jobs that have begun may take to end when the data center stops.
GRACE = 15.0
# How long a deleted machine answers 410; after that it was never there (404).
HISTORY = timedelta(days=30)


class Engine:
    """Does the jobs that the store holds; implements ComputeEvents.

    Jobs of one machine run one after the other, those of different machines
    side by side, provisions and boots only so many at once.
    """

    def __init__(
        self, store: Store, compute: Compute, settings: DataCenterSettings, faults: Faults
    ) -> None:
        self._store = store
        self._compute = compute
        self.networks = Networks(settings, store)
        self.firewalls = Firewalls(store, compute)
        self.pace = Pace()
        self.volumes = Volumes(store, compute, self.pace)
        self.placement = Placement(settings, store)
        store.machines.shown = self.pace.shown
        self._runner = JobRunner(
            store,
            compute,
            settings,
            faults,
            self.networks,
            self.firewalls,
            self.placement,
            self.pace,
        )
        self._workers: dict[str, asyncio.Task[None]] = {}

    @property
    def progress(self) -> BootProgress:
        """How far the machines are that ran before the last stop."""
        return self._runner.progress

    async def start(self) -> None:
        """Repair what a crash left and set to work; the work goes on afterwards.

        Raises ComputeError when the compute node cannot work at all.
        """
        await self._compute.start(self)
        self._repair()
        self.volumes.resume()
        for uuid in self._store.jobs.machines_with_work():
            self.submit(uuid)

    async def close(self) -> None:
        """Let running jobs end, then halt every zone; they run again at the next start."""
        self._runner.closing = self.pace.closing = True
        workers = list(self._workers.values())
        if workers:
            _, late = await asyncio.wait(workers, timeout=GRACE)
            for worker in late:
                worker.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self.firewalls.close()
        await self.volumes.settle()
        await self._compute.close()

    def submit(self, uuid: str) -> None:
        """There may be a job for this machine; call it after the commit."""
        if uuid not in self._workers and not self._runner.closing:
            self._workers[uuid] = asyncio.create_task(self._drain(uuid), name=f"machine {uuid}")

    async def settle(self) -> None:
        """Return when no job is left to do."""
        while self._workers:
            await asyncio.wait(list(self._workers.values()))
        await self.firewalls.settle()
        await self.volumes.settle()

    # ComputeEvents

    async def zone_exited(self, uuid: str, reboot: bool) -> None:
        if self._runner.closing:
            return
        with self._store.transaction():
            if self._store.machines.get(uuid) is None:
                return
            params = {"boot": self._runner.boots.get(uuid, 0), "reboot": reboot}
            self._store.jobs.add(uuid, "exited", params, internal=True)
        self.submit(uuid)

    async def put_metadata(self, uuid: str, key: str, value: str | None) -> None:
        if key.startswith("sdc:"):
            raise ValueError(f"{key} is read-only: the data center sets sdc: keys")
        with self._store.transaction():
            machine = self._store.machines.get(uuid)
            if machine is None:
                raise KeyError(uuid)
            if value is None:
                machine.metadata.pop(key, None)
            else:
                machine.metadata[key] = value
            machine.updated = now_iso()
            self._store.machines.save(machine)

    async def repository_fault(self, uuid: str) -> str | None:
        machine = self._store.machines.get(uuid)
        if machine is None:
            return None
        account = self._store.accounts.find(machine.account)
        login = account.login if account else machine.account
        fault = self._runner.faults.for_repository(login, machine.name, uuid)
        return fault.reason if fault else None

    # Work

    async def _drain(self, uuid: str) -> None:
        try:
            while not self._runner.closing and (job := self._store.jobs.next(uuid)):
                with self._store.transaction():
                    self._store.jobs.begin(job)
                await self._run(job)
        finally:
            self._workers.pop(uuid, None)

    async def _run(self, job: Job) -> None:
        if not job.internal:
            await self.pace.wait()
        machine = self._store.machines.get(job.machine)
        if machine is None:
            return
        try:
            await ACTIONS[job.action](self._runner, job, machine)
        except JobFailed as failure:
            log.warning("%s of machine %s failed: %s", job.action, job.machine, failure.why)
            self._runner.change(
                job.machine,
                end=job,
                failure=failure.why,
                release=failure.release,
                **failure.fields,
            )
        except Exception as error:
            # Not to be expected; the queue must go on, and the operator must see it.
            log.exception("%s of machine %s broke", job.action, job.machine)
            why = f"internal error: {type(error).__name__}: {error}"
            lost = {"state": "failed", "reason": why} if job.action == "provision" else {}
            self._runner.change(job.machine, end=job, failure=why, release=bool(lost), **lost)

    def _repair(self) -> None:
        """Make every record say what will now become of its machine."""
        store, progress = self._store, self._runner.progress
        with store.transaction():
            store.machines.forget_gone(before=now_iso(HISTORY))
            store.jobs.requeue()
            self.networks.provide_ways_out()
            for machine in store.machines.alive():
                if machine.state in ("running", "ready"):
                    machine.state = "ready"
                    store.jobs.add(machine.uuid, "boot", {"restart": True}, internal=True)
                    progress.total += 1
                elif machine.state == "provisioning" and not store.jobs.pending(
                    machine.uuid, "provision"
                ):
                    machine.state, machine.nics = "failed", []
                    machine.reason = "the data center stopped before this machine was provisioned"
                    store.addresses.release(machine.uuid)
                elif machine.state == "stopping" and not any(
                    store.jobs.pending(machine.uuid, action) for action in ENDING
                ):
                    machine.state = "stopped"
                else:
                    continue
                machine.updated = now_iso()
                store.machines.save(machine)
