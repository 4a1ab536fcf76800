"""SSH keys of the account (CloudAPI §5)."""

from __future__ import annotations

from urllib.parse import quote

from localdc.api.errors import invalid_argument, not_found
from localdc.api.http import Answer, Call, Route
from localdc.api.model import Key
from localdc.api.params import required
from localdc.api.sshkeys import parse_public_key, same_key
from localdc.api.store.machines import Query


def list_keys(call: Call) -> Answer:
    keys = call.center.store.accounts.keys(call.account.uuid)
    return Answer.json([key.view() for key in keys])


def _find(call: Call) -> Key:
    wanted = call.args["key"]
    for key in call.center.store.accounts.keys(call.account.uuid):
        if same_key(wanted, key.name, key.fingerprint, key.line):
            return key
    raise not_found(f"{wanted} does not exist")


def get(call: Call) -> Answer:
    return Answer.json(_find(call).view())


def create(call: Call) -> Answer:
    line = required(call.params, "key", "key is a required argument")
    if not isinstance(line, str):
        raise invalid_argument("key is invalid")
    try:
        parsed = parse_public_key(line)
    except ValueError as error:
        raise invalid_argument(f"key is invalid: {error}") from None
    name = call.params.get("name") or parsed.fingerprint
    if not isinstance(name, str) or len(name) > 255 or "/" in name:
        raise invalid_argument("name must be a text of at most 255 characters, without slashes")
    key = Key(name, parsed.fingerprint, parsed.line)
    store = call.center.store
    with store.transaction():
        if not store.accounts.add_key(call.account.uuid, key):
            raise invalid_argument("key already exists or is invalid")
        machines = _tell_machines(call)
    _submit(call, machines)
    location = f"/{call.account.login}/keys/{quote(key.fingerprint, safe='')}"
    return Answer.json(key.view(), 201, Location=location)


def delete(call: Call) -> Answer:
    key = _find(call)
    store = call.center.store
    with store.transaction():
        store.accounts.remove_key(call.account.uuid, key.fingerprint)
        machines = _tell_machines(call)
    _submit(call, machines)
    return Answer(204)


def _tell_machines(call: Call) -> list[str]:
    """A key of the account opens its machines at once, or no longer."""
    store = call.center.store
    machines = store.machines.find(Query(call.account.uuid, limit=-1))
    for machine in machines:
        # One that runs already may have read the keys before this change.
        if not store.jobs.queued(machine.uuid, "refresh"):
            store.jobs.add(machine.uuid, "refresh", internal=True)
    return [machine.uuid for machine in machines]


def _submit(call: Call, machines: list[str]) -> None:
    for uuid in machines:
        call.center.engine.submit(uuid)


ROUTES = (
    Route("GET", "/:account/keys", list_keys),
    Route("POST", "/:account/keys", create),
    Route("GET", "/:account/keys/:key", get),
    Route("DELETE", "/:account/keys/:key", delete),
)
