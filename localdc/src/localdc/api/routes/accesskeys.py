"""Access keys of the account (sdc-cloudapi, lib/endpoints/accesskeys.js)."""

from __future__ import annotations

import secrets

from localdc.api.errors import not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.model import now_iso
from localdc.api.store.documents import ACCESS_KEY, Record


def list_keys(call: Call) -> Answer:
    return Answer.json(call.center.store.documents.of(ACCESS_KEY, call.account.uuid))


def create(call: Call) -> Answer:
    identifier = secrets.token_hex(16)
    record = {
        "accesskeyid": identifier,
        "accesskeysecret": f"tdc_{secrets.token_urlsafe(32)}",
        "created": now_iso(),
        "status": "Active",
    }
    store = call.center.store
    with store.transaction():
        store.documents.add(ACCESS_KEY, call.account.uuid, identifier, identifier, record)
    location = f"/{call.account.login}/accesskeys/{identifier}"
    return Answer.json(record, 201, Location=location)


def _find(call: Call) -> Record:
    wanted = call.args["accesskey"]
    record = call.center.store.documents.get(ACCESS_KEY, call.account.uuid, wanted)
    if record is None:
        raise not_found(f"{wanted} does not exist")
    return record


def get(call: Call) -> Answer:
    return Answer.json(_find(call))


def delete(call: Call) -> Answer:
    record = _find(call)
    store = call.center.store
    with store.transaction():
        store.documents.remove(ACCESS_KEY, record["accesskeyid"])
    return Answer(204)


ROUTES = (
    Route("GET", "/:account/accesskeys", list_keys),
    Route("POST", "/:account/accesskeys", create),
    Route("GET", "/:account/accesskeys/:accesskey", get),
    Route("DELETE", "/:account/accesskeys/:accesskey", delete),
)
