"""Things that are only ever looked up by id or by name: one JSON record each."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

Record = dict[str, Any]

# The kinds there are; `scope` is an account's uuid; of a snapshot, and of the role tags of a
# machine, the machine's; of a sub-user's key, the user's.
ACCESS_KEY = "accesskey"
FIREWALL_RULE = "fwrule"
LIMITS = "limits"
NETWORK = "network"
POLICY = "policy"
ROLE = "role"
ROLE_TAGS = "roletags"
SNAPSHOT = "snapshot"
USER = "user"
USER_KEY = "userkey"
VLAN = "vlan"
VOLUME = "volume"


class DocumentTaken(Exception):
    """The scope has a document of this kind and name."""


class Documents:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, kind: str, scope: str, identifier: str, name: str, record: Record) -> None:
        """Raises DocumentTaken."""
        try:
            self._db.execute(
                "INSERT INTO documents (kind, id, scope, name, record) VALUES (?, ?, ?, ?, ?)",
                (kind, identifier, scope, name, json.dumps(record)),
            )
        except sqlite3.IntegrityError as error:
            raise DocumentTaken(name) from error

    def save(self, kind: str, identifier: str, name: str, record: Record) -> None:
        """Raises DocumentTaken."""
        try:
            self._db.execute(
                "UPDATE documents SET name = ?, record = ? WHERE kind = ? AND id = ?",
                (name, json.dumps(record), kind, identifier),
            )
        except sqlite3.IntegrityError as error:
            raise DocumentTaken(name) from error

    def get(self, kind: str, scope: str, identifier: str) -> Record | None:
        """By id, within a scope."""
        return self._one("kind = ? AND scope = ? AND id = ?", kind, scope, identifier)

    def named(self, kind: str, scope: str, name: str) -> Record | None:
        return self._one("kind = ? AND scope = ? AND name = ?", kind, scope, name)

    def of(self, kind: str, scope: str) -> list[Record]:
        """All of a scope, oldest first."""
        rows = self._db.execute(
            "SELECT record FROM documents WHERE kind = ? AND scope = ? ORDER BY seq", (kind, scope)
        )
        return [json.loads(record) for (record,) in rows]

    def every(self, kind: str) -> list[tuple[str, Record]]:
        """(scope, record) of every scope."""
        rows = self._db.execute(
            "SELECT scope, record FROM documents WHERE kind = ? ORDER BY seq", (kind,)
        )
        return [(scope, json.loads(record)) for scope, record in rows]

    def remove(self, kind: str, identifier: str) -> None:
        self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, identifier))

    def remove_scope(self, kind: str, scope: str) -> None:
        self._db.execute("DELETE FROM documents WHERE kind = ? AND scope = ?", (kind, scope))

    def _one(self, where: str, *values: str) -> Record | None:
        row = self._db.execute(f"SELECT record FROM documents WHERE {where}", values).fetchone()
        return None if row is None else json.loads(row[0])
