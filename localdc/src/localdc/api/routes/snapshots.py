"""Snapshots of a machine (sdc-cloudapi, docs/index.md, CreateMachineSnapshot)."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from urllib.parse import quote

from localdc.api.errors import not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import Machine, now_iso
from localdc.api.routes import machine_path
from localdc.api.store.documents import SNAPSHOT, Record
from localdc.api.values import shown, text

# vmadm(8), create-snapshot; here a name is that of a directory, too
_NAME = re.compile(r"(?!\.{1,2}\Z)[a-zA-Z0-9_.:%-]{1,64}")
_ACTIONS = ("create_snapshot", "rollback_snapshot", "delete_snapshot")
# states of jobs as the workflows of VMAPI call them, which CloudAPI shows
_EXECUTION = {"done": "created"}
_ONE = "/:account/machines/:machine/snapshots/:snapshot"


def _view(call: Call, machine: Machine, record: Record) -> Record:
    """A snapshot that there is: its state is that of the last job with its name.

    Source: sdc-cloudapi, lib/snapshots.js, list, get and translate.
    """
    view = {name: record[name] for name in ("name", "size", "created")}
    job = call.center.store.jobs.last_of(machine.uuid, _ACTIONS, record["name"])
    if job is not None:
        view["state"] = _EXECUTION.get(job, job)
    return {**view, "updated": record["created"]}


def list_snapshots(call: Call) -> Answer:
    """Those that there are; one that is being made, or could not be, is none yet."""
    machine = machine_path.load(call)
    known = call.center.store.documents.of(SNAPSHOT, machine.uuid)
    return Answer.json([_view(call, machine, r) for r in known if r["state"] == "created"])


@machine_path.living
def create(call: Call, machine: Machine) -> Answer:
    """Names are judged by the compute node: one that is taken, or none, lets the job fail.

    Source: sdc-vmapi, lib/apis/wfapi.js, createSnapshotJob, which hands on every name.
    """
    machine_path.check_allocated(machine, "snapshot")
    name = text(call.params, "name") or datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    store = call.center.store
    with store.transaction():
        params = {"name": name}
        problem = _problem(call, machine, name)
        if problem is None:
            params["id"] = _add(call, machine, name)
        else:
            params["problem"] = problem
        store.jobs.add(machine.uuid, "create_snapshot", params, caller=call.caller)
    call.center.engine.submit(machine.uuid)
    location = f"/{call.account.login}/machines/{machine.uuid}/snapshots/{quote(name, safe='')}"
    return Answer.json({"name": name, "state": "queued"}, 201, Location=location)


def _problem(call: Call, machine: Machine, name: str) -> str | None:
    """Why the compute node will not make a snapshot; None when it will."""
    if _NAME.fullmatch(name) is None:
        return f"{shown(name)} is no name of a snapshot: 1 to 64 letters, digits, - _ . : or %"
    known = call.center.store.documents.named(SNAPSHOT, machine.uuid, name)
    # one that could not be made is none
    return f"snapshot {name} already exists" if known and known["state"] != "failed" else None


def _add(call: Call, machine: Machine, name: str) -> str:
    """Note what the job will make; the id of the note."""
    documents, now, identifier = call.center.store.documents, now_iso(), str(uuid.uuid4())
    failed = documents.named(SNAPSHOT, machine.uuid, name)
    if failed is not None:
        documents.remove(SNAPSHOT, failed["id"])
    record: Record = {"id": identifier, "name": name, "state": "queued", "size": None}
    documents.add(
        SNAPSHOT, machine.uuid, identifier, name, {**record, "created": now, "updated": now}
    )
    return identifier


def get(call: Call) -> Answer:
    """`deleted` is also what CloudAPI says of one that is being made, or could not be."""
    machine, name = machine_path.load(call), call.args["snapshot"]
    if call.center.store.jobs.last_of(machine.uuid, _ACTIONS, name) is None:
        raise not_found("Snapshot does not exist")
    record = call.center.store.documents.named(SNAPSHOT, machine.uuid, name)
    if record is None or record["state"] != "created":
        return Answer.json({"name": name, "state": "deleted"})
    return Answer.json(_view(call, machine, record))


@machine_path.living
def rollback(call: Call, machine: Machine) -> Answer:
    """To one that is not there the job fails (sdc-cloudapi, lib/snapshots.js, boot)."""
    name = call.args["snapshot"]
    record = call.center.store.documents.named(SNAPSHOT, machine.uuid, name)
    params = {"name": name}
    if record is None or record["state"] not in ("created", "queued"):
        params["problem"] = f"there is no snapshot {name}"
    return _queue(call, machine, "rollback_snapshot", params, Answer(202))


@machine_path.living
def delete(call: Call, machine: Machine) -> Answer:
    name = call.args["snapshot"]
    record = call.center.store.documents.named(SNAPSHOT, machine.uuid, name)
    if record is None:
        raise not_found(f"{name} not found")
    params = {"name": name, "id": str(record["id"])}
    return _queue(call, machine, "delete_snapshot", params, Answer(204))


def _queue(
    call: Call, machine: Machine, action: str, params: dict[str, str], answer: Answer
) -> Answer:
    machine_path.check_allocated(machine, action)
    store = call.center.store
    with store.transaction():
        store.jobs.add(machine.uuid, action, params, caller=call.caller)
    call.center.engine.submit(machine.uuid)
    return answer


ROUTES = (
    Route("GET", "/:account/machines/:machine/snapshots", list_snapshots),
    Route("POST", "/:account/machines/:machine/snapshots", create),
    Route("GET", _ONE, get),
    Route("POST", _ONE, rollback),
    Route("DELETE", _ONE, delete),
)
