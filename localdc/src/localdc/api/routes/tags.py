"""Tags of a machine (sdc-cloudapi, docs/index.md, AddMachineTags)."""

from __future__ import annotations

from collections.abc import Iterable

from localdc.api.errors import ApiError, exposed, not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import Machine, Scalar
from localdc.api.routes import machine_path
from localdc.api.validate import check_removed_tags, check_tags
from localdc.api.vmtags import as_read

# CloudAPI drops these without a word, though not at creation (sdc-cloudapi, lib/tags.js, add).
_DROPPED = ("account", "machine", "uuid", "owner_uuid", "context", "image")


def list_tags(call: Call) -> Answer:
    return Answer.json(machine_path.look(call).tags)


def _given(call: Call, verb: str) -> dict[str, Scalar]:
    try:
        return check_tags({k: v for k, v in call.params.items() if k not in _DROPPED})
    except ApiError as error:
        raise exposed(error, f"error {verb} tags") from None


def _check_removal(tags: Iterable[str], doing: str) -> None:
    try:
        check_removed_tags(tags)
    except ApiError as error:
        raise exposed(error, f"error {doing}") from None


def _changed(call: Call, machine: Machine, tags: dict[str, Scalar], action: str) -> Answer:
    """The answer has the tags as they were sent; later ones, as VMAPI reads them."""
    machine.tags = as_read(tags)
    return Answer.json(tags, 200, **machine_path.update(call, machine, action))


@machine_path.living
def add(call: Call, machine: Machine) -> Answer:
    return _changed(call, machine, {**machine.tags, **_given(call, "adding")}, "set_tags")


@machine_path.living
def replace(call: Call, machine: Machine) -> Answer:
    given = _given(call, "replacing")
    _check_removal(machine.tags.keys() - given.keys(), "replacing tags")
    return _changed(call, machine, given, "replace_tags")


@machine_path.living
def delete_all(call: Call, machine: Machine) -> Answer:
    _check_removal(machine.tags, "deleting all tags")
    machine.tags = {}
    return Answer(204, headers=machine_path.update(call, machine, "remove_tags"))


def get(call: Call) -> Answer:
    machine = machine_path.look(call)
    tag = call.args["tag"]
    if tag not in machine.tags:
        raise not_found(f'tag "{tag}" not found')
    value = machine.tags[tag]
    # CloudAPI 9.20.0 answers an empty text for a number or a boolean.
    return Answer.text_or_json(call, value if isinstance(value, str) else "")


@machine_path.living
def delete(call: Call, machine: Machine) -> Answer:
    tag = call.args["tag"]
    if tag not in machine.tags:
        raise not_found(f'tag "{tag}" not found')
    _check_removal([tag], "deleting tag")
    machine.tags = {k: v for k, v in machine.tags.items() if k != tag}
    return Answer(204, headers=machine_path.update(call, machine, "remove_tags"))


ROUTES = (
    Route("GET", "/:account/machines/:machine/tags", list_tags),
    Route("POST", "/:account/machines/:machine/tags", add),
    Route("PUT", "/:account/machines/:machine/tags", replace),
    Route("DELETE", "/:account/machines/:machine/tags", delete_all),
    Route("GET", "/:account/machines/:machine/tags/:tag", get),
    Route("DELETE", "/:account/machines/:machine/tags/:tag", delete),
)
