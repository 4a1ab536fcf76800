"""Volumes of the account (sdc-cloudapi, docs/index.md, Volumes)."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from localdc.api.engine import affinity, volumes
from localdc.api.errors import (
    ApiError,
    invalid_argument,
    invalid_networks,
    volume_already_exists,
    volume_in_use,
    volume_not_found,
    volume_size_not_available,
)
from localdc.api.http.call import Answer, Call, Route
from localdc.api.http.params import required
from localdc.api.model import Scalar, now_iso
from localdc.api.store.documents import VOLUME, DocumentTaken, Record
from localdc.api.values import shown, text

TYPE = "tritonnfs"
SIZES = tuple(size * 1024 for size in (10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200, 400, 1000))
STATES = ("creating", "ready", "failed", "deleting")
MAX_NAME = 256
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_UUID = re.compile(r"[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}")
_WANTED_NAME = re.compile(r"\*?[a-zA-Z0-9_.-]+\*?")
_WANTED_SIZE = re.compile("[1-9][0-9]*")
_FIELDS = ("name", "size", "state", "type")

# What follows is judged as sdc-cloudapi, lib/validation/volumes.js, does, with its messages.


def _refused(message: str) -> ApiError:
    return invalid_argument(f"Error: {message}")


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise _refused("Invalid volume name: volume name must be a string")
    if _NAME.fullmatch(value) is None:
        raise _refused(
            f"Invalid volume name: {value}. Volume name should match /^[a-z0-9][\\w.-]+$/i"
        )
    if len(value) > MAX_NAME:
        raise _refused(f"Invalid volume name length: volume name must be at most {MAX_NAME} long")
    return value


def _type(value: object) -> str:
    if value != TYPE:
        said = value if isinstance(value, str) else shown(value)
        raise _refused(f"Invalid volume type: {said}. Volume type should be one of: {TYPE}")
    return TYPE


def _size(call: Call) -> int:
    """A number of JSON; which ones there are is VOLAPI's (sdc-volapi, lib/endpoints/volumes.js)."""
    size = call.params.get("size", SIZES[0])
    if not isinstance(size, int | float) or isinstance(size, bool) or size <= 0:
        raise _refused(f"Invalid volume size: {shown(size)}")
    if size not in SIZES:
        raise volume_size_not_available(size, SIZES)
    return int(size)


def _networks(call: Call) -> list[str]:
    """Own fabric networks, of which a volume has one (sdc-cloudapi, lib/networks.js)."""
    networks = call.center.engine.networks
    if "networks" not in call.params:
        return [networks.default(call.account.uuid, call.account.default_network)]
    wanted = call.params["networks"]
    if not isinstance(wanted, list):
        raise _refused("Invalid networks: networks must be an array")
    if not all(isinstance(entry, str) and _UUID.fullmatch(entry) for entry in wanted):
        raise _refused("Invalid networks: each must be a uuid")
    own = [networks.get(call.account.uuid, entry) for entry in wanted]
    if not all(network and network.fabric for network in own):
        raise invalid_argument(f"Invalid networks: {','.join(wanted)}")
    if len(wanted) != 1:
        raise invalid_networks("a volume is on one network")
    return [str(entry) for entry in wanted]


def _tags(call: Call) -> dict[str, Scalar]:
    tags = call.params.get("tags") or {}
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise _refused("Invalid tags: tags must be an object of key/value strings")
    return dict(tags)


def create(call: Call) -> Answer:
    params = call.params
    kind = _type(params.get("type"))
    identifier = str(uuid.uuid4())
    name = _name(params["name"]) if "name" in params else uuid.uuid4().hex
    # Volumes are directories of this computer, equally near to every compute node.
    affinity.parse_all(params.get("affinity"))
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
        "tags": _tags(call),
    }
    store = call.center.store
    try:
        with store.transaction():
            store.documents.add(VOLUME, call.account.uuid, identifier, name, record)
    except DocumentTaken:
        raise volume_already_exists(name) from None
    call.center.engine.volumes.submit(call.account.uuid, identifier)
    return Answer.json(volumes.view(record, []), 201)


def _wanted(call: Call) -> dict[str, str]:
    """The fields that a query asks for, and their values."""
    wanted: dict[str, str] = {}
    for name in call.params:
        if name not in (*_FIELDS, "predicate", "as-role"):
            raise _refused(f"invalid parameter: {name}")
        if name in _FIELDS:
            wanted[name] = text(call.params, name) or ""
    if "name" in wanted and _WANTED_NAME.fullmatch(wanted["name"]) is None:
        raise _refused("invalid value for name search parameter")
    if "type" in wanted:
        _type(wanted["type"])
    if "size" in wanted and _WANTED_SIZE.fullmatch(wanted["size"]) is None:
        raise _refused(
            f"invalid value for size search parameter, must match /^{_WANTED_SIZE.pattern}$/"
        )
    if "state" in wanted and wanted["state"] not in STATES:
        raise _refused(f"Volume state: {wanted['state']} is invalid")
    return wanted


def list_volumes(call: Call) -> Answer:
    wanted = _wanted(call)
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
    given = text(call.params, "predicate")
    if given is None:
        return {}
    try:
        value = dict(json.loads(given))
        _holds(value, dict.fromkeys(_FIELDS, ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _refused(f"Could not parse JSON predicate {shown(given)}") from None
    return value


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
    if _UUID.fullmatch(wanted) is None:
        raise _refused(f"Invalid volume ID: {wanted}. Volume ID should match /^{_UUID.pattern}$/")
    record = call.center.store.documents.get(VOLUME, call.account.uuid, wanted)
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
    record["name"] = _name(required(call.params, "name", "name is a required argument"))
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
    if "type" in call.params:
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
