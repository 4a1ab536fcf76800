"""Policies: named lists of rules (sdc-cloudapi, docs/index.md, Policies; lib/policies.js)."""

from __future__ import annotations

import contextlib
import json
from uuid import uuid4

from localdc.api.accounts import aperture
from localdc.api.errors import ApiError, invalid_argument, missing_parameter, not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.store.documents import POLICY, ROLE, DocumentTaken, Record
from localdc.api.values import text


def list_policies(call: Call) -> Answer:
    return Answer.json(call.center.store.documents.of(POLICY, call.account.uuid))


def _find(call: Call) -> Record:
    documents, wanted = call.center.store.documents, call.args["policy"]
    for record in (
        documents.get(POLICY, call.account.uuid, wanted),
        documents.named(POLICY, call.account.uuid, wanted),
    ):
        if record is not None:
            return record
    raise not_found(f"{wanted} not found")


def get(call: Call) -> Answer:
    return Answer.json(_find(call))


def _changed(call: Call, policy: Record) -> Record:
    """The record with what the call says; raises 409."""
    changed = dict(policy)
    for name in ("name", "description"):
        value = text(call.params, name)
        if value is not None:
            changed[name] = value
    rules = call.params.get("rules")
    if rules:
        changed["rules"] = _rules(rules)
    return changed


def _rules(given: object) -> list[str]:
    if isinstance(given, str):
        # JSON text of a list, or one rule alone
        with contextlib.suppress(ValueError, RecursionError):
            given = json.loads(given)
    entries = given if isinstance(given, list) else [given]
    rules = [rule for rule in entries if isinstance(rule, str)]
    problems = ["rules must be strings"] if len(rules) < len(entries) else []
    for rule in rules:
        try:
            aperture.parse(rule)
        except aperture.RuleError as error:
            problems.append(str(error))
    if problems:
        raise invalid_argument(", ".join(problems))
    if len(set(rules)) < len(rules):
        # sdc-ufds, schema/sdcaccountpolicy.js
        raise invalid_argument("policy is invalid: a rule is there twice")
    return sorted(rules)


def _taken() -> ApiError:
    """sdc-ufds, lib/db/add.js, validateNameUniqueness."""
    return invalid_argument("policy is invalid: the name is taken")


def create(call: Call) -> Answer:
    missing = [f"{name} is required" for name in ("name", "rules") if not call.params.get(name)]
    if missing:
        raise missing_parameter(f"Request is missing required parameters: {', '.join(missing)}")
    policy = _changed(call, {"id": str(uuid4())})
    try:
        with call.center.store.transaction():
            call.center.store.documents.add(
                POLICY, call.account.uuid, policy["id"], policy["name"], policy
            )
    except DocumentTaken:
        raise _taken() from None
    location = f"/{call.account.login}/policies/{policy['id']}"
    return Answer.json(policy, 201, Location=location)


def update(call: Call) -> Answer:
    policy = _changed(call, _find(call))
    try:
        with call.center.store.transaction():
            call.center.store.documents.save(POLICY, policy["id"], policy["name"], policy)
    except DocumentTaken:
        raise _taken() from None
    return Answer.json(policy)


def delete(call: Call) -> Answer:
    policy = _find(call)
    documents = call.center.store.documents
    with call.center.store.transaction():
        for role in documents.of(ROLE, call.account.uuid):
            policies = [known for known in role["policies"] if known != policy["id"]]
            documents.save(ROLE, role["id"], role["name"], {**role, "policies": policies})
        documents.remove(POLICY, policy["id"])
    return Answer(204)


ROUTES = (
    Route("GET", "/:account/policies", list_policies),
    Route("POST", "/:account/policies", create),
    Route("GET", "/:account/policies/:policy", get),
    Route("POST", "/:account/policies/:policy", update),
    Route("DELETE", "/:account/policies/:policy", delete),
)
