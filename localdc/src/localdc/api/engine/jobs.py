"""What the jobs of a machine do.

A job changes the machine's state in the same transaction that ends it, so a
crash finds it either to be done again or done.  The record is read anew for
every change: a client may have changed tags while a job waited for the zone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from localdc.api.accounts import rbac
from localdc.api.compute import Compute, ComputeError, ZoneSpec
from localdc.api.engine.faults import Faults
from localdc.api.engine.firewall import Firewalls
from localdc.api.engine.networks import Networks
from localdc.api.engine.pace import Pace
from localdc.api.engine.placement import Placement
from localdc.api.engine.specs import zone_spec
from localdc.api.model import Job, Machine, now_iso
from localdc.api.settings import DataCenterSettings
from localdc.api.store import Store
from localdc.api.store.addresses import NoAddress
from localdc.api.store.documents import SNAPSHOT

log = logging.getLogger(__name__)

# Ending zones is cheap, and must not wait behind a long row of provisions.
HALTS_AT_ONCE = 32


class JobFailed(Exception):
    """The job cannot be done.

    fields: what becomes of the machine; release: it loses its addresses.
    """

    def __init__(self, why: str, /, *, release: bool = False, **fields: Any) -> None:
        super().__init__(why)
        self.why = why
        self.release = release
        self.fields = fields


@dataclass(slots=True)
class BootProgress:
    """Machines that ran before the data center stopped, on their way up again."""

    total: int = 0
    done: int = 0
    failed: int = 0

    @property
    def settled(self) -> bool:
        return self.done + self.failed >= self.total


@dataclass
class JobRunner:
    """Does the jobs of machines, one method for each kind."""

    store: Store
    compute: Compute
    settings: DataCenterSettings
    faults: Faults
    networks: Networks
    firewalls: Firewalls
    placement: Placement
    pace: Pace
    closing: bool = False
    progress: BootProgress = field(default_factory=BootProgress)
    # How often each zone was booted: tells an old end of a zone from a new one.
    boots: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._boot_slots = asyncio.Semaphore(self.settings.provision_concurrency)
        self._halt_slots = asyncio.Semaphore(HALTS_AT_ONCE)

    @asynccontextmanager
    async def _slot(self, slots: asyncio.Semaphore) -> AsyncIterator[None]:
        async with slots:
            if self.closing:
                raise asyncio.CancelledError("the data center is stopping")
            yield

    def change(
        self,
        uuid: str,
        *,
        end: Job | None = None,
        failure: str | None = None,
        release: bool = False,
        **fields: Any,
    ) -> Machine:
        """Change a machine's record, and with `end` finish that job, at once.

        failure: why the job failed; None = it succeeded.
        """
        with self.store.transaction():
            machine = self.store.machines.get(uuid)
            if machine is None:
                raise JobFailed("the machine is gone")
            for name, value in fields.items():
                setattr(machine, name, value)
            if release:
                self.store.addresses.release(uuid)
            if fields:
                machine.updated = now_iso()
            if end is not None:
                self.store.jobs.finish(end, failure)
                self.pace.ended(end.id, uuid)
            if fields or end is not None:
                self.store.machines.save(machine)
        return machine

    async def _ask(self, call: Awaitable[None]) -> None:
        try:
            await call
        except ComputeError:
            raise
        except Exception as error:
            log.exception("compute node failed")
            raise ComputeError(f"internal error: {type(error).__name__}: {error}") from error

    async def _up(self, machine: Machine, *, provision: bool = False) -> None:
        async with self._slot(self._boot_slots):
            self.boots[machine.uuid] = self.boots.get(machine.uuid, 0) + 1
            # Read only now: tags and keys may have changed while this waited.
            spec = self._spec(self.store.machines.get(machine.uuid) or machine)
            call = self.compute.provision if provision else self.compute.boot
            await self._ask(call(spec))
            self.firewalls.booted(machine.uuid, spec.firewall)

    def _spec(self, machine: Machine) -> ZoneSpec:
        """What the compute node is told of a machine as it is now."""
        return zone_spec(
            machine,
            rbac.login_keys(self.store, machine.account),
            self.settings,
            self.networks.of(machine.account),
            self.firewalls.of(machine),
        )

    async def _down(self, uuid: str) -> None:
        async with self._slot(self._halt_slots):
            await self._ask(self.compute.halt(uuid))
        self.firewalls.ended(uuid)

    async def _destroy(self, uuid: str) -> None:
        async with self._slot(self._halt_slots):
            await self._ask(self.compute.destroy(uuid))
        self.firewalls.ended(uuid)

    # Jobs that clients order

    async def provision(self, job: Job, machine: Machine) -> None:
        try:
            await self._provision(machine)
        except (ComputeError, NoAddress) as error:
            await self._discard(machine.uuid)
            raise JobFailed(
                str(error), release=True, state="failed", reason=str(error), nics=[]
            ) from error
        self.change(machine.uuid, end=job, state="running", autoboot=True)

    async def _provision(self, machine: Machine) -> None:
        if not machine.nics:
            machine = self._allocate(machine)
        login = self._login(machine)
        for fault in self.faults.for_provision(login, machine.name, machine.uuid):
            await asyncio.sleep(fault.seconds)
            if fault.kind == "provision_failure":
                raise ComputeError(fault.reason)
        await self._up(machine, provision=True)

    def _allocate(self, machine: Machine) -> Machine:
        networks = self.networks.attachable(machine.account)
        gone = [network for network, _ in machine.requested if network not in networks]
        if gone:
            raise ComputeError(f"network {gone[0]} was deleted")
        with self.store.transaction():
            primary = next(
                (i for i, (n, _) in enumerate(machine.requested) if networks[n].public), 0
            )
            machine.nics = [
                self.networks.allocate(
                    networks[network], machine.uuid, machine.account, wanted, index == primary
                )
                for index, (network, wanted) in enumerate(machine.requested)
            ]
            machine.compute_node = machine.compute_node or self.placement.choose(machine.account)
            machine.updated = now_iso()
            self.store.machines.save(machine)
        return machine

    async def _discard(self, uuid: str) -> None:
        """Remove what a failed provision left; the machine is `failed` either way."""
        try:
            await self._destroy(uuid)
        except ComputeError:
            log.exception("remnants of machine %s could not be removed", uuid)

    async def stop(self, job: Job, machine: Machine) -> None:
        require(machine, job, "running", "ready")
        self.change(machine.uuid, state="stopping")
        try:
            await self._down(machine.uuid)
        except ComputeError as error:
            raise JobFailed(str(error), state="running") from error
        self.change(machine.uuid, end=job, state="stopped", autoboot=False)

    async def start(self, job: Job, machine: Machine) -> None:
        require(machine, job, "stopped")
        try:
            await self._up(machine)
        except ComputeError as error:
            raise JobFailed(str(error)) from error
        self.change(machine.uuid, end=job, state="running", autoboot=True)

    async def reboot(self, job: Job, machine: Machine) -> None:
        require(machine, job, "running", "ready")
        await self._down_for(machine)
        await self._up_again(machine)
        self.change(machine.uuid, end=job, state="running", autoboot=True)

    async def _down_for(self, machine: Machine) -> None:
        """Halt a running machine for a job that boots it again."""
        self.change(machine.uuid, state="stopping")
        try:
            await self._down(machine.uuid)
        except ComputeError as error:
            raise JobFailed(str(error), state="running") from error

    async def _up_again(self, machine: Machine) -> None:
        self.change(machine.uuid, state="ready")
        try:
            await self._up(machine)
        except ComputeError as error:
            raise JobFailed(str(error), state="stopped", autoboot=False) from error

    async def change_nics(self, job: Job, machine: Machine) -> None:
        """The record has the new interfaces; a zone gets them when it boots.

        One that cannot be added is taken back (vmapi, workflows/add-nics.js, napi.cleanup_nics).
        """
        try:
            await self._boot_with_nics(job, machine)
        except (ComputeError, JobFailed) as error:
            self._take_back(job)
            raise error if isinstance(error, JobFailed) else JobFailed(str(error)) from error

    def _take_back(self, job: Job) -> None:
        with self.store.transaction():
            machine = self.store.machines.get(job.machine)
            added = [n for n in machine.nics if n.mac == job.params.get("added")] if machine else []
            if machine is None or not added:
                return
            machine.nics = [nic for nic in machine.nics if nic not in added]
            if added[0].primary:
                machine.nics[0].primary = True
            self.store.machines.save(machine)
            self.store.addresses.give_back(added[0].network, added[0].ip, added[0].mac)

    async def _boot_with_nics(self, job: Job, machine: Machine) -> None:
        was_up = machine.state in ("running", "ready") or (
            job.resumed and machine.state == "stopping"
        )
        if was_up:
            await self._run_on(machine)
            await self._down_for(machine)
            await self._up_again(machine)
        elif machine.state == "stopped":
            await self._ask(self.compute.reconfigure(self._spec(machine)))
        with self.store.transaction():
            current = self.store.machines.get(machine.uuid) or machine
            for nic in current.nics:
                nic.state = None
            if was_up:
                current.state, current.autoboot = "running", True
            current.updated = now_iso()
            self.pace.ended(job.id, machine.uuid)
            self.store.machines.save(current)
            if "ip" in job.params:
                params = job.params
                self.store.addresses.give_back(params["network"], params["ip"], params["mac"])
            self.store.jobs.finish(job)

    async def _run_on(self, machine: Machine) -> None:
        """A fault: all shows the new interfaces, and the machine has yet to be rebooted.

        As on Triton, where an update is recorded before the reboot that it ends with
        (sdc-cn-agent, tasks/machine_update.js).
        """
        seconds = self.faults.for_reboot(self._login(machine), machine.name, machine.uuid)
        if seconds:
            self.change(machine.uuid, nics=[replace(nic, state=None) for nic in machine.nics])
            await asyncio.sleep(seconds)

    def _login(self, machine: Machine) -> str:
        account = self.store.accounts.find(machine.account)
        return account.login if account else machine.account

    async def destroy(self, job: Job, machine: Machine) -> None:
        before = "stopped" if machine.state == "stopping" else machine.state
        if machine.state in ("running", "ready"):
            self.change(machine.uuid, state="stopping")
        try:
            await self._destroy(machine.uuid)
        except ComputeError as error:
            raise JobFailed(str(error), state=before) from error
        with self.store.transaction():
            current = self.store.machines.get(machine.uuid) or machine
            current.state, current.autoboot, current.updated = "deleted", False, now_iso()
            self.store.documents.remove_scope(SNAPSHOT, machine.uuid)
            self.pace.forget(machine.uuid)
            self.store.addresses.release(machine.uuid)
            self.store.machines.save(current)
            self.store.jobs.finish(job)
            self.store.jobs.drop(machine.uuid, "the machine was deleted")
        self.boots.pop(machine.uuid, None)

    async def update(self, job: Job, machine: Machine) -> None:
        """The record holds the new values since the order was accepted."""
        if machine.state in ("running", "ready", "stopped"):
            try:
                await self._ask(self.compute.reconfigure(self._spec(machine)))
            except ComputeError as error:
                raise JobFailed(str(error)) from error
        await self.firewalls.settle()
        if job.action.endswith("_metadata"):
            await self._linger(machine.uuid)
        self.change(machine.uuid, end=job)

    async def _linger(self, uuid: str) -> None:
        """Let the client have its answer before the audit tells of the end.

        `triton` waits for an entry that is newer than the moment it got the
        answer.  Work that waits for this machine is not held up.
        """
        until = time.monotonic() + self.settings.metadata_seconds
        while time.monotonic() < until and not self.store.jobs.waiting(uuid) and not self.closing:
            await asyncio.sleep(0.02)

    async def note(self, job: Job, machine: Machine) -> None:
        """Nothing for the compute node to do."""
        self.change(machine.uuid, end=job)

    # Snapshots

    async def create_snapshot(self, job: Job, machine: Machine) -> None:
        _check_snapshot(job)
        try:
            async with self._slot(self._boot_slots):
                size = await self.compute.create_snapshot(machine.uuid, str(job.params["name"]))
        except ComputeError as error:
            self._end_snapshot(job, state="failed", size=0)
            raise JobFailed(str(error)) from error
        self._end_snapshot(job, state="created", size=size)
        self.change(machine.uuid, end=job)

    def _end_snapshot(self, job: Job, **fields: object) -> None:
        identifier = str(job.params["id"])
        with self.store.transaction():
            record = self.store.documents.get(SNAPSHOT, job.machine, identifier)
            if record is not None:
                record.update(fields, updated=now_iso())
                self.store.documents.save(SNAPSHOT, identifier, record["name"], record)

    async def rollback_snapshot(self, job: Job, machine: Machine) -> None:
        """As vmadm does: stop, put the old root back, boot."""
        _check_snapshot(job)
        require(machine, job, "running", "ready", "stopped")
        if machine.state in ("running", "ready"):
            await self._down_for(machine)
        try:
            name = str(job.params["name"])
            await self._ask(self.compute.rollback_snapshot(machine.uuid, name))
        except ComputeError as error:
            raise JobFailed(str(error), state="stopped", autoboot=False) from error
        await self._up_again(machine)
        self.change(machine.uuid, end=job, state="running", autoboot=True)

    async def delete_snapshot(self, job: Job, machine: Machine) -> None:
        try:
            await self._ask(self.compute.delete_snapshot(machine.uuid, str(job.params["name"])))
        except ComputeError as error:
            raise JobFailed(str(error)) from error
        with self.store.transaction():
            self.store.documents.remove(SNAPSHOT, str(job.params["id"]))
            self.store.jobs.finish(job)

    # The data center's own

    async def boot(self, job: Job, machine: Machine) -> None:
        """Bring a machine up again: after a restart, or rebooted from inside."""
        restart = bool(job.params.get("restart"))
        try:
            await self._up(machine)
        except ComputeError as error:
            self.progress.failed += restart
            log.error("machine %s (%s) does not boot: %s", machine.name, machine.uuid, error)
            raise JobFailed(
                str(error), state="stopped", autoboot=False, reason=str(error)
            ) from error
        self.change(machine.uuid, end=job, state="running", autoboot=True)
        self.progress.done += restart

    async def exited(self, job: Job, machine: Machine) -> None:
        """The zone ended by itself."""
        outdated = job.params["boot"] != self.boots.get(machine.uuid, 0)
        if not outdated:
            self.firewalls.ended(machine.uuid)
        if outdated or machine.state != "running":
            self.change(machine.uuid, end=job)
        elif job.params["reboot"]:
            await self.boot(job, self.change(machine.uuid, state="ready"))
        else:
            self.change(machine.uuid, end=job, state="stopped", autoboot=False)

    async def vanish(self, job: Job, machine: Machine) -> None:
        """A fault: the machine is gone, and nobody knows of it."""
        await self._discard(machine.uuid)
        with self.store.transaction():
            self.pace.forget(machine.uuid)
            self.store.machines.forget(machine.uuid)
        self.boots.pop(machine.uuid, None)


Action = Callable[[JobRunner, Job, Machine], Awaitable[None]]

# Keys are the words of the audit, which says `unknown` of what has no word there.
ACTIONS: dict[str, Action] = {
    "provision": JobRunner.provision,
    "stop": JobRunner.stop,
    "start": JobRunner.start,
    "reboot": JobRunner.reboot,
    "destroy": JobRunner.destroy,
    "resize": JobRunner.update,
    "rename": JobRunner.update,
    "set_tags": JobRunner.update,
    "replace_tags": JobRunner.update,
    "remove_tags": JobRunner.update,
    "set_metadata": JobRunner.update,
    "replace_metadata": JobRunner.update,
    "remove_metadata": JobRunner.update,
    "unknown": JobRunner.update,
    "add_nics": JobRunner.change_nics,
    "remove_nics": JobRunner.change_nics,
    "enable_deletion_protection": JobRunner.note,
    "disable_deletion_protection": JobRunner.note,
    "refresh": JobRunner.update,
    "create_snapshot": JobRunner.create_snapshot,
    "rollback_snapshot": JobRunner.rollback_snapshot,
    "delete_snapshot": JobRunner.delete_snapshot,
    "boot": JobRunner.boot,
    "exited": JobRunner.exited,
    "vanish": JobRunner.vanish,
}


def _check_snapshot(job: Job) -> None:
    """Raises JobFailed for a name that the call has found to be of no use."""
    if "problem" in job.params:
        raise JobFailed(str(job.params["problem"]))


def require(machine: Machine, job: Job, *states: str) -> None:
    """Raises JobFailed for a machine in any other state."""
    if machine.state in states or (job.resumed and machine.state == "stopping"):
        return
    raise JobFailed(f"cannot {job.action} a machine that is {machine.state}")
