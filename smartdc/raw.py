"""CloudAPI's machine calls with plain dicts in and out, for programs that manage many machines.

``DataCenter`` inherits these; the calls of 2013 (``machines()``, ``machine()`` ...)
are built on them and return objects.  Facts about parameters and answers are
those of the CloudAPI documentation, sections "Machines" to "Machine Tags".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import requests

from . import records
from .errors import Gone, ProtocolError, UsageError
from .transport import Transport, decode

Record = dict[str, Any]
PAGE = 1000
"""ListMachines gives at most this many at once."""
_MAX_MACHINES = 100_000
_LIST_RETRIES = 5


def segment(value: object) -> str:
    """A value as one segment of a path; refuses what would change the path's shape."""
    text = str(value) if isinstance(value, str | int) else ""
    if text in ("", ".", ".."):
        raise UsageError(f"{value!r} is not an identifier", hint="give an id or a name")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise UsageError(f"{value!r} is not an identifier", hint="it is not valid text") from None


def wire(value: object) -> str:
    """A query or tag value as CloudAPI writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        # JSON of the data center knows one kind of number
        return str(int(value))
    return str(value)


def has_tags(machine: Mapping[str, Any], tags: Mapping[str, Any]) -> bool:
    """Whether a machine carries all these tags."""
    own = machine.get("tags")
    return isinstance(own, Mapping) and all(
        key in own and wire(own[key]) == wire(value) for key, value in tags.items()
    )


class Calls:
    """What all groups of calls share."""

    transport: Transport
    login: str
    roles: tuple[str, ...] = ()

    def send(
        self,
        method: str,
        segments: Sequence[object],
        *,
        params: Mapping[str, Any] | None = None,
        json: object = None,
        repeatable: bool | None = None,
    ) -> requests.Response:
        """A request below ``/<login>``; see :meth:`Transport.send` for the errors."""
        query = {k: wire(v) for k, v in (params or {}).items() if v is not None}
        if self.roles:
            query["as-role"] = ",".join(self.roles)
        path = "/" + "/".join(segment(s) for s in (self.login, *segments))
        return self.transport.send(
            method, path, params=query or None, json=json, repeatable=repeatable
        )

    def get_object(self, *segments: object, params: Mapping[str, Any] | None = None) -> Record:
        record: Record = decode(self.send("GET", segments, params=params), dict)
        return record

    def get_list(self, *segments: object, params: Mapping[str, Any] | None = None) -> list[Record]:
        records: list[Record] = decode(self.send("GET", segments, params=params), list)
        return records

    def post_object(
        self, *segments: object, json: object = None, repeatable: bool | None = None
    ) -> Record:
        response = self.send("POST", segments, json=json, repeatable=repeatable)
        record: Record = decode(response, dict)
        return record

    def put_object(self, *segments: object, json: object) -> Record:
        record: Record = decode(self.send("PUT", segments, json=json), dict)
        return record

    def remove(self, *segments: object) -> None:
        self.send("DELETE", segments)


class MachineCalls(Calls):
    """``/machines``."""

    def list_machines(
        self,
        *,
        tags: Mapping[str, Any] | None = None,
        name: str | None = None,
        image: str | None = None,
        package: str | None = None,
        state: str | None = None,
        type: str | None = None,
        brand: str | None = None,
        memory: int | None = None,
        tombstone: bool | None = None,
        docker: bool | None = None,
        credentials: bool | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Record]:
        """The account's machines that fit all filters; all pages.

        ``name``, ``tags``, ``package`` (a name) and ``state`` are compared exactly and once more
        here: the server takes ``name`` for a prefix, knows no filter for packages, and takes
        states between two others for all (sdc-cloudapi, lib/machines.js).

        :param tombstone: deleted and failed ones too
        :param limit: at most so many; default all
        :raises ProtocolError: the answer is not a list of machines, or pages never end
        """
        params = self._filters(locals())
        for _ in range(_LIST_RETRIES):
            found = self._pages(params, limit, offset)
            if found is not None:
                break
        else:
            raise ProtocolError(
                "the list of machines changed under every attempt to read its pages",
                hint="try again when fewer machines are being deleted",
            )
        return [
            m
            for m in found
            if (not tags or has_tags(m, tags))
            and (name is None or m.get("name") == name)
            and (package is None or m.get("package") == package)
            and (state is None or m["state"] == state)
        ]

    @staticmethod
    def _filters(given: Mapping[str, Any]) -> Record:
        keys = ("name", "image", "state", "type", "brand", "memory", "docker", "credentials")
        params = {key: given[key] for key in keys if given[key] is not None}
        if given["tombstone"]:
            params["tombstone"] = True
        for key, value in (given["tags"] or {}).items():
            params[f"tag.{key}"] = value
        return params

    def _pages(self, params: Record, limit: int | None, offset: int) -> list[Record] | None:
        """All pages; None when a deletion in between moved the rows.

        Pages overlap by one row: if it is not there again, something before it was deleted
        and a machine would be missing from the result.
        """
        found: dict[str, Record] = {}
        overlap = 0
        while True:
            left = PAGE if limit is None else min(PAGE, limit - len(found) + overlap)
            if left <= overlap:
                break
            start = offset + len(found) - overlap
            page, size = self._page({**params, "limit": left, "offset": start})
            if overlap and page and page[0]["id"] not in found:
                return None
            fresh = {m["id"]: m for m in page if m["id"] not in found}
            found.update(fresh)
            if len(page) < min(left, size) or (not fresh and not page):
                break
            if not fresh or len(found) > _MAX_MACHINES:
                raise ProtocolError("the list of machines does not end: pages repeat")
            overlap = 1
        return list(found.values())

    def _page(self, params: Record) -> tuple[list[Record], int]:
        response = self.send("GET", ["machines"], params=params)
        page = [records.machine(record) for record in decode(response, list)]
        try:
            size = int(response.headers.get("x-query-limit", ""))
        except ValueError:
            size = PAGE
        return page, size if size > 0 else PAGE

    def count_machines(self, **filters: Any) -> int:
        """How many machines fit the filters of :meth:`list_machines` that the server knows.

        By HEAD; the server counts at most one page at a time.
        """
        known = {
            **dict.fromkeys(("tags", "name", "image", "state", "type", "brand", "memory")),
            **dict.fromkeys(("docker", "credentials", "tombstone")),
        }
        unknown = set(filters) - set(known)
        if unknown:
            raise UsageError(f"count_machines knows no filter {', '.join(sorted(unknown))}")
        params = self._filters({**known, **filters})
        total = 0
        while total <= _MAX_MACHINES:
            page = {**params, "limit": PAGE, "offset": total}
            response = self.send("HEAD", ["machines"], params=page)
            try:
                count = int(response.headers.get("x-resource-count", "0"))
            except ValueError:
                raise ProtocolError("x-resource-count is not a number") from None
            total += count
            if count < PAGE:
                return total
        raise ProtocolError("the list of machines does not end")

    def get_machine(self, machine_id: str, *, credentials: bool = False) -> Record:
        """One machine.

        :raises Gone: it was deleted; the error's ``body`` is its last description
        :raises NotFound: it never was
        """
        params = {"credentials": True} if credentials else None
        return records.machine(self.get_object("machines", machine_id, params=params))

    def create(self, payload: Mapping[str, Any]) -> Record:
        """CreateMachine; never sent twice unless the server surely did nothing.

        :param payload: as CloudAPI takes it; ``tags`` and ``metadata`` may be dicts,
            they are sent as ``tag.KEY`` and ``metadata.KEY``
        :raises RequestError: with ``ambiguous`` true when a machine may exist all the same:
            look for it (by name or tag) before trying again
        """
        body: Record = {}
        for key, value in payload.items():
            if key in ("tags", "metadata") and isinstance(value, Mapping):
                prefix = "tag." if key == "tags" else "metadata."
                body.update({prefix + str(k): v for k, v in value.items()})
            elif value is not None:
                body[key] = value
        return records.machine(self.post_object("machines", json=body))

    def act(self, machine_id: str, action: str, **params: Any) -> None:
        """``stop start reboot resize rename enable_firewall ...``; answered before it is done.

        The server does not refuse an action that does not fit the state: the audit tells.
        """
        self.send(
            "POST",
            ["machines", machine_id],
            params={"action": action, **params},
            repeatable=action != "reboot",
        )

    def delete(self, machine_id: str) -> None:
        """Delete a machine, running or stopped; one that is already gone is no error."""
        try:
            self.remove("machines", machine_id)
        except Gone:
            return

    def get_tags(self, machine_id: str) -> Record:
        return self.get_object("machines", machine_id, "tags")

    def set_tags(self, machine_id: str, tags: Mapping[str, Any]) -> Record:
        """Add or change tags; returns all of them."""
        return self.post_object("machines", machine_id, "tags", json=dict(tags), repeatable=True)

    def replace_tags(self, machine_id: str, tags: Mapping[str, Any]) -> Record:
        """These tags and no others; returns them."""
        return self.put_object("machines", machine_id, "tags", json=dict(tags))

    def delete_tag(self, machine_id: str, tag: str) -> None:
        self.remove("machines", machine_id, "tags", tag)

    def delete_tags(self, machine_id: str) -> None:
        """All tags."""
        self.remove("machines", machine_id, "tags")

    def get_metadata(self, machine_id: str, *, credentials: bool = False) -> Record:
        params = {"credentials": True} if credentials else None
        return self.get_object("machines", machine_id, "metadata", params=params)

    def set_metadata(self, machine_id: str, metadata: Mapping[str, Any]) -> Record:
        """Add or change metadata (the boot script is ``user-script``); returns all of it."""
        return self.post_object(
            "machines", machine_id, "metadata", json=dict(metadata), repeatable=True
        )

    def delete_metadata(self, machine_id: str, key: str) -> None:
        self.remove("machines", machine_id, "metadata", key)

    def delete_all_metadata(self, machine_id: str) -> None:
        """All but what the server keeps (``root_authorized_keys``)."""
        self.remove("machines", machine_id, "metadata")

    def audit(self, machine_id: str) -> list[Record]:
        """What was done to a machine, newest first: action, success yes|no, time, caller."""
        return self.get_list("machines", machine_id, "audit")
