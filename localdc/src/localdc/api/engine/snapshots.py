"""What the snapshot jobs of a machine do."""

from __future__ import annotations

from collections.abc import Awaitable

from localdc.api.compute import ComputeError
from localdc.api.engine.jobs import Action, Bench, JobFailed, require
from localdc.api.model import Job, Machine, now_iso
from localdc.api.store.documents import SNAPSHOT


async def create_snapshot(bench: Bench, job: Job, machine: Machine) -> None:
    name = str(job.params["name"])
    try:
        size = await _copy(bench, bench.compute.create_snapshot(machine.uuid, name))
    except ComputeError as error:
        _end(bench, job, state="failed", size=0)
        raise JobFailed(str(error)) from error
    _end(bench, job, state="created", size=size)
    bench.change(machine.uuid, end=job)


async def _copy(bench: Bench, call: Awaitable[int]) -> int:
    async with bench.slot(bench.boot_slots):
        return await call


def _end(bench: Bench, job: Job, **fields: object) -> None:
    identifier = str(job.params["id"])
    with bench.store.transaction():
        record = bench.store.documents.get(SNAPSHOT, job.machine, identifier)
        if record is not None:
            record.update(fields, updated=now_iso())
            bench.store.documents.save(SNAPSHOT, identifier, record["name"], record)


async def rollback_snapshot(bench: Bench, job: Job, machine: Machine) -> None:
    """As vmadm does: stop, put the old root back, boot."""
    require(machine, job, "running", "ready", "stopped")
    if machine.state in ("running", "ready"):
        await bench.down_for(machine)
    try:
        await bench.ask(bench.compute.rollback_snapshot(machine.uuid, str(job.params["name"])))
    except ComputeError as error:
        raise JobFailed(str(error), state="stopped", autoboot=False) from error
    await bench.up_again(machine)
    bench.change(machine.uuid, end=job, state="running", autoboot=True)


async def delete_snapshot(bench: Bench, job: Job, machine: Machine) -> None:
    try:
        await bench.ask(bench.compute.delete_snapshot(machine.uuid, str(job.params["name"])))
    except ComputeError as error:
        raise JobFailed(str(error)) from error
    with bench.store.transaction():
        bench.store.documents.remove(SNAPSHOT, str(job.params["id"]))
        bench.store.jobs.finish(job)


ACTIONS: dict[str, Action] = {
    "create_snapshot": create_snapshot,
    "rollback_snapshot": rollback_snapshot,
    "delete_snapshot": delete_snapshot,
}
