"""Snapshots of a machine (sdc-cloudapi, docs/index.md, CreateMachineSnapshot)."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

from localdc.api.errors import invalid_argument, not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import Machine, now_iso
from localdc.api.routes import machine_path
from localdc.api.store.documents import SNAPSHOT, DocumentTaken, Record

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")
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
    machine_path.check_allocated(machine, "snapshot")
    name = call.params.get("name") or datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise invalid_argument(
            f"{name} is not a valid snapshot name: 1 to 64 letters, digits, '_', '.' or '-'"
        )
    now, identifier = now_iso(), str(uuid.uuid4())
    record: Record = {
        "id": identifier,
        "name": name,
        "state": "queued",
        "size": None,
        "created": now,
        "updated": now,
    }
    store = call.center.store
    try:
        with store.transaction():
            # one that could not be made is none
            failed = store.documents.named(SNAPSHOT, machine.uuid, name)
            if failed is not None and failed["state"] == "failed":
                store.documents.remove(SNAPSHOT, failed["id"])
            store.documents.add(SNAPSHOT, machine.uuid, identifier, name, record)
            params = {"id": identifier, "name": name}
            store.jobs.add(machine.uuid, "create_snapshot", params, caller=call.caller)
    except DocumentTaken:
        raise invalid_argument(f"snapshot {name} already exists") from None
    call.center.engine.submit(machine.uuid)
    location = f"/{call.account.login}/machines/{machine.uuid}/snapshots/{name}"
    return Answer.json({"name": name, "state": "queued"}, 201, Location=location)


def _find(call: Call, machine: Machine) -> Record:
    name = call.args["snapshot"]
    record = call.center.store.documents.named(SNAPSHOT, machine.uuid, name)
    if record is None:
        raise not_found(f"{name} not found")
    return record


def get(call: Call) -> Answer:
    """`deleted` is also what CloudAPI says of one that is being made, or could not be."""
    machine, name = machine_path.load(call), call.args["snapshot"]
    if call.center.store.jobs.last_of(machine.uuid, _ACTIONS, name) is None:
        raise not_found("Snapshot does not exist")
    record = call.center.store.documents.named(SNAPSHOT, machine.uuid, name)
    if record is None or record["state"] != "created":
        return Answer.json({"name": name, "state": "deleted"})
    return Answer.json(_view(call, machine, record))


def _queue(call: Call, action: str) -> Answer | None:
    machine = machine_path.load(call)
    answer = machine_path.gone(call, machine)
    if answer is not None:
        return answer
    machine_path.check_allocated(machine, action)
    record = _find(call, machine)
    if action == "rollback_snapshot" and record["state"] not in ("created", "queued"):
        raise not_found("Snapshot does not exist")
    store = call.center.store
    with store.transaction():
        params = {"id": record["id"], "name": record["name"]}
        store.jobs.add(machine.uuid, action, params, caller=call.caller)
    call.center.engine.submit(machine.uuid)
    return None


def rollback(call: Call) -> Answer:
    return _queue(call, "rollback_snapshot") or Answer(202)


def delete(call: Call) -> Answer:
    return _queue(call, "delete_snapshot") or Answer(204)


ROUTES = (
    Route("GET", "/:account/machines/:machine/snapshots", list_snapshots),
    Route("POST", "/:account/machines/:machine/snapshots", create),
    Route("GET", _ONE, get),
    Route("POST", _ONE, rollback),
    Route("DELETE", _ONE, delete),
)
