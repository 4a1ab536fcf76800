"""Machine records and the searches over them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from localdc.api.model import GONE, Machine


class NameTaken(Exception):
    """Another machine of the account, neither deleted nor failed, has the name."""


@dataclass(slots=True)
class Query:
    """What ListMachines may ask; None or empty = any.

    states: the machine's state is one of them.  tags: (name, value as text).
    """

    account: str
    states: Sequence[str] | None = None
    gone: bool = False
    name_prefix: str | None = None
    type: str | None = None
    brand: str | None = None
    image: str | None = None
    memory: int | None = None
    tags: list[tuple[str, str]] = field(default_factory=list)
    any_tag: bool = False
    limit: int = 1000
    offset: int = 0

    def where(self) -> tuple[str, list[str | int]]:
        clauses = ["account = ?"]
        values: list[str | int] = [self.account]
        if self.states is not None:
            clauses.append(f"state IN ({', '.join('?' * len(self.states))})")
            values += self.states
        elif not self.gone:
            clauses.append(f"state NOT IN ({', '.join('?' * len(GONE))})")
            values += GONE
        for column in ("type", "brand", "image", "memory"):
            value = getattr(self, column)
            if value is not None:
                clauses.append(f"{column} = ?")
                values.append(value)
        if self.name_prefix is not None:
            # as it is shown; the column has the name that nobody else may take
            clauses.append("substr(json_extract(doc, '$.name'), 1, ?) = ?")
            values += [len(self.name_prefix), self.name_prefix]
        for tag, value in self.tags:
            clauses.append("tagged(machines.tags, ?, ?)")
            values += [tag, value]
        if self.any_tag:
            clauses.append("tags <> '{}'")
        return " AND ".join(clauses), values


@dataclass(frozen=True, slots=True)
class MachineChange:
    """A machine before and after a transaction; None = it was not there, or no longer is."""

    before: Machine | None
    after: Machine | None

    @property
    def account(self) -> str:
        machine = self.after or self.before
        assert machine is not None
        return machine.account


@dataclass(frozen=True, slots=True)
class Load:
    """The machines of a compute node: memory in MiB; own: some are of the account."""

    compute_node: str
    memory: int
    own: bool


class Machines:
    """`changes` gets a note of every machine that is added, saved or forgotten.

    shown: makes of a machine what clients see of it, and search it by.
    """

    def __init__(self, db: sqlite3.Connection, changes: list[MachineChange]) -> None:
        self._db = db
        self._changes = changes
        self.shown: Callable[[Machine], Machine] = _as_it_is

    def get(self, uuid: str, account: str | None = None) -> Machine | None:
        row = self._db.execute(
            "SELECT record, account FROM machines WHERE uuid = ?", (uuid,)
        ).fetchone()
        if row is None or (account is not None and row[1] != account):
            return None
        return Machine.from_record(row[0])

    def add(self, machine: Machine) -> None:
        """Raises NameTaken."""
        try:
            self._db.execute(
                "INSERT INTO machines (name, state, type, brand, image, memory, tags, compute_node,"
                " record, doc, uuid, account) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*self._columns(machine), machine.uuid, machine.account),
            )
        except sqlite3.IntegrityError as error:
            raise NameTaken(machine.name) from error
        self._changes.append(MachineChange(None, machine))

    def save(self, machine: Machine) -> None:
        """Raises NameTaken."""
        before = self.get(machine.uuid)
        try:
            self._db.execute(
                "UPDATE machines SET name = ?, state = ?, type = ?, brand = ?, image = ?,"
                " memory = ?, tags = ?, compute_node = ?, record = ?, doc = ? WHERE uuid = ?",
                (*self._columns(machine), machine.uuid),
            )
        except sqlite3.IntegrityError as error:
            raise NameTaken(machine.name) from error
        self._changes.append(MachineChange(before, machine))

    def forget(self, uuid: str) -> None:
        """Remove every trace of a machine, its jobs and addresses included."""
        before = self.get(uuid)
        if before is None:
            return
        self._changes.append(MachineChange(before, None))
        self._db.execute("DELETE FROM documents WHERE scope = ?", (uuid,))
        for table in ("jobs", "addresses", "macs"):
            self._db.execute(f"DELETE FROM {table} WHERE machine = ?", (uuid,))
        self._db.execute("DELETE FROM machines WHERE uuid = ?", (uuid,))

    def forget_gone(self, before: str) -> int:
        """Forget machines that were deleted, or failed, before an ISO time."""
        rows = self._db.execute(
            "SELECT uuid FROM machines WHERE state IN ('deleted', 'failed')"
            " AND json_extract(record, '$.updated') < ?",
            (before,),
        ).fetchall()
        for (uuid,) in rows:
            self.forget(uuid)
        return len(rows)

    def docs(self, query: Query) -> list[str]:
        """The machines as clients see them: JSON texts, oldest first."""
        where, values = query.where()
        rows = self._db.execute(
            f"SELECT doc FROM machines WHERE {where} ORDER BY seq LIMIT ? OFFSET ?",
            (*values, query.limit, query.offset),
        )
        return [doc for (doc,) in rows]

    def find(self, query: Query) -> list[Machine]:
        where, values = query.where()
        rows = self._db.execute(
            f"SELECT record FROM machines WHERE {where} ORDER BY seq LIMIT ? OFFSET ?",
            (*values, query.limit, query.offset),
        )
        return [Machine.from_record(record) for (record,) in rows]

    def loads(self, account: str) -> list[Load]:
        """What is on each compute node that has machines; `own` are those of the account."""
        rows = self._db.execute(
            "SELECT compute_node, sum(memory), max(account = ?) FROM machines"
            " WHERE state NOT IN ('deleted', 'failed') AND compute_node IS NOT NULL"
            " GROUP BY compute_node",
            (account,),
        )
        return [Load(node, memory, bool(own)) for node, memory, own in rows]

    def places(self, account: str, uuids: Iterable[str]) -> dict[str, str]:
        """Machine to compute node, of those that the account has and that are not gone."""
        rows = self._db.execute(
            "SELECT uuid, compute_node FROM machines WHERE account = ?"
            " AND state NOT IN ('deleted', 'failed') AND compute_node IS NOT NULL"
            " AND uuid IN (SELECT value FROM json_each(?))",
            (account, json.dumps(list(uuids))),
        )
        return dict(rows.fetchall())

    def with_firewall(self, account: str) -> list[Machine]:
        """Machines whose firewall is on and whose zone runs, or may."""
        rows = self._db.execute(
            "SELECT record FROM machines WHERE account = ?"
            " AND json_extract(record, '$.firewall_enabled') = 1 AND state = 'running'",
            (account,),
        )
        return [Machine.from_record(record) for (record,) in rows]

    def labelled(self, account: str, label: str) -> list[Machine]:
        """Machines whose uuid, or name as DNS has it, is `label`; not those that are gone."""
        rows = self._db.execute(
            "SELECT record FROM machines WHERE account = ?1 AND state NOT IN ('deleted', 'failed')"
            " AND (uuid = ?2 OR dns_label(name) = ?2) ORDER BY seq",
            (account, label),
        )
        return [Machine.from_record(record) for (record,) in rows]

    def running_with_tag(self, account: str, tag: str) -> list[Machine]:
        rows = self._db.execute(
            "SELECT record FROM machines WHERE account = ? AND state = 'running'"
            " AND EXISTS (SELECT 1 FROM json_each(machines.tags) AS tag WHERE tag.key = ?)"
            " ORDER BY seq",
            (account, tag),
        )
        return [Machine.from_record(record) for (record,) in rows]

    def alive(self) -> Iterator[Machine]:
        """Every machine of every account that is neither deleted nor failed."""
        rows = self._db.execute(
            "SELECT record FROM machines WHERE state NOT IN ('deleted', 'failed') ORDER BY seq"
        ).fetchall()
        return (Machine.from_record(record) for (record,) in rows)

    def _columns(self, machine: Machine) -> tuple[str | int | None, ...]:
        shown = self.shown(machine)
        return (
            machine.name,
            machine.state,
            machine.type,
            machine.brand,
            machine.image,
            machine.memory,
            json.dumps(shown.tags, separators=(",", ":")),
            machine.compute_node,
            machine.to_record(),
            json.dumps(shown.view(), separators=(",", ":")),
        )


def _as_it_is(machine: Machine) -> Machine:
    return machine
