"""Volumes of the account (sdc-cloudapi, docs/index.md, Volumes)."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from localdc.api.engine import affinity, volumes
from localdc.api.errors import (
    invalid_argument,
    invalid_networks,
    missing_parameter,
    volume_already_exists,
    volume_in_use,
    volume_not_found,
    volume_size_not_available,
)
from localdc.api.http.call import Answer, Call, Route
from localdc.api.http.params import integer
from localdc.api.model import now_iso
from localdc.api.store.documents import VOLUME, DocumentTaken, Record
from localdc.api.validate import check_tags

TYPE = "tritonnfs"
SIZES = tuple(size * 1024 for size in (10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200, 400, 1000))
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,255}")
_FIELDS = ("name", "size", "state", "type")


def _name(value: object) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise invalid_argument(
            f"Error: Invalid volume name: {value}. Volume name should match "
            "/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/"
        )
    return value


def _type(value: object) -> str:
    if value != TYPE:
        raise invalid_argument(f"Error: Invalid volume type: {value}. Volume type must be {TYPE}")
    return TYPE


def _size(call: Call) -> int:
    try:
        size = integer(call.params, "size")
    except ValueError:
        raise invalid_argument(f"Error: Invalid volume size: {call.params['size']}") from None
    if size is None:
        return SIZES[0]
    if size not in SIZES:
        raise volume_size_not_available(size, SIZES)
    return size


def _networks(call: Call) -> list[str]:
    wanted = call.params.get("networks")
    networks = call.center.engine.networks
    if not wanted:
        return [networks.default(call.account.uuid, call.account.default_network)]
    entries = wanted if isinstance(wanted, list) else [wanted]
    if len(entries) != 1 or networks.get(call.account.uuid, entries[0]) is None:
        raise invalid_networks("networks must be one network of this account")
    return [str(entries[0])]


def create(call: Call) -> Answer:
    params = call.params
    if not params.get("type"):
        raise missing_parameter("type is a required argument")
    kind = _type(params["type"])
    identifier = str(uuid.uuid4())
    name = _name(params["name"]) if params.get("name") else uuid.uuid4().hex
    # Volumes are directories of this computer, equally near to every compute node.
    affinity.parse_all(params.get("affinity"))
    tags = params.get("tags") or {}
    if not isinstance(tags, dict):
        raise invalid_argument("tags must be an object")
    record: Record = {
        "id": identifier,
        "owner_uuid": call.account.uuid,
        "name": name,
        "type": kind,
        "created": now_iso(),
        "state": "creating",
        "size": _size(call),
        "networks": _networks(call),
        "filesystem_path": f"localdc:/volumes/{identifier}",
        "tags": check_tags(tags),
    }
    store = call.center.store
    try:
        with store.transaction():
            store.documents.add(VOLUME, call.account.uuid, identifier, name, record)
    except DocumentTaken:
        raise volume_already_exists(name) from None
    call.center.engine.volumes.submit(call.account.uuid, identifier)
    return Answer.json(volumes.view(record, []), 201)


def list_volumes(call: Call) -> Answer:
    wanted = {name: call.params[name] for name in _FIELDS if name in call.params}
    predicate = _predicate(call)
    refs = volumes.references(call.center.store, call.account.uuid)
    shown = []
    for record in call.center.store.documents.of(VOLUME, call.account.uuid):
        if any(not _same(record[name], value) for name, value in wanted.items()):
            continue
        if "state" not in wanted and not predicate and record["state"] == "failed":
            continue
        if predicate and not _holds(predicate, record):
            continue
        shown.append(volumes.view(record, refs.get(record["id"], [])))
    return Answer.json(shown, X_Resource_Count=str(len(shown)))


def _same(value: object, wanted: object) -> bool:
    if isinstance(value, str) and isinstance(wanted, str) and wanted.endswith("*"):
        return value.startswith(wanted[:-1])
    return str(value) == str(wanted)


def _predicate(call: Call) -> dict[str, Any]:
    text = call.params.get("predicate")
    if not text:
        return {}
    try:
        value = json.loads(text) if isinstance(text, str) else text
        _holds(value, dict.fromkeys(_FIELDS, ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise invalid_argument(f"Error: Invalid predicate: {text}") from None
    return dict(value)


def _holds(predicate: dict[str, Any], record: Record) -> bool:
    if not predicate:
        return True
    ((operator, operands),) = predicate.items()
    if operator in ("and", "or"):
        results = [_holds(operand, record) for operand in operands]
        return all(results) if operator == "and" else any(results)
    if operator not in ("eq", "ne"):
        raise ValueError(operator)
    field, wanted = operands
    return _same(record[field], wanted) == (operator == "eq")


def _find(call: Call) -> Record:
    wanted = call.args["volume"]
    record = call.center.store.documents.get(VOLUME, call.account.uuid, wanted.lower())
    if record is None:
        raise volume_not_found(f"Volume with id {wanted} could not be found")
    return record


def _shown(call: Call, record: Record) -> Record:
    refs = volumes.references(call.center.store, call.account.uuid)
    return volumes.view(record, refs.get(record["id"], []))


def get(call: Call) -> Answer:
    return Answer.json(_shown(call, _find(call)))


def update(call: Call) -> Answer:
    record = _find(call)
    if not call.params.get("name"):
        raise missing_parameter("name is a required argument")
    record["name"] = _name(call.params["name"])
    _check_unused(call, record)
    store = call.center.store
    try:
        with store.transaction():
            store.documents.save(VOLUME, record["id"], record["name"], record)
    except DocumentTaken:
        raise volume_already_exists(record["name"]) from None
    return Answer(204)


def _check_unused(call: Call, record: Record) -> None:
    users = volumes.references(call.center.store, call.account.uuid).get(record["id"])
    if users:
        raise volume_in_use(record["name"], users)


def delete(call: Call) -> Answer:
    record = _find(call)
    _check_unused(call, record)
    if record["state"] == "deleting":
        return Answer(204)
    store = call.center.store
    with store.transaction():
        record["state"] = "deleting"
        store.documents.save(VOLUME, record["id"], record["name"], record)
    call.center.engine.volumes.submit(call.account.uuid, record["id"])
    return Answer(204)


def sizes(call: Call) -> Answer:
    if call.params.get("type"):
        _type(call.params["type"])
    return Answer.json(
        [{"size": size, "type": TYPE} for size in SIZES], X_Resource_Count=str(len(SIZES))
    )


ROUTES = (
    Route("GET", "/:account/volumes", list_volumes),
    Route("POST", "/:account/volumes", create),
    Route("GET", "/:account/volumes/:volume", get),
    Route("POST", "/:account/volumes/:volume", update),
    Route("DELETE", "/:account/volumes/:volume", delete),
    Route("GET", "/:account/volumesizes", sizes),
)
