"""Firewall rules of the account (sdc-cloudapi, docs/index.md, FirewallRules)."""

from __future__ import annotations

import uuid
from typing import Any

from localdc.api.engine import fwlang
from localdc.api.engine.firewall import concerns
from localdc.api.engine.fwlang import RuleError
from localdc.api.errors import ApiError, invalid_parameter, missing_parameter, not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import Machine
from localdc.api.routes import machine_path
from localdc.api.store.documents import FIREWALL_RULE, Record
from localdc.api.store.machines import Query
from localdc.api.values import boolean

_RULE = "/:account/fwrules/:rule"
MAX_DESCRIPTION = 255


def _text(call: Call) -> str:
    text = call.params["rule"]
    if not isinstance(text, str):
        raise invalid_parameter("rule", "must be a string")
    try:
        return fwlang.parse(text).text()
    except RuleError as error:
        raise invalid_parameter("rule", str(error)) from None


def _change(call: Call, record: Record) -> Record:
    """The record with what the call gives of it."""
    if "rule" in call.params:
        record["rule"] = _text(call)
    for field in ("enabled", "log"):
        given = boolean(call.params, field, _refused)
        record[field] = record[field] if given is None else given
    if "description" in call.params:
        record["description"] = _description(call)
    return record


def _refused(field: str, problem: str) -> ApiError:
    """fwrule 2.1.1, lib/rule.js, for the words."""
    return invalid_parameter(field, f"{field} {problem}")


def _description(call: Call) -> str:
    """fwrule 2.1.1, lib/validators.js, validateString."""
    description = call.params["description"]
    if not isinstance(description, str):
        raise invalid_parameter("description", "description must be a string")
    if len(description) > MAX_DESCRIPTION:
        raise invalid_parameter(
            "description", f"description must be shorter than {MAX_DESCRIPTION} characters"
        )
    return description


def _view(record: Record) -> Record:
    """Without an empty description (sdc-cloudapi, lib/rules.js, translate)."""
    return {name: value for name, value in record.items() if name != "description" or value}


def _find(call: Call) -> Record:
    record = call.center.store.documents.get(
        FIREWALL_RULE, call.account.uuid, call.args["rule"].lower()
    )
    if record is None:
        raise not_found(f"Firewall rule {call.args['rule']} not found")
    return record


def _save(call: Call, record: Record) -> Answer:
    store = call.center.store
    with store.transaction():
        store.documents.save(FIREWALL_RULE, record["id"], record["id"], record)
    call.center.engine.firewalls.changed(call.account.uuid)
    return Answer.json(_view(record))


def list_rules(call: Call) -> Answer:
    records = call.center.store.documents.of(FIREWALL_RULE, call.account.uuid)
    return Answer.json([_view(record) for record in records])


def create(call: Call) -> Answer:
    if not call.params.get("rule"):
        raise missing_parameter("rule is a required argument")
    identifier = str(uuid.uuid4())
    empty: dict[str, Any] = {"id": identifier, "rule": "", "enabled": False, "log": False}
    record = _change(call, empty)
    store = call.center.store
    with store.transaction():
        store.documents.add(FIREWALL_RULE, call.account.uuid, identifier, identifier, record)
    call.center.engine.firewalls.changed(call.account.uuid)
    location = f"/{call.account.login}/fwrules/{identifier}"
    return Answer.json(_view(record), 201, Location=location)


def get(call: Call) -> Answer:
    return Answer.json(_view(_find(call)))


def update(call: Call) -> Answer:
    return _save(call, _change(call, _find(call)))


def enable(call: Call) -> Answer:
    return _save(call, {**_find(call), "enabled": True})


def disable(call: Call) -> Answer:
    return _save(call, {**_find(call), "enabled": False})


def delete(call: Call) -> Answer:
    record = _find(call)
    store = call.center.store
    with store.transaction():
        store.documents.remove(FIREWALL_RULE, record["id"])
    call.center.engine.firewalls.changed(call.account.uuid)
    return Answer(204)


def machines(call: Call) -> Answer:
    rule = fwlang.parse(_find(call)["rule"])
    found = [m for m in _machines(call) if concerns(rule, m)]
    return Answer.json(
        [machine_path.view(call, m) for m in found], X_Resource_Count=str(len(found))
    )


def _machines(call: Call) -> list[Machine]:
    return call.center.store.machines.find(Query(call.account.uuid, limit=-1))


def of_machine(call: Call) -> Answer:
    machine = machine_path.load(call)
    records = call.center.store.documents.of(FIREWALL_RULE, call.account.uuid)
    touching = [_view(r) for r in records if concerns(fwlang.parse(r["rule"]), machine)]
    return Answer.json(touching, X_Resource_Count=str(len(touching)))


ROUTES = (
    Route("GET", "/:account/fwrules", list_rules),
    Route("POST", "/:account/fwrules", create),
    Route("GET", _RULE, get),
    Route("POST", _RULE, update),
    Route("PUT", _RULE, update),
    Route("DELETE", _RULE, delete),
    Route("POST", f"{_RULE}/enable", enable),
    Route("POST", f"{_RULE}/disable", disable),
    Route("GET", f"{_RULE}/machines", machines),
    Route("GET", "/:account/machines/:machine/fwrules", of_machine),
)
