"""Metadata of a machine (sdc-cloudapi, docs/index.md, UpdateMachineMetadata)."""

from __future__ import annotations

from typing import Any

from localdc.api.errors import invalid_argument, not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import Machine
from localdc.api.routes import machine_path
from localdc.api.validate import check_metadata

# Never taken as metadata: CloudAPI drops these without a word.
_DROPPED = ("credentials", "account", "machine", "uuid", "owner_uuid", "image")
_KEPT = ("administrator_pw", "root_authorized_keys")


def _view(call: Call, machine: Machine) -> dict[str, Any]:
    view: dict[str, Any] = machine.visible_metadata()
    if call.flag("credentials"):
        view["credentials"] = machine.credentials()
    return view


def list_metadata(call: Call) -> Answer:
    return Answer.json(_view(call, machine_path.look(call)))


@machine_path.living
def add(call: Call, machine: Machine) -> Answer:
    given = {k: v for k, v in call.params.items() if k not in _DROPPED and not k.endswith("_pw")}
    machine.metadata = {**machine.metadata, **check_metadata(given)}
    job = machine_path.update(call, machine, "set_metadata")
    return Answer.json(machine.visible_metadata(), 200, **job)


@machine_path.living
def delete_all(call: Call, machine: Machine) -> Answer:
    machine.metadata = {k: v for k, v in machine.metadata.items() if k in _KEPT}
    # In the audit this is a replacement by what must be kept.
    return Answer(204, headers=machine_path.update(call, machine, "replace_metadata"))


def get(call: Call) -> Answer:
    machine = machine_path.look(call)
    key = call.args["key"]
    if key == "credentials":
        return Answer.json(machine.credentials())
    visible = machine.visible_metadata()
    if key not in visible:
        raise not_found(f'metadatum "{key}" not found')
    value = visible[key]
    if not isinstance(value, str):
        # CloudAPI shows numbers and booleans in the list alone (lib/metadata.js, get)
        raise not_found(f"{key} is not metadata")
    return Answer.text_or_json(call, value)


@machine_path.living
def delete(call: Call, machine: Machine) -> Answer:
    key = call.args["key"]
    if key in ("credentials", *_KEPT):
        # sdc-cloudapi, lib/metadata.js, del
        raise invalid_argument(f"Metadata key {key} can not be deleted")
    if key not in machine.visible_metadata():
        raise not_found(f'metadatum "{key}" not found')
    machine.metadata = {k: v for k, v in machine.metadata.items() if k != key}
    return Answer(204, headers=machine_path.update(call, machine, "remove_metadata"))


ROUTES = (
    Route("GET", "/:account/machines/:machine/metadata", list_metadata),
    Route("POST", "/:account/machines/:machine/metadata", add),
    Route("DELETE", "/:account/machines/:machine/metadata", delete_all),
    Route("GET", "/:account/machines/:machine/metadata/:key", get),
    Route("DELETE", "/:account/machines/:machine/metadata/:key", delete),
)
